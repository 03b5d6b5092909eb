//! OpenTelemetry's exporters for Python send logs and traces.

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::json;

use super::run;
use crate::support::{
    eventually, mirador::Mirador, tenant::Tenant, tools::tool, traces::Traces, victoria::Victoria,
};

/// The tenants, and what marks the data of each.
const TENANTS: [(&str, &str); 2] = [("acme", "acmemark"), ("globex", "globexmark")];

#[tokio::test]
async fn logs_by_http_arrive_at_their_own_tenant() {
    let (mirador, acme, globex) =
        tokio::join!(Mirador::start(), Victoria::logs(), Victoria::logs());
    for ((id, _), backend) in TENANTS.iter().zip([&acme, &globex]) {
        mirador.apply(&Tenant::new(id).logs(&[backend.url()])).await;
    }
    let endpoint = mirador.url("/insert/opentelemetry/v1/logs");
    for (tenant, mark) in TENANTS {
        assert_taken(&export(["logs", "http", &endpoint, tenant, mark]).await);
    }
    assert_refused(&export(["logs", "http", &endpoint, "", "nobodysmark"]).await);

    for (position, (tenant, mark)) in TENANTS.into_iter().enumerate() {
        let (other, others) = TENANTS[1 - position];
        let page = eventually("the record to be found", async || {
            let query = mirador.request(Method::GET, tenant, "/select/logsql/query");
            let reply = query.query(&[("query", "*")]).send().await.ok()?;
            let page = reply.text().await.ok()?;
            page.contains(mark).then_some(page)
        })
        .await;
        assert!(!page.contains(others), "{tenant} sees {other}'s: {page}");
        assert_eq!(page.lines().count(), 1, "{tenant}: {page}");
    }
    for (backend, (_, mark)) in [&acme, &globex].into_iter().zip(TENANTS) {
        let held = backend.fetch("/select/logsql/query?query=*").await;
        assert!(held.contains(mark), "{held}");
        assert_eq!(held.lines().count(), 1, "{held}");
    }
}

#[tokio::test]
async fn traces_by_http_arrive_at_their_own_tenant() {
    let mirador = Mirador::start().await;
    let doubles = [Traces::start().await, Traces::start().await];
    for ((id, _), double) in TENANTS.iter().zip(&doubles) {
        mirador
            .apply(&Tenant::new(id).traces(&[double.url()]))
            .await;
    }
    let endpoint = mirador.url("/insert/opentelemetry/v1/traces");
    for (tenant, mark) in TENANTS {
        assert_taken(&export(["traces", "http", &endpoint, tenant, mark]).await);
    }
    assert_refused(&export(["traces", "http", &endpoint, "", "nobodysmark"]).await);
    for (tenant, mark) in TENANTS {
        let page = mirador.text(tenant, "/select/jaeger/api/services").await;
        let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
        assert_eq!(page["data"], json!([mark]), "{tenant}");
    }
    assert_one_span_each(&doubles);
}

#[tokio::test]
async fn traces_by_grpc_arrive_at_their_own_tenant() {
    let mirador = Mirador::start().await;
    let doubles = [Traces::start().await, Traces::start().await];
    for ((id, _), double) in TENANTS.iter().zip(&doubles) {
        let endpoints = json!([{"url": double.grpc_url(), "protocol": "http2"}]);
        let tenant = Tenant::new(id)
            .traces(&[])
            .set("/deployments/traces/endpoints", endpoints)
            .set(
                "/deployments/traces/health_check",
                json!({"enabled": false}),
            );
        mirador.apply(&tenant).await;
    }
    let endpoint = mirador.address().to_string();
    for (tenant, mark) in TENANTS {
        assert_taken(&export(["traces", "grpc", &endpoint, tenant, mark]).await);
    }
    assert_refused(&export(["traces", "grpc", &endpoint, "", "nobodysmark"]).await);
    assert_one_span_each(&doubles);
}

/// Each has its own tenant's span, and nothing else.
fn assert_one_span_each(doubles: &[Traces; 2]) {
    for (double, (tenant, mark)) in doubles.iter().zip(TENANTS) {
        let spans = double.spans(0, 0);
        let told: Vec<_> = spans
            .iter()
            .map(|span| (&*span.service, &*span.name))
            .collect();
        assert_eq!(told, [(mark, "checkout")], "{tenant}");
    }
}

fn assert_taken(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

fn assert_refused(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("the exporter says FAILURE"), "{output:?}");
}

/// Runs `export.py` with these arguments.
async fn export(arguments: [&str; 5]) -> Output {
    let mut command = Command::new(tool(&["python3"]));
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/clients/export.py"
        ))
        .args(arguments)
        .env("no_proxy", "127.0.0.1");
    run(command).await
}
