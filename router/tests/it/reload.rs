//! A changed configuration is taken in whole or not at all, while requests go on.

use std::fs;

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    acme::{acme, of_acme, request},
    client::{RawClient, ask},
    eventually,
    mirador::Mirador,
    port::Port,
    upstream::Upstream,
};

/// Whether the last reload was good.
const SUCCESSFUL: &str = "mirador_config_last_reload_successful";

/// Asks for a reload, and answers what the router says of it.
async fn reload(mirador: &Mirador) -> (StatusCode, Value) {
    let reply = mirador.admin(Method::POST, "/-/reload").send().await;
    let reply = reply.expect("an answer");
    (reply.status(), reply.json().await.expect("JSON"))
}

/// The status of a query with these headers.
async fn status(mirador: &Mirador, headers: &str) -> u16 {
    let reply = ask(mirador.address(), request("GET /api/v1/query", headers, "")).await;
    reply.expect("a reply").status()
}

/// Waits until a query with these headers is answered with `expected`. Workers take settings in
/// one by one.
async fn until_status(mirador: &Mirador, headers: &str, expected: u16) {
    let what = format!("{headers:?} to be answered with {expected}");
    // Connections are spread over the workers: a few in a row meet all of them.
    eventually(&what, async || {
        for _ in 0..8 {
            if status(mirador, headers).await != expected {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test]
async fn what_may_change_does_so_without_a_restart_and_for_open_connections_too() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({})).await;
    let mut open = RawClient::connect(mirador.address()).await;
    open.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(open.reply().await.expect("a reply").status(), 200);

    mirador.rewrite_config(json!({
        "identify": {"headers": ["X-Customer"]}, "trusted_proxies": ["127.0.0.1"],
    }));
    assert_eq!(
        status(&mirador, "X-Customer: acme\r\n").await,
        400,
        "nobody said so yet"
    );
    let changed = json!({"status": "success", "configuration": "changed"});
    assert_eq!(reload(&mirador).await, (StatusCode::OK, changed));
    until_status(&mirador, "X-Customer: acme\r\n", 200).await;
    assert_eq!(status(&mirador, "X-Tenant-ID: acme\r\n").await, 400);

    open.send(request(
        "GET /api/v1/query",
        "X-Customer: acme\r\nX-Forwarded-For: 10.9.9.9\r\n",
        "",
    ))
    .await;
    assert_eq!(
        open.reply().await.expect("the same connection").status(),
        200
    );
    let asked = upstream.asked();
    let last = asked.last().expect("a request");
    assert_eq!(
        last.head.get("x-forwarded-for"),
        Some("10.9.9.9, 127.0.0.1")
    );
}

#[tokio::test]
async fn a_hang_up_reloads_as_well_and_an_unchanged_file_changes_nothing() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({})).await;
    let unchanged = json!({"status": "success", "configuration": "unchanged"});
    assert_eq!(reload(&mirador).await, (StatusCode::OK, unchanged.clone()));
    mirador.rewrite_config(json!({"identify": {"headers": ["X-Customer"]}}));
    mirador.process.signal(Signal::HUP);
    until_status(&mirador, "X-Customer: acme\r\n", 200).await;
    assert_eq!(reload(&mirador).await, (StatusCode::OK, unchanged));
    let metrics = mirador.metrics().await;
    assert!((metrics.sum(SUCCESSFUL, &[]) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_faulty_file_is_refused_with_all_its_faults_and_the_last_good_one_stays() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({})).await;
    let good = fs::read(mirador.config_file()).expect("the configuration");
    mirador.rewrite_config(json!({
        "identify": {"headers": ["X-Customer"], "colour": "red"},
        "upstream": {"idle_timeout": "2m"},
    }));
    let (code, told) = reload(&mirador).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let told = told.to_string();
    for part in ["identify.colour", "upstream.idle_timeout", "stays in force"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    mirador
        .until_metric(SUCCESSFUL, &[], |value| value == 0.0)
        .await;
    assert_eq!(status(&mirador, "X-Tenant-ID: acme\r\n").await, 200);
    assert_eq!(status(&mirador, "X-Customer: acme\r\n").await, 400);

    fs::write(mirador.config_file(), "listen: [").expect("the configuration");
    assert_eq!(reload(&mirador).await.0, StatusCode::BAD_REQUEST);
    fs::remove_file(mirador.config_file()).expect("the configuration");
    assert_eq!(reload(&mirador).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(status(&mirador, "X-Tenant-ID: acme\r\n").await, 200);

    fs::write(mirador.config_file(), good).expect("the configuration");
    assert_eq!(reload(&mirador).await.0, StatusCode::OK);
    mirador
        .until_metric(SUCCESSFUL, &[], |value| value > 0.0)
        .await;
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({})).await;
    let elsewhere = Port::take();
    mirador.rewrite_config(json!({
        "listen": {"logs": elsewhere.address().to_string()},
        "workers": 3,
        "store": {"path": "other.db"},
        "identify": {"headers": ["X-Customer"]},
    }));
    let (code, told) = reload(&mirador).await;
    assert_eq!(code, StatusCode::BAD_REQUEST);
    let error = told["detail"].as_str().expect("a message");
    assert!(
        error.contains("these need a restart: listen.logs, store, workers"),
        "{error}"
    );
    assert_eq!(
        status(&mirador, "X-Customer: acme\r\n").await,
        400,
        "nothing of it is taken in"
    );
    mirador
        .until_metric(SUCCESSFUL, &[], |value| value == 0.0)
        .await;
}

#[tokio::test]
async fn only_who_has_the_token_may_reload_and_a_new_token_counts_at_once() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let url = mirador.admin_url("/-/reload");
    let with = async |token: &str| {
        let reply = mirador.http.post(&url).bearer_auth(token).send().await;
        reply.expect("an answer").status()
    };
    assert_eq!(with("guessed").await, StatusCode::UNAUTHORIZED);
    fs::write(mirador.folder().join("admin.token"), "another-token\n").expect("the token");
    assert_eq!(reload(&mirador).await.0, StatusCode::OK);
    let old = mirador.admin(Method::POST, "/-/reload").send().await;
    assert_eq!(old.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    assert_eq!(with("another-token").await, StatusCode::OK);
}
