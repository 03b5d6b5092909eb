//! Requests that are not what they seem. Whatever is sent, a backend sees one request for each
//! that the router answered, and never one hidden in another.

use serde_json::json;

use crate::support::{
    acme::{acme, of_acme, statuses},
    client::{RawClient, ask},
    upstream::Upstream,
    wire::End,
};

/// What must never reach a backend: it stands in other requests' bodies.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\nX-Tenant-ID: acme\r\n\r\n";

fn post(headers: &str, body: &str) -> String {
    of_acme("POST /api/v1/query", headers) + body
}

#[tokio::test]
async fn a_body_whose_end_is_not_told_in_one_way_is_refused_with_its_connection() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    // By its chunks the body is the first five bytes, and so it is by a length of 5.
    let body = format!("0\r\n\r\n{HIDDEN}");
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\ntransfer-encoding:CHUNKED\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 0\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
    ] {
        let found = statuses(mirador.address(), post(headers, &body)).await;
        assert_eq!(found, [400], "{headers:?}");
    }
    let headers = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    for line in ["POST /health", "POST /api/v1/write", "GET /api/v1/query"] {
        let found = statuses(mirador.address(), of_acme(line, headers) + &body).await;
        assert_eq!(found, [400], "{line}");
    }
    assert!(upstream.asked().is_empty(), "{:?}", upstream.asked());
}

#[tokio::test]
async fn ambiguity_is_noticed_wherever_in_a_connection_it_comes() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let bad = post(
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        &format!("0\r\n\r\n{HIDDEN}"),
    );
    let good = of_acme("GET /api/v1/query", "");
    let with_body = post("Content-Length: 5\r\n", "hello");
    let chunked = post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    for (name, first) in [("a GET", good), ("a POST", with_body), ("chunks", chunked)] {
        let found = statuses(mirador.address(), format!("{first}{bad}")).await;
        assert_eq!(found, [200, 400], "pipelined behind {name}");
    }
    // The head comes in two parts, the first of which looks like HTTP/2.
    let mut client = RawClient::connect(mirador.address()).await;
    client.send("PRI /api/v1/query HTTP/1.1\r\n").await;
    client.send(bad.split_once("\r\n").expect("a line").1).await;
    assert_eq!(client.reply().await.expect("a reply").status(), 400);
    let hidden = upstream
        .asked()
        .iter()
        .any(|asked| asked.target() == "/hidden");
    assert!(
        !hidden && upstream.asked().len() == 3,
        "{:?}",
        upstream.asked()
    );
}

