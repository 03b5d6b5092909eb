//! Endpoints that die, hang, misbehave or have too much to do: exactly what clients get, and that
//! nothing is sent twice that must not be. The tables of `docs/failover.md` are what is tested.

mod broken;
mod flapping;
mod hedging;
mod left;
mod matrix;
mod outage;
mod overload;
mod policies;
mod slow;
mod told;
mod truncated;
mod withdrawn;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    acme::request,
    client::{RawReply, ask},
    mirador::Mirador,
    tenant::Tenant,
    upstream::Upstream,
};

/// A read without a body.
const READ: &str = "GET /api/v1/query?query=1";
/// A write.
const WRITE: &str = "POST /api/v1/write";

/// Acme with its metrics at these backends, the first being preferred. Requests alone judge them:
/// no probe meddles with what a test counts.
fn unprobed(upstreams: &[&Upstream]) -> Tenant {
    probed(upstreams).set(
        "/deployments/metrics/health_check",
        json!({"enabled": false}),
    )
}

/// The same with probes.
fn probed(upstreams: &[&Upstream]) -> Tenant {
    let urls: Vec<String> = upstreams.iter().map(|upstream| upstream.url()).collect();
    Tenant::new("acme").metrics(&urls)
}

/// Starts a router that serves `tenant`, with `config` merged into its configuration.
async fn serving(tenant: &Tenant, config: Value) -> Mirador {
    let mirador = Mirador::with(config).await;
    mirador.apply(tenant).await;
    mirador
}

/// Sends one request of acme's with a body of five bytes, on a connection of its own.
async fn asked(mirador: &Mirador, line: &str) -> RawReply {
    let reply = ask(mirador.address(), of_five_bytes(line)).await;
    reply.unwrap_or_else(|end| panic!("{line} ended with {end:?}"))
}

/// A request of acme's with a body of five bytes.
fn of_five_bytes(line: &str) -> String {
    let headers = "X-Tenant-ID: acme\r\nContent-Length: 5\r\n";
    request(line, headers, "hello")
}

/// The `reason` in an error of the router's own on a metrics path.
fn reason(reply: &RawReply) -> String {
    let page: Value = serde_json::from_slice(&reply.body.kept)
        .unwrap_or_else(|error| panic!("{error}: {reply:?}"));
    assert_eq!(page["status"], "error", "{page}");
    page["reason"].as_str().expect("a reason").to_owned()
}

/// What the router says of the endpoint of acme's metrics at `position`.
async fn health(mirador: &Mirador, position: usize) -> Value {
    let path = "/api/v1/tenants/acme/health";
    let reply = mirador.admin(Method::GET, path).send().await;
    let page: Value = reply.expect("an answer").json().await.expect("JSON");
    page["deployments"]["metrics"]["endpoints"][position].clone()
}
