//! Endpoints that fail before their answer begins: what moves on, what does not, and how often a
//! request was sent.

use std::{collections::HashSet, time::Duration};

use parking_lot::Mutex;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpStream, time::timeout};

use super::{READ, WRITE, asked, health, of_five_bytes, reason, serving, unprobed};
use crate::support::{
    acme::request,
    client::RawClient,
    eventually,
    port::Port,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, send},
};

/// Never ejects, so that every request finds the endpoints as the first one did.
fn lenient() -> serde_json::Value {
    json!({"health": {"ejection": {"consecutive_failures": 1000}}})
}

#[tokio::test]
async fn a_refused_connection_costs_nobody_anything() {
    for line in [READ, WRITE, "POST /api/v1/import", "GET /api/v1/export"] {
        let (mut refusing, other) = (Upstream::saying("refusing"), Upstream::saying("other"));
        refusing.stop().await;
        let log = json!({"log": {"access": {"success": 1}}});
        let mirador = serving(&unprobed(&[&refusing, &other]), log).await;
        let reply = asked(&mirador, line).await;
        assert_eq!(
            (reply.status(), reply.body.text()),
            (200, "other".into()),
            "{line}"
        );
        assert_eq!(other.only().body.expect("a body").text(), "hello", "{line}");
        eventually("a line of two attempts", async || {
            mirador
                .process
                .log()
                .contains("\"attempts\":2")
                .then_some(())
        })
        .await;
        assert_eq!(health(&mirador, 0).await["state"], "down", "{line}");
    }
}