#[tokio::test]
async fn broken_chunks_end_a_request_and_hide_none() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    for chunks in [
        "g\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhelloo\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5\r;\nhello\r\n0\r\n\r\n",
    ] {
        for line in ["POST /api/v1/query", "POST /api/v1/write"] {
            let head = of_acme(line, "Transfer-Encoding: chunked\r\n");
            let found = statuses(mirador.address(), format!("{head}{chunks}{HIDDEN}")).await;
            assert_eq!(found, [400], "{line} {chunks:?}");
        }
    }
    let asked = upstream.asked();
    let whole = asked.iter().filter(|asked| {
        asked
            .body
            .as_ref()
            .is_some_and(|body| body.end == End::Complete)
    });
    assert_eq!(whole.count(), 0, "{asked:?}");
    assert!(
        asked.iter().all(|asked| asked.target() == "/api/v1/write"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn chunk_extensions_and_trailers_are_read_and_not_passed_on() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let head = "Transfer-Encoding: chunked\r\nTrailer: X-Tenant-ID\r\nConnection: close\r\n";
    let body = "5;name=value\r\nhello\r\n0;last\r\nX-Tenant-ID: globex\r\n\r\n";
    assert_eq!(statuses(mirador.address(), post(head, body)).await, [200]);
    let asked = upstream.only();
    assert_eq!(asked.body.expect("a body").text(), "hello");
    assert_eq!(asked.head.get("trailer"), None);
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let with = |line: &[u8]| {
        let start = b"GET /api/v1/query HTTP/1.1\r\nHost: a\r\nX-Tenant-ID: acme\r\n";
        [start, line, b"\r\n\r\n"].concat()
    };
    let cases: [(&str, Vec<u8>); 17] = [
        ("obs-fold", with(b"X-A: one\r\n two")),
        ("tab fold", with(b"X-A: one\r\n\ttwo")),
        ("space before the colon", with(b"X-Scope-OrgID : globex")),
        ("tab before the colon", with(b"Content-Length\t: 5")),
        ("space before the name", with(b" X-A: one")),
        ("no colon", with(b"X-A")),
        ("no name", with(b": one")),
        ("NUL in a value", with(b"X-A: o\0ne")),
        ("NUL in a name", with(b"X-\0A: one")),
        ("CR in a value", with(b"X-A: o\rX-Scope-OrgID: globex")),
        ("CR at the end", with(b"X-A: one\r")),
        ("control character in a value", with(b"X-A: o\x01ne")),
        ("DEL in a value", with(b"X-A: o\x7fne")),
        (
            "space in the target",
            b"GET /api/v1/query /b HTTP/1.1\r\nX-Tenant-ID: acme\r\n\r\n".into(),
        ),
        (
            "no version",
            b"GET /api/v1/query\r\nX-Tenant-ID: acme\r\n\r\n".into(),
        ),
        (
            "unknown version",
            b"GET /api/v1/query HTTP/1.2\r\nX-Tenant-ID: acme\r\n\r\n".into(),
        ),
        (
            "no method",
            b" /api/v1/query HTTP/1.1\r\nX-Tenant-ID: acme\r\n\r\n".into(),
        ),
    ];
    for (name, bytes) in cases {
        assert_eq!(statuses(mirador.address(), bytes).await, [400], "{name}");
    }
    assert!(upstream.asked().is_empty(), "{:?}", upstream.asked());
}

/// A bare line feed ends a line for many readers. It may end one here as well, but then for
/// everything: what the backend gets is written anew.
#[tokio::test]
async fn a_bare_line_feed_never_reaches_a_backend() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let bytes =
        "GET /api/v1/query HTTP/1.1\nHost: a\nX-Tenant-ID: acme\nX-A: one\nConnection: close\n\n";
    let found = statuses(mirador.address(), bytes).await;
    assert!(matches!(&*found, [200 | 400]), "{found:?}");
    for asked in upstream.asked() {
        assert_eq!(asked.head.get("x-a"), Some("one"));
        assert!(!asked.head.0.replace("\r\n", "").contains(['\r', '\n']));
    }
    let twice =
        "GET /api/v1/query HTTP/1.1\r\nHost: a\r\nX-Tenant-ID: acme\nX-Tenant-ID: globex\r\n\r\n";
    assert_eq!(
        ask(mirador.address(), twice)
            .await
            .expect("a reply")
            .status(),
        400
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one_and_in_order() {
    let upstream = Upstream::start(|asked| {
        let text = format!("answer to {}", asked.target());
        crate::support::upstream::ok(&text)
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut bytes = of_acme("GET /api/v1/query?1", "");
    bytes += &post("Content-Length: 5\r\n", "hello");
    bytes += &of_acme("GET /internal/flush", "");
    bytes += &of_acme("GET /health", "");
    bytes += &post("Transfer-Encoding: chunked\r\n", "5\r\nworld\r\n0\r\n\r\n");
    bytes += &of_acme("GET /api/v1/query?2", "Connection: close\r\n");
    bytes += HIDDEN;
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(bytes).await;
    let mut answers = Vec::new();
    while let Ok(answer) = client.reply().await {
        answers.push((answer.status(), answer.body.text()));
    }
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 403, 200, 200, 200]);
    assert_eq!(answers[0].1, "answer to /api/v1/query?1");
    assert_eq!(answers[5].1, "answer to /api/v1/query?2");
    let bodies: Vec<String> = upstream
        .asked()
        .into_iter()
        .map(|asked| asked.body.expect("a body").text())
        .collect();
    assert_eq!(bodies, ["", "hello", "world", ""]);
}
