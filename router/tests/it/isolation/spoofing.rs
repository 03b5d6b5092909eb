//! Headers by which a client would choose a tenant inside a backend, or somebody else's credentials,
//! choose nothing.

use http::StatusCode;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::{Backends, Signal, TENANTS, World};
use crate::support::{
    eventually,
    mirador::http_client,
    traces::otlp::{write_log, write_span},
};

/// Tenant 7 of acme's own backends, which is not what acme's requests are for.
const HIDDEN: (u32, &str) = (7, "hiddenmark");

/// What a client might try.
const TRIES: [&[(&str, &str)]; 6] = [
    &[("AccountID", "7")],
    &[("accountid", "7"), ("projectid", "0")],
    &[("AccountID", "0"), ("AccountID", "7")],
    &[("Connection", "AccountID"), ("AccountID", "7")],
    &[("AccountID", "multitenant")],
    &[
        ("Authorization", "Basic Nzo3"),
        ("AccountID", "7"),
        ("X-Forwarded-For", "10.0.0.1"),
    ],
];

#[tokio::test]
async fn reading_with_a_backends_tenant_headers_shows_the_same_as_without() {
    let world = World::start(json!({})).await;
    for (account, mark) in [(0, TENANTS[0].1), HIDDEN] {
        load(&world.acme, account, mark).await;
        for signal in [Signal::Logs, Signal::Traces] {
            until_held(&world.acme, signal, account, mark).await;
        }
    }
    let paths = [
        (Signal::Logs, "/select/logsql/query?query=*"),
        (Signal::Logs, "/select/logsql/query?query=*&AccountID=7"),
        (
            Signal::Logs,
            "/select/logsql/field_values?query=*&field=service.name",
        ),
        (Signal::Traces, "/select/jaeger/api/services"),
    ];
    for (signal, path) in paths {
        for headers in TRIES {
            for url in world.ways(signal, path) {
                let request = world.request(Method::GET, &url, "X-Tenant-ID", "acme");
                let request = headers.iter().fold(request, |request, (name, value)| {
                    request.header(*name, *value)
                });
                let reply = request.send().await.expect("an answer");
                assert_eq!(reply.status(), StatusCode::OK, "{url} {headers:?}");
                let text = reply.text().await.expect("a whole body");
                assert!(text.contains(TENANTS[0].1), "{url} {headers:?}: {text}");
                assert!(!text.contains(HIDDEN.1), "{url} {headers:?}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn writing_with_a_backends_tenant_headers_writes_the_same_as_without() {
    // Loki's clients name a tenant by X-Scope-OrgID, which VictoriaLogs would follow.
    let config = json!({"identify": {"headers": ["X-Tenant-ID"]}});
    let world = World::start(config).await;
    let log = write_log("shop", "acmemark", nanos());
    let loki = json!({"streams": [{
        "stream": {"app": "a"}, "values": [[nanos().to_string(), "acmemark by loki"]],
    }]});
    let writes = [
        (
            Signal::Logs,
            "/insert/opentelemetry/v1/logs",
            "application/x-protobuf",
            log,
        ),
        (
            Signal::Logs,
            "/insert/loki/api/v1/push",
            "application/json",
            loki.to_string().into(),
        ),
        (
            Signal::Traces,
            "/insert/opentelemetry/v1/traces",
            "application/x-protobuf",
            write_span("acmemark", "checkout", 1, nanos()),
        ),
    ];
    for (signal, path, kind, body) in writes {
        for headers in TRIES.into_iter().chain([&[("X-Scope-OrgID", "7:0")][..]]) {
            let request = world
                .mirador
                .request(Method::POST, "acme", path)
                .header("Content-Type", kind)
                .body(body.clone());
            let request = headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            });
            let reply = request.send().await.expect("an answer");
            assert!(reply.status().is_success(), "{path} {headers:?}: {reply:?}");
        }
        let mark = if kind == "application/json" {
            "by loki"
        } else {
            "acmemark"
        };
        until_held(&world.acme, signal, 0, mark).await;
        let hidden = world.acme.dump(signal, HIDDEN.0).await;
        assert!(!hidden.contains("acmemark"), "{path}: {hidden}");
        let other = world.globex.dump(signal, 0).await;
        assert!(!other.contains("acmemark"), "{path}: {other}");
    }
}

#[tokio::test]
async fn one_more_name_does_not_pass_beside_the_tenants_own() {
    let world = World::start(json!({})).await;
    for (name, status) in [
        ("acme", 200),
        ("globex", 400),
        ("7", 400),
        ("7:0", 400),
        ("", 400),
    ] {
        let request = world
            .mirador
            .request(Method::GET, "acme", "/select/logsql/query?query=*")
            .header("X-Scope-OrgID", name);
        let reply = request.send().await.expect("an answer");
        assert_eq!(reply.status(), status, "X-Scope-OrgID: {name:?}");
    }
}

/// Writes a log and a span straight to a tenant of the backends' own.
async fn load(backends: &Backends, account: u32, mark: &str) {
    let writes = [
        (
            Signal::Logs,
            "/insert/opentelemetry/v1/logs",
            write_log(mark, mark, nanos()),
        ),
        (
            Signal::Traces,
            "/insert/opentelemetry/v1/traces",
            write_span(mark, "checkout", 1, nanos()),
        ),
    ];
    for (signal, path, body) in writes {
        let request = http_client()
            .post(backends.url(signal) + path)
            .header("Content-Type", "application/x-protobuf")
            .header("AccountID", account)
            .body(body);
        let reply = request.send().await.expect("an answer");
        assert!(reply.status().is_success(), "{path}: {reply:?}");
    }
}

async fn until_held(backends: &Backends, signal: Signal, account: u32, mark: &str) {
    eventually(&format!("{mark} in tenant {account}"), async || {
        let held = backends.dump(signal, account).await;
        held.contains(mark).then_some(())
    })
    .await;
}

fn nanos() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).expect("a time after 1970")
}
