//! What is too much, too slow, or not a request at all.

use serde_json::json;

use crate::support::{
    acme::{acme, of_acme, statuses},
    client::{RawClient, ask},
    upstream::Upstream,
    wire::End,
};

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let upstream = Upstream::saying("hello");
    let limits = json!({"max_head_bytes": "16KiB", "max_headers": 20});
    let mirador = acme(&upstream, json!({"listen": {"limits": limits}})).await;
    let value = |length: usize| format!("X-Large: {}\r\nConnection: close\r\n", "x".repeat(length));
    let many = |count: usize| "X-A: 1\r\n".repeat(count) + "Connection: close\r\n";
    for (name, headers, status) in [
        ("a large head", value(12_000), 200),
        ("a head too large", value(17_000), 431),
        ("20 headers", many(17), 200),
        ("21 headers", many(18), 431),
    ] {
        let found = statuses(mirador.address(), of_acme("GET /api/v1/query", &headers)).await;
        assert_eq!(found, [status], "{name}");
    }
    let endless = statuses(mirador.address(), format!("GET /{}", "x".repeat(1 << 20))).await;
    assert!(
        matches!(&*endless, [] | [414 | 431]),
        "an endless target: {endless:?}"
    );
    assert_eq!(upstream.asked().len(), 2);
}

#[tokio::test]
async fn odd_targets_and_methods_are_served_as_what_they_are_or_refused() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let close = "Connection: close\r\n";
    for (line, status) in [
        ("OPTIONS *", 400),
        ("GET *", 400),
        ("GET api/v1/query", 400),
        ("GET mirador.test:80", 400),
        ("CONNECT mirador.test:80", 405),
        ("CONNECT /api/v1/query", 405),
        ("TRACE /api/v1/query", 405),
        // No URI has these as they are: to pass them on would leave the reading to others.
        ("GET /api/v1/query?query=up{job=\"a\"}", 400),
        ("GET /api/v1/query?query=up>1", 400),
        ("GET http://elsewhere.test/internal/force_flush", 403),
        ("GET http://elsewhere.test", 200),
        ("GET http://elsewhere.test/api/v1/query?query=1", 200),
        ("OPTIONS /api/v1/query", 200),
        ("PROPFIND /api/v1/labels", 200),
    ] {
        let found = statuses(mirador.address(), of_acme(line, close)).await;
        assert_eq!(found, [status], "{line}");
    }
    let asked = upstream.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.head.start_line()).collect();
    assert_eq!(
        lines,
        [
            "GET / HTTP/1.1",
            "GET /api/v1/query?query=1 HTTP/1.1",
            "OPTIONS /api/v1/query HTTP/1.1",
            "PROPFIND /api/v1/labels HTTP/1.1",
        ]
    );
    for asked in &asked[..2] {
        assert_eq!(asked.head.get("host"), Some(&*upstream.authority()));
        let host = asked.head.get("x-forwarded-host");
        assert_eq!(host, Some("elsewhere.test"), "the target goes before Host");
    }
}

#[tokio::test]
async fn a_refused_method_is_told_of_those_that_are_not() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let answer = ask(mirador.address(), of_acme("TRACE /api/v1/query", "")).await;
    let allow = answer
        .expect("a reply")
        .head
        .get("allow")
        .map(str::to_owned);
    let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    assert_eq!(allow.as_deref(), Some(allowed));
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let upstream = Upstream::saying("hello");
    let limits = json!({"head_timeout": "300ms"});
    let mirador = acme(&upstream, json!({"listen": {"limits": limits}})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    // Not even on a connection that has served before.
    client.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(client.reply().await.expect("a reply").status(), 200);
    client
        .send("GET /api/v1/query HTTP/1.1\r\nX-Tenant-ID: ac")
        .await;
    assert!(matches!(client.head().await, Err(End::Fin | End::Reset)));
    let expired = [("cause", "slow_head")];
    mirador
        .until_metric(
            "mirador_client_connections_expired_total",
            &expired,
            |count| count > 0.0,
        )
        .await;
    // Nor behind a request that was answered meanwhile.
    let mut client = RawClient::connect(mirador.address()).await;
    client
        .send(of_acme("GET /api/v1/query", "") + "GET /api/v1/query HTTP/1.1\r\nX-Te")
        .await;
    assert_eq!(client.reply().await.expect("a reply").status(), 200);
    assert!(matches!(client.head().await, Err(End::Fin | End::Reset)));
    assert_eq!(upstream.asked().len(), 2);
}
