//! What the router tells of itself: true, complete, and bounded.

use std::{collections::BTreeSet, io::Write as _, process};

use deploy::monitoring;
use serde_json::json;

use crate::support::{
    acme::{acme, of_acme, request},
    client::{RawClient, ask},
    metrics::Metrics,
    mirador::Mirador,
    tenant::Tenant,
    tools::tool,
    upstream::{Step, Upstream, ok, reply, send},
};

/// Sends a GET of a tenant's, and waits for the reply.
async fn get(mirador: &Mirador, tenant: &str, target: &str) -> u16 {
    let headers = format!("X-Tenant-ID: {tenant}\r\n");
    let reply = ask(
        mirador.address(),
        request(&format!("GET {target}"), &headers, ""),
    )
    .await;
    reply.expect("a reply").status()
}

/// All values that a label has anywhere.
fn values(metrics: &Metrics, label: &str) -> BTreeSet<String> {
    let samples = metrics.samples.iter();
    samples
        .filter_map(|sample| sample.labels.get(label).cloned())
        .collect()
}

#[tokio::test]
async fn every_metric_the_dashboard_needs_is_there_and_of_its_type() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    assert_eq!(get(&mirador, "acme", "/api/v1/query").await, 200);
    assert_eq!(get(&mirador, "nobody", "/api/v1/query").await, 403);
    let (mut one, other) = (Upstream::saying("one"), Upstream::saying("other"));
    let beta = Tenant::new("beta").metrics(&[one.url(), other.url()]);
    mirador.apply(&beta).await;
    one.until_probed(1).await;
    one.stop().await;
    for _ in 0..2 {
        assert_eq!(get(&mirador, "beta", "/api/v1/query").await, 200);
    }
    let failovers = "mirador_deployment_failovers_total";
    mirador
        .until_metric(failovers, &[("tenant", "beta")], |count| count > 0.0)
        .await;
    let page = mirador.metrics().await;
    for metric in monitoring::metrics() {
        let line = format!("# TYPE {} {}\n", metric.name, metric.kind);
        assert!(
            page.text.contains(&line),
            "{line:?} is missing from\n{}",
            page.text
        );
    }
}

#[tokio::test]
async fn the_page_is_as_prometheus_wants_it() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    assert_eq!(get(&mirador, "acme", "/api/v1/query").await, 200);
    assert_eq!(get(&mirador, "nobody", "/api/v1/query").await, 403);
    let page = mirador.metrics().await;
    let mut promtool = process::Command::new(tool(&["promtool"]))
        .args(["check", "metrics"])
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .stderr(process::Stdio::piped())
        .spawn()
        .expect("promtool");
    let mut input = promtool.stdin.take().expect("its input");
    input.write_all(page.text.as_bytes()).expect("a page taken");
    drop(input);
    let output = promtool.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let reply = mirador.http.get(mirador.admin_url("/metrics")).send().await;
    let reply = reply.expect("the page");
    let kind = reply.headers()["content-type"].to_str().expect("text");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
}

/// A backend that answers in three ways.
fn answering() -> Upstream {
    Upstream::start(|asked| match asked.target() {
        "/api/v1/labels" => reply(422, "", "four"),
        "/api/v1/export" => vec![
            send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive."),
            Step::Fin,
        ],
        _ => ok("sixsix"),
    })
}

#[tokio::test]
async fn the_counts_are_those_of_what_happened() {
    let upstream = answering();
    let mirador = acme(&upstream, json!({})).await;
    for _ in 0..3 {
        assert_eq!(get(&mirador, "acme", "/api/v1/query").await, 200);
    }
    assert_eq!(get(&mirador, "acme", "/api/v1/labels").await, 422);
    assert_eq!(get(&mirador, "acme", "/api/v1/export").await, 200);
    assert_eq!(get(&mirador, "acme", "/internal/force_flush").await, 403);
    let write = of_acme("POST /insert/jsonline", "Content-Length: 7\r\n") + "{\"a\":1}";
    assert_eq!(
        ask(mirador.address(), write)
            .await
            .expect("a reply")
            .status(),
        200
    );

    let all_of_acme = [("tenant", "acme")];
    mirador
        .until_metric("mirador_requests_total", &all_of_acme, |count| count >= 6.0)
        .await;
    let page = mirador.metrics().await;
    let endpoint = upstream.authority();
    let cases = [
        ("requests_total", "metrics", "code", "200", 4.0),
        ("requests_total", "metrics", "code", "422", 1.0),
        ("requests_total", "logs", "code", "200", 1.0),
        ("request_duration_seconds_count", "metrics", "", "", 5.0),
        ("request_first_byte_seconds_count", "metrics", "", "", 5.0),
        (
            "request_errors_total",
            "metrics",
            "reason",
            "upstream_truncated",
            1.0,
        ),
        ("request_errors_total", "logs", "", "", 0.0),
        ("request_bytes_total", "logs", "", "", 7.0),
        ("request_bytes_total", "metrics", "", "", 0.0),
        ("response_bytes_total", "logs", "", "", 6.0),
        ("concurrent_requests", "metrics", "", "", 0.0),
        ("failovers_total", "metrics", "", "", 0.0),
        ("endpoint_requests_total", "metrics", "code", "200", 4.0),
        (
            "endpoint_requests_total",
            "metrics",
            "endpoint",
            &endpoint,
            5.0,
        ),
        ("endpoint_up", "metrics", "endpoint", &endpoint, 1.0),
    ];
    for (name, signal, label, value, expected) in cases {
        let labels = [("tenant", "acme"), ("signal", signal), (label, value)];
        let labels = if label.is_empty() {
            &labels[..2]
        } else {
            &labels
        };
        let found = page.sum(&format!("mirador_{name}"), labels);
        let same = (found - expected).abs() < 1e-9;
        assert!(same, "{name} of {labels:?} is {found}, not {expected}");
    }
    // Nobody is looked up for a path that is closed to all.
    let denied = [("tenant", "__unknown__"), ("reason", "path_denied")];
    assert!(page.sum("mirador_request_errors_total", &denied) > 0.0);
}

