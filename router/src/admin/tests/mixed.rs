//! Deployments with endpoints of their own for gRPC: one kind of endpoint does not stand in for the
//! other.

use health::Failure;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::standing::{endpoint, health, unprobed};
use crate::admin::testing::{Admin, Answer};

/// `acme`, whose metrics are at one port, and gRPC at the next.
async fn mixed(admin: &Admin, first_port: u16) {
    let mut tenant = unprobed("acme", first_port, 2);
    tenant["deployments"]["metrics"]["endpoints"][1]["protocol"] = json!("http2");
    admin.put(&tenant).await;
    for position in 0..2 {
        endpoint(admin, "acme", position).report_success();
    }
}

/// How its metrics are.
async fn metrics(admin: &Admin) -> Value {
    health(admin, "acme").await["deployments"]["metrics"].clone()
}

#[tokio::test]
async fn a_kind_of_request_that_nobody_takes_makes_it_unhealthy() {
    for (position, left_out) in [
        (
            0,
            "no endpoint is left for anything but gRPC; gRPC is served by 127.0.0.1:10112",
        ),
        (
            1,
            "no endpoint is left for gRPC; all else is served by 127.0.0.1:10111",
        ),
    ] {
        let admin = Admin::start().await;
        mixed(&admin, 10_111).await;
        let well = metrics(&admin).await;
        assert_eq!(well["condition"], "healthy");
        let both = json!(["127.0.0.1:10111", "127.0.0.1:10112"]);
        assert_eq!(well["served_by"], both);
        endpoint(&admin, "acme", position).report_failure(Failure::Connect);
        let ill = metrics(&admin).await;
        let sentence = ill["sentence"].as_str().expect("a text");
        assert!(sentence.ends_with(left_out), "{sentence}");
        for (what, expected) in [
            ("condition", json!("unhealthy")),
            ("overall", json!("unhealthy")),
            ("score", json!(0)),
        ] {
            assert_eq!(ill[what], expected, "{what} without {position}");
        }
        let page = admin.get("/api/v1/health?condition=unhealthy").await.body;
        assert_eq!(page["tenants"][0]["tenant"], "acme", "without {position}");
    }
}

/// The other endpoint is there, but not for the requests of this one.
#[tokio::test]
async fn the_last_endpoint_of_a_protocol_is_not_drained_unasked() {
    let admin = Admin::start().await;
    mixed(&admin, 10_113).await;
    for port in [10_113, 10_114] {
        let path = "/api/v1/tenants/acme/deployments/metrics/endpoints/drain";
        let drain = admin.request(Method::POST, path).header("If-Match", "*");
        let body = json!({"endpoint": format!("127.0.0.1:{port}")});
        let refused = Answer::of(drain.json(&body)).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{port}");
        let detail = refused.body["detail"].as_str().expect("a text");
        assert!(
            detail.contains("all others that take its requests are drained, or there are none"),
            "{detail}"
        );
    }
}