/// A port that accepts nothing and refuses nothing: its queue is full, and the kernel drops what
/// does not fit.
pub(super) struct Swallowing {
    pub(super) port: Port,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl Swallowing {
    pub(super) async fn start() -> Self {
        let port = Port::take();
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.set_reuse_address(true).expect("address reuse");
        listener.set_reuse_port(true).expect("port reuse");
        listener
            .bind(&port.address().into())
            .expect("the port held for it");
        listener.listen(0).expect("a listener");
        let mut queued = Vec::new();
        let patience = Duration::from_millis(300);
        while let Ok(stream) = timeout(patience, TcpStream::connect(port.address())).await {
            queued.push(stream.expect("a connection, or none at all"));
        }
        Self {
            port,
            _listener: listener,
            _queued: queued,
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_costs_one_connect_timeout_and_nothing_else() {
    let swallowing = Swallowing::start().await;
    let other = Upstream::saying("other");
    let config = json!({
        "upstream": {"connect_timeout": "200ms"},
        "health": {"ejection": {"base": "10m", "max": "10m"}},
    });
    let tenant = Tenant::new("acme")
        .metrics(&[swallowing.port.url(), other.url()])
        .set(
            "/deployments/metrics/health_check",
            json!({"enabled": false}),
        );
    for line in [READ, WRITE] {
        let mirador = serving(&tenant, config.clone()).await;
        for _ in 0..3 {
            let reply = asked(&mirador, line).await;
            assert_eq!(
                (reply.status(), reply.body.text()),
                (200, "other".into()),
                "{line}"
            );
        }
        let metrics = mirador.metrics().await;
        let moved = metrics.sum("mirador_failovers_total", &[("tenant", "acme")]);
        assert!(
            (0.5..1.5).contains(&moved),
            "{line}: {moved} had to move on"
        );
        let told = health(&mirador, 0).await;
        assert_eq!(told["state"], "down", "{told}");
        assert_eq!(told["reason"], "live request failed: connect", "{told}");
    }
    assert_eq!(other.asked().len(), 6, "each was sent once");
}

#[tokio::test]
async fn a_failure_before_the_answer_moves_reads_on_and_fails_writes_once() {
    for (name, steps, expected) in [
        ("reset", vec![Step::Reset], "upstream_broken"),
        (
            "reset after the body",
            vec![Step::ReadBody, Step::Reset],
            "upstream_broken",
        ),
        (
            "closed after the body",
            vec![Step::ReadBody, Step::Fin],
            "upstream_broken",
        ),
        (
            "half a head",
            vec![
                Step::ReadBody,
                send("HTTP/1.1 200 OK\r\nContent-Le"),
                Step::Fin,
            ],
            "upstream_broken",
        ),
        (
            "garbage",
            vec![
                Step::ReadBody,
                send("220 mail.acme.test ESMTP\r\n\r\n"),
                Step::Fin,
            ],
            "upstream_protocol",
        ),
    ] {
        let broken = Upstream::start(move |_| steps.clone());
        let other = Upstream::saying("other");
        let mirador = serving(&unprobed(&[&broken, &other]), lenient()).await;

        let read = asked(&mirador, READ).await;
        assert_eq!(
            (read.status(), read.body.text()),
            (200, "other".into()),
            "{name}"
        );
        assert_eq!(
            (broken.asked().len(), other.asked().len()),
            (1, 1),
            "{name}"
        );
        assert_eq!(other.only().body.expect("a body").text(), "hello", "{name}");

        let write = asked(&mirador, WRITE).await;
        assert_eq!(
            (write.status(), reason(&write)),
            (502, expected.into()),
            "{name}"
        );
        assert_eq!(write.head.get("retry-after"), None, "{name}");
        assert_eq!(
            (broken.asked().len(), other.asked().len()),
            (2, 1),
            "{name}"
        );

        let labels = [("tenant", "acme"), ("reason", expected)];
        let metrics = mirador.metrics().await;
        let failed = metrics.sum("mirador_request_errors_total", &labels);
        assert!((0.5..1.5).contains(&failed), "{name}: {failed} errors");
        let moved = metrics.sum("mirador_failovers_total", &[("tenant", "acme")]);
        assert!((0.5..1.5).contains(&moved), "{name}: {moved} moved on");
    }
}

#[tokio::test]
async fn a_read_tries_each_endpoint_once_at_most() {
    let all: Vec<Upstream> = (0..3)
        .map(|_| Upstream::start(|_| vec![Step::Reset]))
        .collect();
    let endpoints: Vec<&Upstream> = all.iter().collect();
    let mirador = serving(&unprobed(&endpoints), lenient()).await;
    let reply = asked(&mirador, READ).await;
    assert_eq!(
        (reply.status(), reason(&reply)),
        (502, "upstream_broken".into())
    );
    for upstream in &all {
        assert_eq!(upstream.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_read_too_long_to_be_held_is_not_repeated() {
    let broken = Upstream::start(|_| vec![Step::ReadBody, Step::Reset]);
    let other = Upstream::saying("other");
    let window = json!({"upstream": {"retry_window": "4KiB"}});
    let mirador = serving(&unprobed(&[&broken, &other]), window).await;
    for (length, status) in [(4 * 1024, 200), (5 * 1024, 502)] {
        let mut client = RawClient::connect(mirador.address()).await;
        let headers = format!("X-Tenant-ID: acme\r\nContent-Length: {length}\r\n");
        let line = "POST /api/v1/query";
        client
            .send(request(line, &headers, &"x".repeat(length)))
            .await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), status, "{length} bytes");
    }
    assert_eq!((broken.asked().len(), other.asked().len()), (2, 1));
}

#[tokio::test]
async fn a_connection_that_the_backend_has_closed_costs_nobody_anything() {
    // Says nothing of closing, and closes all the same.
    let upstream = Upstream::start(|_| [ok("fine"), vec![Step::HalfFin]].concat());
    let mirador = serving(&unprobed(&[&upstream]), json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    for nth in 1..=100 {
        let line = if nth % 2 == 0 { READ } else { WRITE };
        client.send(of_five_bytes(line)).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), 200, "{line}, request {nth}: {reply:?}");
        // The router has noticed, so that the next request can't be on its way there.
        upstream.until_abandoned(nth).await;
    }
    assert_eq!(upstream.asked().len(), 100, "each was sent once");
    let snapshot = health(&mirador, 0).await;
    assert_eq!(snapshot["consecutive_request_failures"], 0, "{snapshot}");
}

#[tokio::test]
async fn a_connection_that_the_backend_is_closing_fails_no_read() {
    let upstream = Upstream::start(|asked| match asked.nth % 3 {
        0 => ok("fine"),
        1 => [ok("fine"), vec![Step::Fin]].concat(),
        _ => [ok("fine"), vec![Step::Reset]].concat(),
    });
    let mirador = serving(&unprobed(&[&upstream]), json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    for nth in 0..300 {
        client.send(of_five_bytes(READ)).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), 200, "request {nth}: {reply:?}");
    }
    let snapshot = health(&mirador, 0).await;
    assert_eq!(snapshot["consecutive_request_failures"], 0, "{snapshot}");
    let metrics = mirador.metrics().await;
    assert!(metrics.sum("mirador_upstream_connections_reused_total", &[]) > 0.0);
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_is_renewed_for_reads_only() {
    // Each connection serves one request, and breaks under its second one.
    let used = Mutex::new(HashSet::new());
    let upstream = Upstream::start(move |asked| {
        if used.lock().insert(asked.connection) {
            ok("fine")
        } else {
            vec![Step::ReadBody, Step::Reset]
        }
    });
    let other = Upstream::saying("other");
    let mirador = serving(&unprobed(&[&upstream, &other]), json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    for (line, status, sent) in [(READ, 200, 1), (READ, 200, 3), (WRITE, 502, 4)] {
        client.send(of_five_bytes(line)).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), status, "{line}: {reply:?}");
        assert_eq!(upstream.asked().len(), sent, "{line}");
    }
    assert_eq!(other.asked().len(), 0, "a new connection was all it took");
}
