//! Backends and clients that are too slow: who is told what, and who is blamed.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{READ, WRITE, asked, health, of_five_bytes, probed, reason, serving, unprobed};
use crate::support::{
    acme::{of_acme, request},
    client::{RawClient, ask},
    eventually,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, send},
    wire::End,
};

/// Long enough to send five bytes, short enough to wait for.
const TIMEOUT: &str = "400ms";

#[tokio::test]
async fn a_backend_that_does_not_answer_in_time_is_told_of_in_each_protocol() {
    let slow = Upstream::start(|_| vec![Step::ReadBody, Step::Hang]);
    let mut tenant = Tenant::new("acme").everything(&[slow.url()]);
    for signal in ["metrics", "logs", "traces"] {
        tenant = tenant.set(&format!("/deployments/{signal}/timeout"), TIMEOUT);
    }
    let mirador = serving(&tenant, json!({})).await;
    for (nth, (line, content_type, told)) in [
        (
            READ,
            "application/json",
            r#""errorType":"timeout","reason":"upstream_timeout","status":"error""#,
        ),
        (
            WRITE,
            "application/json",
            r#""errorType":"timeout","reason":"upstream_timeout","status":"error""#,
        ),
        (
            "GET /select/logsql/hits?query=*",
            "text/plain; charset=utf-8",
            "tenant acme: the",
        ),
        (
            "POST /insert/loki/api/v1/push",
            "text/plain; charset=utf-8",
            "tenant acme: the",
        ),
        (
            "GET /select/jaeger/api/services",
            "application/json",
            r#"{"data":null,"errors":[{"code":504,"msg":"tenant acme: the"#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = ask(mirador.address(), of_acme(line, ""))
            .await
            .expect("a reply");
        assert_eq!(reply.status(), 504, "{line}");
        assert_eq!(reply.head.get("content-type"), Some(content_type), "{line}");
        let text = reply.body.text();
        assert!(text.contains(told), "{line}: {text}");
        assert!(
            text.contains("did not answer within 400ms"),
            "{line}: {text}"
        );
        // The deadline ends the query at the backend, too.
        slow.until_abandoned(nth + 1).await;
        assert_eq!(slow.asked().len(), nth + 1, "{line} was sent once");
    }
}

/// Asks a backend that is too slow for the first twelve requests, and answers what the thirteenth
/// gets and how many that backend saw.
async fn after_a_slow_dozen(tenant: fn(&[&Upstream]) -> Tenant) -> (String, usize, Value) {
    let slow = Upstream::start(|asked| match asked.nth {
        0..12 => vec![Step::ReadBody, Step::Hang],
        _ => ok("in time"),
    });
    let other = Upstream::saying("other");
    let tenant = tenant(&[&slow, &other]).set("/deployments/metrics/timeout", TIMEOUT);
    let for_good = json!({"health": {"ejection": {"base": "10m", "max": "10m"}}});
    let mirador = serving(&tenant, for_good).await;
    for _ in 0..6 {
        for line in [READ, WRITE] {
            let reply = asked(&mirador, line).await;
            if reply.status() == 504 {
                assert_eq!(reason(&reply), "upstream_timeout");
            }
        }
    }
    let text = asked(&mirador, READ).await.body.text();
    let state = health(&mirador, 0).await["state"].take();
    (text, slow.asked().len(), state)
}

#[tokio::test]
async fn slow_answers_eject_only_where_no_probe_can_say_better() {
    // A query may be slow through its own fault: the probe finds the endpoint well.
    let found = after_a_slow_dozen(probed).await;
    assert_eq!(found, ("in time".into(), 13, json!("up")));
    let found = after_a_slow_dozen(unprobed).await;
    assert_eq!(found, ("other".into(), 5, json!("ejected")));
}

#[tokio::test]
async fn a_backend_that_hangs_is_left_by_reads_and_blamed_by_writes() {
    let hung = Upstream::start(|_| vec![Step::ReadBody, Step::Hang]);
    let other = Upstream::saying("other");
    hung.set_health(0);
    // It takes suspicion to find out before the writes' deadline: regular probes come too late.
    let tenant = probed(&[&hung, &other])
        .set("/deployments/metrics/timeout", "4s")
        .set("/deployments/metrics/health_check/interval", "1h")
        .set("/deployments/metrics/health_check/timeout", "300ms");
    let mirador = serving(&tenant, json!({})).await;
    let (mut reader, mut writer) = tokio::join!(
        RawClient::connect(mirador.address()),
        RawClient::connect(mirador.address())
    );
    reader.send(of_five_bytes(READ)).await;
    writer.send(of_five_bytes(WRITE)).await;
    let (read, written) = tokio::join!(reader.reply(), writer.reply());
    let (read, written) = (read.expect("a reply"), written.expect("a reply"));
    assert_eq!((read.status(), read.body.text()), (200, "other".into()));
    assert_eq!(
        (written.status(), reason(&written)),
        (504, "upstream_timeout".into())
    );
    assert_eq!((hung.asked().len(), other.asked().len()), (2, 1));
    let next = asked(&mirador, WRITE).await;
    assert_eq!(
        (next.status(), next.body.text()),
        (200, "other".into()),
        "it is down by now"
    );
    assert_eq!(health(&mirador, 0).await["state"], "down");
}

#[tokio::test]
async fn a_backend_that_does_not_read_is_to_blame_not_the_client() {
    let never = Arc::new(Notify::new());
    let deaf = Upstream::start(move |_| vec![Step::Await(Arc::clone(&never))]);
    let tenant = unprobed(&[&deaf]).set("/deployments/metrics/timeout", "2s");
    let mirador = serving(&tenant, json!({})).await;
    // More than all buffers on the way hold.
    let body = Bytes::from(vec![b'x'; 64 << 20]);
    let sent = mirador
        .request(Method::POST, "acme", "/api/v1/write")
        .body(body);
    let reply = sent.send().await.expect("an answer");
    let status = reply.status();
    let page: Value = reply.json().await.expect("JSON");
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{page}");
    assert_eq!(page["reason"], "upstream_timeout", "{page}");
    assert_eq!(deaf.asked().len(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_send_its_body_is_told_so() {
    let upstream = Upstream::start(|_| ok("fine"));
    let other = Upstream::saying("other");
    let tenant = unprobed(&[&upstream, &other]).set("/deployments/metrics/timeout", TIMEOUT);
    let mirador = serving(&tenant, json!({})).await;
    for (line, status, retry_after) in [("POST /api/v1/query", 408, None), (WRITE, 503, Some("10"))]
    {
        for framing in ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"] {
            for _ in 0..3 {
                let mut client = RawClient::connect(mirador.address()).await;
                let headers = format!("X-Tenant-ID: acme\r\n{framing}");
                client.send(request(line, &headers, "4\r\nhalf\r\n")).await;
                let reply = client.reply().await.expect("a reply");
                assert_eq!(
                    (reply.status(), reason(&reply)),
                    (status, "slow_body".into()),
                    "{line}"
                );
                assert_eq!(reply.head.get("retry-after"), retry_after, "{line}");
                assert_eq!(reply.head.get("connection"), Some("close"), "{line}");
                let rest = client.rest().await;
                assert_eq!((rest.length, rest.end), (0, End::Fin), "{line}");
            }
        }
    }
    let writes = upstream.asked();
    assert!(
        writes.iter().all(|asked| asked.target() == "/api/v1/write"),
        "{writes:?}"
    );
    assert_eq!(
        (writes.len(), other.asked().len()),
        (6, 0),
        "each was sent once"
    );
    upstream.until_abandoned(6).await;
    let calm = async || {
        let snapshot = health(&mirador, 0).await;
        (snapshot["consecutive_request_failures"] == 0 && snapshot["state"] == "up").then_some(())
    };
    eventually("the endpoint not to be blamed", calm).await;
}

#[tokio::test]
async fn an_answer_that_stalls_is_broken_off() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let stalling = Upstream::start(move |_| vec![Step::ReadBody, send(head), Step::Hang]);
    let other = Upstream::saying("other");
    let tenant = unprobed(&[&stalling, &other]).set("/deployments/metrics/timeout", TIMEOUT);
    let idle = json!({"upstream": {"stream_idle_timeout": "1s"}});
    let mirador = serving(&tenant, idle).await;
    for (nth, line) in [READ, WRITE, "GET /api/v1/export", "POST /api/v1/import"]
        .into_iter()
        .enumerate()
    {
        let reply = asked(&mirador, line).await;
        assert_eq!(reply.status(), 200, "{line}");
        assert_eq!(
            (reply.body.text(), reply.body.end),
            ("half".into(), End::Fin),
            "{line}"
        );
        stalling.until_abandoned(nth + 1).await;
    }
    assert_eq!((stalling.asked().len(), other.asked().len()), (4, 0));
    let labels = [("tenant", "acme"), ("reason", "upstream_timeout")];
    mirador
        .until_metric("mirador_request_errors_total", &labels, |count| count > 3.5)
        .await;
}
