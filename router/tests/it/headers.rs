//! What a backend gets to see of a request's head, and a client of a reply's: everything that is
//! theirs, byte for byte, and nothing that is not.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{
    acme::{acme, of_acme},
    client::ask,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Asked, Upstream, reply},
    wire::Head,
};

/// The lines of a head after the first, in any order, with their names in lower case.
fn lines(head: &Head) -> BTreeSet<String> {
    let lower = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        format!("{}: {}", name.to_lowercase(), value.trim())
    };
    head.0.split("\r\n").skip(1).map(lower).collect()
}

fn set<const N: usize>(lines: [&str; N]) -> BTreeSet<String> {
    lines.map(str::to_owned).into()
}

/// What reaches a backend of a request with these header lines.
async fn upstream_head(config: serde_json::Value, headers: &str) -> (Head, String) {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, config).await;
    let bytes = of_acme("GET /api/v1/query?query=1", headers);
    let answer = ask(mirador.address(), bytes).await.expect("a reply");
    assert_eq!(answer.status(), 200);
    (upstream.only().head, upstream.authority())
}

#[tokio::test]
async fn a_backend_sees_what_is_the_clients_and_what_the_router_knows_of_it() {
    let headers = "User-Agent: Grafana/11.2\r\n\
        Accept-Encoding: gzip, zstd\r\n\
        Cookie: a=1; b=2\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
        tracestate: vendor=1\r\n\
        X-Request-ID: r-1\r\n\
        X-Custom: one\r\n\
        X-Custom: two\r\n\
        Authorization: Bearer of-the-client\r\n\
        Proxy-Authorization: Basic eA==\r\n\
        AccountID: 7\r\n\
        projectid: 8\r\n\
        X-Scope-OrgID: acme\r\n\
        Connection: keep-alive, X-Hop, x-other\r\n\
        X-Hop: 1\r\n\
        X-Other: 1\r\n\
        Keep-Alive: timeout=5\r\n\
        Proxy-Connection: keep-alive\r\n\
        TE: trailers\r\n\
        Trailer: X-Sum\r\n\
        Upgrade: websocket\r\n\
        X-Forwarded-For: 10.9.9.9\r\n\
        X-Forwarded-Host: evil.test\r\n\
        X-Forwarded-Proto: https\r\n\
        X-Forwarded-Port: 1\r\n\
        X-Forwarded-User: admin\r\n\
        Forwarded: for=10.9.9.9\r\n\
        X-Real-IP: 10.9.9.9\r\n";
    let (head, authority) = upstream_head(json!({}), headers).await;
    let expected = set([
        &format!("host: {authority}"),
        "user-agent: Grafana/11.2",
        "accept-encoding: gzip, zstd",
        "cookie: a=1; b=2",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate: vendor=1",
        "x-request-id: r-1",
        "x-custom: one",
        "x-custom: two",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: mirador.test",
        "x-forwarded-proto: http",
    ]);
    assert_eq!(lines(&head), expected);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_added_to_the_chain() {
    let trusted = json!({"trusted_proxies": ["127.0.0.0/8"]});
    let headers = "X-Forwarded-For: 10.9.9.9, 10.8.8.8\r\n\
        X-Forwarded-For: 10.7.7.7\r\n\
        X-Forwarded-Host: public.test\r\n\
        X-Forwarded-Proto: https\r\n\
        X-Forwarded-User: admin\r\n\
        Forwarded: for=10.9.9.9\r\n\
        X-Real-IP: 10.9.9.9\r\n\
        X-Request-ID: r-1\r\n";
    let (head, authority) = upstream_head(trusted, headers).await;
    let expected = set([
        &format!("host: {authority}"),
        "x-forwarded-for: 10.9.9.9, 10.8.8.8, 10.7.7.7, 127.0.0.1",
        "x-forwarded-host: public.test",
        "x-forwarded-proto: https",
        "x-forwarded-user: admin",
        "forwarded: for=10.9.9.9",
        "x-real-ip: 10.9.9.9",
        "x-request-id: r-1",
    ]);
    assert_eq!(lines(&head), expected);
}

#[tokio::test]
async fn a_proxy_nobody_trusts_is_not_believed() {
    let others = json!({"trusted_proxies": ["10.0.0.0/8", "::1/128"]});
    let (head, _) = upstream_head(others, "X-Forwarded-For: 10.9.9.9\r\n").await;
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_client_sees_what_is_the_backends_answer_and_not_its_insides() {
    let upstream = Upstream::start(|_| {
        let headers = "Content-Type: application/json\r\n\
            Content-Encoding: gzip\r\n\
            Vary: Accept-Encoding\r\n\
            Accept-Encoding: gzip\r\n\
            X-Influxdb-Version: 1.8.0\r\n\
            X-Elastic-Product: Elasticsearch\r\n\
            Retry-After: 10\r\n\
            Set-Cookie: a=1\r\n\
            Set-Cookie: b=2\r\n\
            X-Server-Hostname: victoria-7.internal\r\n\
            AccountID: 1\r\n\
            X-Request-ID: of-the-backend\r\n\
            Connection: keep-alive, X-Hop\r\n\
            X-Hop: 1\r\n\
            Keep-Alive: timeout=5\r\n\
            Upgrade: h2c\r\n\
            Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
        reply(429, headers, "\x1f\u{8b}not really gzip")
    });
    let mirador = acme(&upstream, json!({})).await;
    let bytes = of_acme("GET /api/v1/query", "X-Request-ID: r-1\r\n");
    let answer = ask(mirador.address(), bytes).await.expect("a reply");
    let expected = set([
        "content-length: 18",
        "content-type: application/json",
        "content-encoding: gzip",
        "vary: Accept-Encoding",
        "accept-encoding: gzip",
        "x-influxdb-version: 1.8.0",
        "x-elastic-product: Elasticsearch",
        "retry-after: 10",
        "set-cookie: a=1",
        "set-cookie: b=2",
        "x-request-id: r-1",
        "date: Thu, 01 Jan 2026 00:00:00 GMT",
    ]);
    assert_eq!(lines(&answer.head), expected);
    assert_eq!(answer.body.kept, "\x1f\u{8b}not really gzip".as_bytes());
}

#[tokio::test]
async fn each_request_has_an_id_that_all_sides_know() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let long = format!("X-Request-ID: {}\r\n", "x".repeat(129));
    let made = [
        "",
        "X-Request-ID: two words\r\n",
        "X-Request-ID:\r\n",
        &long,
    ];
    let kept = ["X-Request-ID: r-1\r\n", "x-request-id: {\"a\":1}\r\n"];
    let mut ids = BTreeSet::new();
    for headers in made.iter().chain(&kept) {
        let before = upstream.asked().len();
        let bytes = of_acme("GET /api/v1/query", headers);
        let answer = ask(mirador.address(), bytes).await.expect("a reply");
        let id = answer.head.get("x-request-id").expect("an id").to_owned();
        let asked: &Asked = &upstream.asked()[before];
        assert_eq!(asked.head.get("x-request-id"), Some(&*id), "{headers:?}");
        if kept.contains(headers) {
            assert!(headers.contains(&id), "{headers:?} became {id:?}");
        } else {
            assert_eq!(id.len(), 32, "{headers:?} became {id:?}");
            assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
        }
        ids.insert(id);
    }
    assert_eq!(ids.len(), made.len() + kept.len(), "every id once: {ids:?}");
}

#[tokio::test]
async fn a_deployments_own_credentials_are_presented_instead_of_the_clients() {
    let upstream = Upstream::saying("hello");
    let mirador = Mirador::start().await;
    let file = mirador.folder().join("secret");
    std::fs::write(&file, "s3cr:et\n").expect("a file");
    // The one variable every process has.
    let path = std::env::var("PATH").expect("a PATH");
    let cases = [
        (
            json!({"basic": {"username": "mirador", "password": {"file": file}}}),
            "Basic bWlyYWRvcjpzM2NyOmV0".to_owned(),
        ),
        (
            json!({"bearer": {"token": {"file": file}}}),
            "Bearer s3cr:et".to_owned(),
        ),
        (
            json!({"bearer": {"token": {"env": "PATH"}}}),
            format!("Bearer {path}"),
        ),
    ];
    for (auth, expected) in cases {
        let acme = Tenant::new("acme").metrics(&[upstream.url()]);
        mirador
            .apply(&acme.set("/deployments/metrics/auth", auth))
            .await;
        let before = upstream.asked().len();
        let bytes = of_acme("GET /api/v1/query", "Authorization: Basic Y2xpZW50\r\n");
        ask(mirador.address(), bytes).await.expect("a reply");
        let asked = &upstream.asked()[before];
        assert_eq!(asked.head.get("authorization"), Some(&*expected));
    }
}

#[tokio::test]
async fn credentials_that_can_not_be_read_stop_requests_without_telling_of_the_file() {
    let upstream = Upstream::saying("hello");
    let mirador = Mirador::start().await;
    let auth = json!({"bearer": {"token": {"file": "/nowhere/acme.token"}}});
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador
        .apply(&acme.set("/deployments/metrics/auth", auth))
        .await;
    let answer = ask(mirador.address(), of_acme("GET /api/v1/query", "")).await;
    let answer = answer.expect("a reply");
    assert_eq!(answer.status(), 503);
    assert!(answer.body.text().contains("misconfigured"), "{answer:?}");
    assert!(!answer.body.text().contains("nowhere"), "{answer:?}");
    assert!(upstream.asked().is_empty());
    // Lines are written beside the workers.
    let told = async || {
        mirador
            .process
            .log()
            .contains("/nowhere/acme.token")
            .then_some(())
    };
    eventually("the log to tell of the file", told).await;
}

#[tokio::test]
async fn paths_and_queries_are_forwarded_byte_for_byte() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let same = [
        "/",
        "/?",
        "/api/v1/query?query=a%2Fb+c%20d&&x=%zz&y",
        "/api/v1/query?query=up{job=~%22a|b%22}^`\\",
        "/api/v1/query?",
        "/api/v1/query?a?b=/../#",
        "//api///v1//query?x=//",
        "/api/v1/label/%C3%A4%2f%2F/values",
        "/%61pi/v1/query",
        "/api/v1/query/",
        "/api/v1/import/prometheus/metrics/job@base64/Zm9vL2Jhcg==",
        "/select/logsql/query?query=%2a%20_time:5m",
        "/vmui",
        "/vmx/api",
    ];
    let stripped = [
        ("/vm", "/"),
        ("/vm?x=1", "/?x=1"),
        ("/vm/", "/"),
        ("/vm/api/v1/query?", "/api/v1/query?"),
        ("/vm//api/v1/query", "//api/v1/query"),
        ("/vl/select/vmui/?#", "/select/vmui/?"),
        (
            "/vt/select/logsql/query?query=%2A",
            "/select/logsql/query?query=%2A",
        ),
    ];
    let cases = same.iter().map(|target| (*target, *target)).chain(stripped);
    for (sent, expected) in cases {
        // What stands behind a `#` never belongs to a request.
        let expected = expected.split('#').next().unwrap_or_default();
        let before = upstream.asked().len();
        let bytes = of_acme(&format!("GET {sent}"), "");
        let answer = ask(mirador.address(), bytes).await.expect("a reply");
        assert_eq!(answer.status(), 200, "{sent}: {answer:?}");
        assert_eq!(upstream.asked()[before].target(), expected, "{sent}");
    }
}

#[tokio::test]
async fn an_endpoints_own_path_is_put_in_front() {
    let upstream = Upstream::saying("hello");
    let mirador = Mirador::start().await;
    let urls = [format!("{}/insert/tenants/%61/", upstream.url())];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    for sent in ["/api/v1/query?x=%2F", "/vm//api/v1/query?", "/vm"] {
        ask(mirador.address(), of_acme(&format!("GET {sent}"), ""))
            .await
            .expect("a reply");
    }
    let asked: Vec<String> = upstream
        .asked()
        .iter()
        .map(|asked| asked.target().to_owned())
        .filter(|target| !target.ends_with("/health"))
        .collect();
    let base = "/insert/tenants/%61";
    let expected = ["/api/v1/query?x=%2F", "//api/v1/query?", "/"];
    assert_eq!(asked, expected.map(|rest| format!("{base}{rest}")));
}
