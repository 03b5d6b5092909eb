//! The end of a router: nobody who got through to it is let down.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::json;
use tokio::{net::TcpStream, sync::Notify};

use crate::support::{
    acme::{acme, of_acme},
    client::{RawClient, ask},
    eventually,
    load::Load,
    mirador::Mirador,
    upstream::{Step, Upstream, ok, send},
    wire::End,
};

/// Waits until connecting to the router is refused.
async fn until_closed(mirador: &Mirador) {
    eventually("the listener to close", async || {
        TcpStream::connect(mirador.address()).await.err().map(drop)
    })
    .await;
}

/// A backend that sends half of `/api/v1/export` at once, and the rest once it is told to.
fn halting(go_on: &Arc<Notify>) -> Upstream {
    let go_on = Arc::clone(go_on);
    Upstream::start(move |asked| {
        if asked.target() != "/api/v1/export" {
            return ok("prompt");
        }
        let head = send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        vec![
            head,
            Step::Await(Arc::clone(&go_on)),
            send("4\r\nrest\r\n0\r\n\r\n"),
        ]
    })
}

/// One that sends half of everything, and never the rest.
fn hanging() -> Upstream {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    Upstream::start(move |_| vec![send(head), Step::Hang])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_a_busy_router_is_asked_to_end() {
    let upstream = Upstream::start(|asked| {
        let slow = Step::Drip("slowly".into(), std::time::Duration::from_millis(5));
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n";
        match asked.nth % 3 {
            0 => vec![Step::ReadBody, send(head), slow],
            _ => ok("quickly"),
        }
    });
    let mut mirador = acme(&upstream, json!({})).await;
    let request = of_acme("POST /api/v1/write", "Content-Length: 5\r\n") + "hello";
    let load = Load::start(mirador.address(), 24, 8, &request);
    load.until_answered(300).await;
    mirador.terminate();
    let tally = load.end().await;
    assert_eq!(tally.lost, Vec::<String>::new(), "of {}", tally.answered);
    assert!(tally.told_to_leave > 0, "{tally:?}");
    // Nobody accepted these, but a queue with more in it was not emptied.
    assert!(tally.turned_away <= 1, "{tally:?}");
    assert_eq!(upstream.asked().len(), tally.answered, "each was sent once");
    assert!(mirador.process.exit().await.success());
    let log = mirador.process.log();
    let odd = |line: &&str| !line.contains("\"level\":\"INFO\"");
    assert_eq!(
        log.lines().filter(odd).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
    assert_eq!(
        mirador.process.output().lines().count(),
        1,
        "only that it was ready"
    );
}

#[tokio::test]
async fn load_balancers_are_told_before_the_listener_closes() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({"shutdown": {"delay": "4s"}})).await;
    let mut kept = RawClient::connect(mirador.address()).await;
    kept.send(of_acme("GET /api/v1/query", "")).await;
    let reply = kept.reply().await.expect("a reply");
    assert_eq!(reply.head.get("connection"), None, "{reply:?}");
    mirador.terminate();
    let readiness = mirador.admin_url("/readyz");
    eventually("the router not to be ready", async || {
        let reply = mirador
            .http
            .get(&readiness)
            .send()
            .await
            .expect("an answer");
        (reply.status() == 503).then_some(())
    })
    .await;
    for (path, status) in [
        ("/health", 503),
        ("/-/ready", 503),
        ("/ready", 503),
        ("/-/healthy", 200),
    ] {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let reply = ask(mirador.address(), bytes).await.expect("a reply");
        assert_eq!(reply.status(), status, "{path}");
        assert_eq!(reply.head.get("connection"), Some("close"), "{path}");
    }
    let mut fresh = RawClient::connect(mirador.address()).await;
    for client in [&mut fresh, &mut kept] {
        client.send(of_acme("GET /api/v1/query", "")).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.head.get("connection"), Some("close"), "{reply:?}");
        assert_eq!(client.rest().await.end, End::Fin);
    }
    until_closed(&mirador).await;
    assert!(mirador.process.exit().await.success());
}

#[tokio::test]
async fn a_stream_in_flight_is_let_finish() {
    let go_on = Arc::new(Notify::new());
    let upstream = halting(&go_on);
    let mut mirador = acme(&upstream, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_acme("GET /api/v1/export", "")).await;
    let head = client.head().await.expect("a head");
    mirador.terminate();
    until_closed(&mirador).await;
    assert_eq!(mirador.process.ended(), None, "it waits for the stream");
    go_on.notify_one();
    let body = client.body(&head).await;
    assert_eq!((body.text(), body.end), ("halfrest".into(), End::Complete));
    assert!(mirador.process.exit().await.success());
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_is_broken_off_and_not_ended() {
    let upstream = hanging();
    let mut mirador = acme(&upstream, json!({"shutdown": {"drain": "300ms"}})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_acme("GET /api/v1/export", "")).await;
    let head = client.head().await.expect("a head");
    mirador.terminate();
    let body = client.body(&head).await;
    assert_eq!(body.text(), "half");
    assert_ne!(body.end, End::Complete);
    upstream.until_abandoned(1).await;
    assert!(mirador.process.exit().await.success());
}

#[tokio::test]
async fn asked_twice_it_waits_no_longer() {
    let upstream = hanging();
    let mut mirador = acme(&upstream, json!({"shutdown": {"drain": "1h"}})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_acme("GET /api/v1/export", "")).await;
    let head = client.head().await.expect("a head");
    mirador.terminate();
    until_closed(&mirador).await;
    mirador.process.signal(Signal::INT);
    assert!(mirador.process.exit().await.success());
    assert_ne!(client.body(&head).await.end, End::Complete);
}

#[tokio::test]
async fn connections_without_a_request_do_not_keep_it_up() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({"shutdown": {"drain": "1h"}})).await;
    let mut used = RawClient::connect(mirador.address()).await;
    used.send(of_acme("GET /api/v1/query", "")).await;
    assert_eq!(used.reply().await.expect("a reply").status(), 200);
    let mut silent = RawClient::connect(mirador.address()).await;
    mirador
        .until_metric("mirador_client_connections", &[], |open| open >= 2.0)
        .await;
    mirador.terminate();
    for client in [&mut used, &mut silent] {
        let rest = client.rest().await;
        assert_eq!((rest.length, rest.end), (0, End::Fin));
    }
    assert!(mirador.process.exit().await.success());
}
