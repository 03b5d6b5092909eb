//! Endpoints that are asked: real ones, wrong ones, and none.

use std::net::TcpListener;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, changes};
use crate::support::{mirador::Mirador, tenant::Tenant, victoria::Victoria};

fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

async fn validate(mirador: &Mirador, document: Option<&Value>) -> Answer {
    let path = "/api/v1/tenants/acme/deployments/validate";
    let request = mirador.admin(Method::POST, path);
    Answer::of(match document {
        Some(document) => request.json(document),
        None => request,
    })
    .await
}

#[tokio::test]
async fn each_endpoint_is_told_by_what_it_is_and_nothing_is_saved() {
    let (mirador, metrics, logs) =
        tokio::join!(Mirador::start(), Victoria::metrics(), Victoria::logs());
    let none = closed_port();
    let right = Tenant::new("acme")
        .metrics(&[metrics.url()])
        .logs(&[logs.url()]);
    let found = validate(&mirador, Some(right.document())).await;
    assert_eq!(found.status, 200, "{}", found.body);
    assert_eq!(found.body["ok"], true, "{}", found.body);
    for (signal, product) in [("metrics", "victoria_metrics"), ("logs", "victoria_logs")] {
        let endpoint = &found.body["deployments"][signal]["endpoints"][0];
        assert_eq!(endpoint["product"], product, "{endpoint}");
        assert_eq!(endpoint["reachable"], true);
        assert_eq!(endpoint["health_status"], 200);
        assert!(endpoint["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    }

    let wrong = Tenant::new("acme")
        .metrics(&[logs.url(), none.clone()])
        .logs(&[logs.url()]);
    let found = validate(&mirador, Some(wrong.document())).await.body;
    assert_eq!(found["ok"], false);
    assert_eq!(found["deployments"]["logs"]["ok"], true, "{found}");
    let endpoints = &found["deployments"]["metrics"]["endpoints"];
    let problem = endpoints[0]["problems"][0].as_str().unwrap_or_default();
    assert!(problem.contains("VictoriaLogs"), "{endpoints}");
    assert_eq!(endpoints[1]["reachable"], false);
    let problem = endpoints[1]["problems"][0].as_str().unwrap_or_default();
    assert!(problem.contains("can't be connected to"), "{endpoints}");

    assert_eq!(changes(&mirador).await, 0);
    validate(&mirador, None)
        .await
        .assert_problem(404, "not-found");
    mirador.apply(&right).await;
    assert_eq!(validate(&mirador, None).await.body["ok"], true);
    assert_eq!(changes(&mirador).await, 1);
}

/// An endpoint that takes connections and says nothing holds the answer up for a bounded time.
#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up() {
    let mirador = Mirador::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let tenant = json!({"id": "acme", "deployments": {"metrics": {"endpoints": [url]}}});
    let found = validate(&mirador, Some(&tenant)).await.body;
    let endpoint = &found["deployments"]["metrics"]["endpoints"][0];
    assert_eq!(
        (&endpoint["reachable"], &endpoint["ok"]),
        (&json!(true), &json!(false))
    );
    let problem = endpoint["problems"][0].as_str().unwrap_or_default();
    assert!(problem.contains("in time"), "{endpoint}");
}
