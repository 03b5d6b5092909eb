//! How endpoints are probed, and what is found on a closer look, with real backends.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Upstream, ok, reply},
    victoria::Victoria,
};

/// What the router says of a tenant's health.
async fn health(mirador: &Mirador, tenant: &str) -> Value {
    let path = format!("/api/v1/tenants/{tenant}/health");
    let reply = mirador.admin(Method::GET, &path).send().await;
    reply.expect("an answer").json().await.expect("JSON")
}

/// Waits until the only endpoint of acme's signal fits, and answers what is said of it then.
async fn until(
    mirador: &Mirador,
    signal: &str,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, async || {
        let health = health(mirador, "acme").await;
        let endpoint = health["deployments"][signal]["endpoints"][0].clone();
        fits(&endpoint).then_some(endpoint)
    })
    .await
}

#[tokio::test]
async fn a_health_check_is_asked_and_judged_as_it_says() {
    let upstream = Upstream::start(|asked| match asked.head.get("x-wanted") {
        Some("well") => reply(404, "", "and all is well"),
        _ => ok("who asks?"),
    });
    let mirador = Mirador::start().await;
    let check = |body: &str| {
        json!({
            "path": "/ready", "interval": "100ms", "unhealthy_after": 1, "healthy_after": 1,
            "headers": {"x-wanted": "well"}, "expect_status": ["200-204", 404],
            "expect_body": body,
        })
    };
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    let at = "/deployments/metrics/health_check";
    mirador.apply(&acme.clone().set(at, check("well"))).await;
    let well = until(&mirador, "metrics", "a good probe", |endpoint| {
        endpoint["last_probe"]["ok"] == true
    })
    .await;
    assert_eq!(well["state"], "up", "{well}");
    assert_eq!(upstream.asked()[0].target(), "/ready");

    mirador.apply(&acme.clone().set(at, check("ill"))).await;
    let ill = until(&mirador, "metrics", "it to be down", |endpoint| {
        endpoint["state"] == "down"
    })
    .await;
    assert_eq!(ill["cause"], "probe_body", "{ill}");
    let told = ill["last_probe"]["error"].as_str().unwrap_or_default();
    assert!(told.contains("lack \"ill\""), "{ill}");

    let mut check = check("well");
    check["expect_status"] = json!(["2xx"]);
    mirador.apply(&acme.set(at, check)).await;
    until(&mirador, "metrics", "the status to be minded", |endpoint| {
        endpoint["cause"] == "probe_status"
    })
    .await;
}

/// Real backends tell what they are; the wrong one for a signal is told, and degrades it.
#[tokio::test]
async fn a_closer_look_tells_what_a_backend_is() {
    let (mirador, metrics, logs) =
        tokio::join!(Mirador::start(), Victoria::metrics(), Victoria::logs());
    let often = json!({"interval": "1s"});
    let acme = Tenant::new("acme")
        .metrics(&[metrics.url()])
        .logs(&[logs.url()])
        .traces(&[metrics.url()])
        .set("/deployments/metrics/health_check/deep", often.clone())
        .set("/deployments/logs/health_check/deep", often.clone())
        .set("/deployments/traces/health_check/deep", often);
    mirador.apply(&acme).await;
    for (signal, product) in [("metrics", "victoria_metrics"), ("logs", "victoria_logs")] {
        let looked = until(&mirador, signal, "a deep check", |endpoint| {
            endpoint["deep"].is_object()
        })
        .await;
        assert_eq!(looked["deep"]["product"], product, "{looked}");
        assert_eq!(looked["findings"], json!([]), "{looked}");
        assert_eq!(looked["condition"], "healthy", "{looked}");
    }
    let wrong = until(&mirador, "traces", "a finding", |endpoint| {
        endpoint["condition"] == "degraded"
    })
    .await;
    let findings = wrong["findings"].as_array().expect("findings");
    assert!(findings.contains(&json!("wrong_product")), "{wrong}");
    let found = wrong["deep"]["found"].as_array().expect("words");
    let told = |found: &Value| found["detail"] == "it is VictoriaMetrics, expected VictoriaTraces";
    assert!(found.iter().any(told), "{wrong}");
    assert_eq!(wrong["state"], "up", "it is used all the same");
}

/// A real backend with too little disk space left goes read-only, and that is found.
#[tokio::test]
async fn a_full_disk_is_found() {
    let (mirador, full) = tokio::join!(Mirador::start(), Victoria::with_full_disk());
    let acme = Tenant::new("acme").metrics(&[full.url()]).set(
        "/deployments/metrics/health_check/deep",
        json!({"interval": "1s"}),
    );
    mirador.apply(&acme).await;
    let found = until(&mirador, "metrics", "a finding", |endpoint| {
        endpoint["findings"] != json!([]) && endpoint["deep"].is_object()
    })
    .await;
    let findings = found["findings"].as_array().expect("findings");
    assert!(findings.contains(&json!("read_only")), "{found}");
    let labels = [
        ("tenant", "acme"),
        ("signal", "metrics"),
        ("finding", "read_only"),
    ];
    mirador
        .until_metric("mirador_endpoint_findings", &labels, |value| value > 0.5)
        .await;
}

/// Fifty tenants on one backend, each with a path of its own: it is asked no more often than by
/// one of them.
#[tokio::test]
async fn a_shared_backend_is_probed_as_if_by_one() {
    let upstream = Upstream::saying("well");
    let mirador = Mirador::start().await;
    let interval = Duration::from_millis(200);
    for number in 0..50 {
        let id = format!("tenant-{number}");
        let url = format!("{}/select/{number}", upstream.url());
        mirador.apply(&Tenant::new(&id).metrics(&[url])).await;
    }
    let (before, begun) = (upstream.asked().len(), Instant::now());
    upstream.until_asked(before + 10).await;
    for number in 0..50 {
        let id = format!("tenant-{number}");
        let health = health(&mirador, &id).await;
        let probe = &health["deployments"]["metrics"]["endpoints"][0]["last_probe"];
        assert_eq!(probe["ok"], true, "{health}");
    }
    let asked = upstream.asked().len() - before;
    let allowed = begun.elapsed().as_secs_f64() / interval.as_secs_f64() * 1.2 + 5.0;
    let count = f64::from(u32::try_from(asked).expect("a few"));
    assert!(count <= allowed, "{asked} in {:?}", begun.elapsed());
}
