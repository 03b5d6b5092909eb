//! Mirador: a request finds its tenant's own backends, streams through, and survives a dead one.
//!
//! [`proxy`] is the way of one request and reads as one. [`worker`] and [`listener`] carry it,
//! [`control`] feeds it with snapshots, [`admin`] and [`cli`] are how people reach it.
#![forbid(unsafe_code)]

pub mod admin;
pub mod attempts;
pub mod audit_log;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod control;
pub mod credentials;
pub mod demo;
mod gzip;
pub mod history;
pub mod jwt;
pub mod keyring;
pub mod keys;
pub mod listener;
pub mod names;
pub mod notify;
mod pages;
pub mod proxy;
pub mod public_page;
pub mod serve;
pub mod standing;
pub mod store;
pub mod telemetry;
pub mod tiers;
pub mod tls;
pub mod trends;
pub mod worker;

/// The revision this was built from, where the build says it.
pub const REVISION: &str = match option_env!("MIRADOR_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