#[tokio::test]
async fn a_request_in_flight_is_counted_while_it_is() {
    let upstream = Upstream::start(|_| {
        vec![
            send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Step::Hang,
        ]
    });
    let mirador = acme(&upstream, json!({})).await;
    let flying = [("tenant", "acme"), ("signal", "logs")];
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_acme("GET /select/logsql/tail", "")).await;
    client.head().await.expect("a head");
    mirador
        .until_metric("mirador_concurrent_requests", &flying, |count| count > 0.0)
        .await;
    drop(client);
    mirador
        .until_metric("mirador_concurrent_requests", &flying, |count| count < 1.0)
        .await;
    let cancelled = [("tenant", "acme"), ("reason", "client_canceled")];
    mirador
        .until_metric("mirador_request_errors_total", &cancelled, |count| {
            count > 0.0
        })
        .await;
}

#[tokio::test]
async fn tenants_beyond_the_limit_share_a_label() {
    let tenants = ["one", "two", "three", "four"];
    let mirador = Mirador::with(json!({"metrics": {"max_tenants": 2}})).await;
    let mut upstreams = Vec::new();
    for tenant in tenants {
        let upstream = Upstream::saying("hello");
        mirador
            .apply(&Tenant::new(tenant).everything(&[upstream.url()]))
            .await;
        assert_eq!(get(&mirador, tenant, "/api/v1/query").await, 200);
        upstreams.push(upstream);
    }
    let overflow = [
        ("tenant", "__overflow__"),
        ("signal", "metrics"),
        ("code", "200"),
    ];
    let requests = "mirador_requests_total";
    mirador
        .until_metric(requests, &overflow, |count| count >= 2.0)
        .await;
    let page = mirador.metrics().await;
    let labels = ["__overflow__", "one", "two"].map(str::to_owned);
    assert_eq!(values(&page, "tenant"), BTreeSet::from(labels));
    let endpoints = [
        upstreams[0].authority(),
        upstreams[1].authority(),
        "__overflow__".into(),
    ];
    assert_eq!(values(&page, "endpoint"), BTreeSet::from(endpoints));
    let shared = page.sum(
        "mirador_endpoint_requests_total",
        &[("endpoint", "__overflow__")],
    );
    assert!((shared - 2.0).abs() < f64::EPSILON, "{shared}");
}

#[tokio::test]
async fn nothing_a_client_makes_up_becomes_a_label() {
    let upstream = Upstream::start(|asked| {
        let code = 700 + asked.nth % 200;
        reply(u16::try_from(code).expect("a code"), "", "")
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    for n in 0..30 {
        for (tenant, path) in [
            (format!("made-up-{n}"), "api/v1/query".to_owned()),
            ("acme".into(), format!("made/up/{n}")),
            ("acme".into(), format!("internal/{n}")),
            (format!("MADE-UP-{n}"), "api/v1/query".into()),
        ] {
            let headers = format!(
                "X-Tenant-ID: {tenant}\r\nX-Request-ID: made-up-{n}\r\nUser-Agent: made-up-{n}\r\n",
            );
            let line = format!("MADEUP{n} /{path}?made-up={n}");
            client.send(request(&line, &headers, "")).await;
            client.reply().await.expect("a reply");
        }
    }
    let unknown = [("tenant", "__unknown__")];
    let requests = "mirador_requests_total";
    mirador
        .until_metric(requests, &unknown, |count| count >= 90.0)
        .await;
    let page = mirador.metrics().await;
    assert!(
        !page.text.to_lowercase().contains("made-up"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("MADEUP"), "{}", page.text);
    let labels = ["__unknown__", "acme"].map(str::to_owned);
    assert_eq!(values(&page, "tenant"), BTreeSet::from(labels));
    let codes = ["400", "403", "5xx"].map(str::to_owned);
    assert_eq!(values(&page, "code"), BTreeSet::from(codes));
}
