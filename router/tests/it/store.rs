//! The tenant store: what it survives, what survives it, and what clients notice of either.

mod files;
mod flood;
mod outage;
mod postgres;
mod secrets;
mod shared;
mod spread;
mod weaviate;

pub(crate) use self::outage::lock;
use crate::support::{
    acme::request,
    client::{RawReply, ask},
    mirador::Mirador,
};

/// Sends one request of a tenant's without a body, on a connection of its own.
async fn asked(mirador: &Mirador, tenant: &str, line: &str) -> RawReply {
    let headers = format!("X-Tenant-ID: {tenant}\r\n");
    let reply = ask(mirador.address(), request(line, &headers, "")).await;
    reply.unwrap_or_else(|end| panic!("{line} of {tenant} ended with {end:?}"))
}

/// A read.
const READ: &str = "GET /api/v1/query?query=1";
/// A write.
const WRITE: &str = "POST /api/v1/write";
