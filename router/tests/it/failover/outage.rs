//! Real backends under load: one dies, one hangs, and no query fails.

use std::time::Duration;

use serde_json::json;

use super::serving;
use crate::support::{
    acme::of_acme, load::Load, mirador::Mirador, tenant::Tenant, victoria::Victoria,
};

const CLIENTS: usize = 16;
/// Answers waited for in each phase of a test.
const PHASE: usize = 1000;

/// Acme with two equal backends, the first being preferred, and probes that soon find out.
async fn two_backends() -> (Mirador, Victoria, Victoria) {
    let (preferred, other) = tokio::join!(Victoria::metrics(), Victoria::metrics());
    for backend in [&preferred, &other] {
        backend.import_metrics("up{job=\"acme\"} 1\n").await;
    }
    let tenant = Tenant::new("acme")
        .metrics(&[preferred.url(), other.url()])
        .set("/deployments/metrics/health_check/timeout", "300ms");
    let mirador = serving(&tenant, json!({})).await;
    (mirador, preferred, other)
}

fn load_on(mirador: &Mirador) -> Load {
    let query = of_acme("GET /api/v1/query?query=up", "");
    Load::start(mirador.address(), CLIENTS, 0, &query)
}

/// Ends the load; each query has to have been answered.
async fn all_answered(mirador: &Mirador, load: Load) {
    let tally = load.stop().await;
    assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
    assert!(tally.answered >= 3 * PHASE, "{tally:?}");
    let metrics = mirador.metrics().await;
    let failed = metrics.sum("mirador_request_errors_total", &[("tenant", "acme")]);
    assert!(failed < 1.0, "{failed} requests failed");
}

/// Answers that an endpoint has given so far.
async fn answers_of(mirador: &Mirador, backend: &Victoria) -> f64 {
    let endpoint = backend.url().replace("http://", "");
    let metrics = mirador.metrics().await;
    metrics.sum(
        "mirador_endpoint_requests_total",
        &[("tenant", "acme"), ("endpoint", &endpoint)],
    )
}

/// Waits until an endpoint gives answers again.
async fn until_used(mirador: &Mirador, backend: &Victoria) {
    let before = answers_of(mirador, backend).await;
    let endpoint = backend.url().replace("http://", "");
    mirador
        .until_metric(
            "mirador_endpoint_requests_total",
            &[("tenant", "acme"), ("endpoint", &endpoint)],
            |answers| answers > before,
        )
        .await;
}

#[tokio::test]
async fn killing_an_endpoint_under_load_fails_no_query() {
    let (mirador, mut preferred, other) = two_backends().await;
    let load = load_on(&mirador);
    load.until_answered(PHASE).await;
    assert!(answers_of(&mirador, &preferred).await >= 100.0);
    assert!(answers_of(&mirador, &other).await < 1.0, "it was needed");
    preferred.kill();
    load.until_answered(PHASE).await;
    assert!(answers_of(&mirador, &other).await >= 100.0);
    preferred.restart().await;
    until_used(&mirador, &preferred).await;
    load.until_answered(PHASE).await;
    all_answered(&mirador, load).await;
}

#[tokio::test]
async fn freezing_an_endpoint_under_load_fails_no_query() {
    let (mirador, preferred, other) = two_backends().await;
    let load = load_on(&mirador);
    load.until_answered(PHASE).await;
    preferred.freeze();
    // Those that were sent there wait until a probe finds it down; all others follow them.
    load.until_answered(PHASE).await;
    assert!(answers_of(&mirador, &other).await >= 100.0);
    preferred.thaw();
    until_used(&mirador, &preferred).await;
    load.until_answered(PHASE).await;
    let metrics = mirador.metrics().await;
    let moved = metrics.sum("mirador_failovers_total", &[("tenant", "acme")]);
    assert!(moved > 0.0, "nobody moved on");
    all_answered(&mirador, load).await;
}

#[tokio::test]
async fn with_hedging_nobody_notices_that_an_endpoint_freezes() {
    let (preferred, other) = tokio::join!(Victoria::metrics(), Victoria::metrics());
    for backend in [&preferred, &other] {
        backend.import_metrics("up{job=\"acme\"} 1\n").await;
    }
    // Probes have nothing to do with it: none comes before the end.
    let tenant = Tenant::new("acme")
        .metrics(&[preferred.url(), other.url()])
        .set("/deployments/metrics/health_check/interval", "1h");
    let hedge = json!({"upstream": {"hedge": {"enabled": true}}});
    let mirador = serving(&tenant, hedge).await;
    let load = load_on(&mirador);
    load.until_answered(PHASE).await;
    preferred.freeze();
    load.until_answered(2 * PHASE).await;
    preferred.thaw();
    let tally = load.stop().await;
    assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
    let (p99, worst) = (tally.p99(), tally.took.iter().max());
    let metrics = mirador.metrics().await;
    let won = metrics.sum("mirador_hedges_total", &[("result", "won")]);
    println!(
        "{} reads, p99 {p99:?}, worst {worst:?}, {won} hedges won",
        tally.answered
    );
    assert!(won >= 5.0, "{won} hedges won");
    assert!(
        p99 <= Duration::from_millis(250),
        "p99 {p99:?}, worst {worst:?}"
    );
}
