//! Names of endpoints, with a real name server: each address is an endpoint, and what becomes of them
//! when the answers change.

mod addresses;
mod changes;
mod outage;
mod services;

use reqwest::Method;
use serde_json::Value;

use crate::support::{
    eventually,
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    upstream::{Upstream, ok},
};

/// What the router says of a tenant's metrics.
async fn metrics(mirador: &Mirador, tenant: &str) -> Value {
    let path = format!("/api/v1/tenants/{tenant}/health");
    let reply = mirador.admin(Method::GET, &path).send().await;
    let health: Value = reply.expect("an answer").json().await.expect("JSON");
    health["deployments"]["metrics"].clone()
}

/// Waits until what the router says of a tenant's metrics fits, and answers that.
async fn until(
    mirador: &Mirador,
    tenant: &str,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, async || {
        let metrics = metrics(mirador, tenant).await;
        fits(&metrics).then_some(metrics)
    })
    .await
}

/// One field of each endpoint.
fn each<'m>(metrics: &'m Value, field: &str) -> Vec<&'m str> {
    let endpoints = metrics["endpoints"].as_array().expect("endpoints");
    let text = |endpoint: &'m Value| endpoint[field].as_str().unwrap_or("-");
    endpoints.iter().map(text).collect()
}

fn are_up(metrics: &Value, names: &[String]) -> bool {
    each(metrics, "endpoint") == *names
        && each(metrics, "condition").iter().all(|c| *c == "healthy")
}

/// A tenant whose metrics are at a name, on the port of these backends, by turns.
fn tenant(id: &str, host: &str, backend: &Upstream) -> Tenant {
    let (_, port) = authority(backend);
    Tenant::new(id)
        .metrics(&[format!("http://{host}:{port}")])
        .set("/deployments/metrics/policy", "round_robin")
}

fn authority(backend: &Upstream) -> (String, String) {
    let authority = backend.authority();
    let (host, port) = authority.rsplit_once(':').expect("an authority");
    (host.to_owned(), port.to_owned())
}

/// As many backends on the same port of different addresses, each saying who it is.
fn beside<const N: usize>() -> [Upstream; N] {
    let names = ["one", "two", "three"];
    let mut number = 0;
    Port::take_beside::<N>().map(|port| {
        let name = names[number];
        number += 1;
        Upstream::start_on(port, move |_| ok(name))
    })
}

/// Asks so often, and answers how often each backend answered; every answer must be good.
async fn shares<const N: usize>(
    mirador: &Mirador,
    tenant: &str,
    backends: [&Upstream; N],
    requests: usize,
) -> [usize; N] {
    let before = backends.map(|backend| backend.asked().len());
    for _ in 0..requests {
        mirador.text(tenant, "/api/v1/query?query=1").await;
    }
    let mut counts = backends.map(|backend| backend.asked().len());
    for (count, before) in counts.iter_mut().zip(before) {
        *count -= before;
    }
    counts
}

/// What `mirador status` shows of a tenant.
async fn status(mirador: &Mirador, tenant: &str) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mirador"));
    command
        .args(["status", tenant])
        .env("MIRADOR_SERVER", mirador.admin_url(""))
        .env("MIRADOR_TOKEN_FILE", mirador.token_file());
    let output = command.output().await.expect("it runs");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The health page of a tenant.
async fn page(mirador: &Mirador, tenant: &str) -> String {
    let path = format!("/health/tenants/{tenant}");
    let reply = mirador.admin(Method::GET, &path).send().await;
    let text = reply.expect("an answer").text().await;
    text.expect("a page")
}

/// Each got its part, give or take what a turn more or less makes.
fn assert_shared<const N: usize>(counts: [usize; N]) {
    let all: usize = counts.iter().sum();
    let fair = |count: &usize| (count * N).abs_diff(all) <= N;
    assert!(counts.iter().all(fair), "{counts:?}");
}
