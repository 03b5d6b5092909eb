//! Tenants whose status changes while they are being served.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{READ, WRITE, asked, serving};
use crate::support::{
    acme::of_acme,
    client::RawClient,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, send},
    wire::End,
};

/// A backend whose live tails send one line and go on for ever, in silence.
fn tailed() -> Upstream {
    Upstream::start(|asked| {
        if !asked.target().starts_with("/select/logsql/tail") {
            return ok("fine");
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n";
        vec![send(head), Step::Hang]
    })
}

async fn delete(mirador: &Mirador) {
    let path = "/api/v1/tenants/acme";
    let reply = mirador
        .admin(Method::DELETE, path)
        .header("If-Match", "*")
        .send()
        .await;
    assert_eq!(reply.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_change_of_status_takes_effect_on_the_next_request() {
    let upstream = Upstream::saying("fine");
    let active = Tenant::new("acme").everything(&[upstream.url()]);
    let with = |status: &str| active.clone().set("/status", status);
    let mirador = serving(&active, json!({"workers": 2})).await;
    // Connections of both workers, which know the tenant already.
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(RawClient::connect(mirador.address()).await);
    }
    for (status, read, write) in [
        ("active", 200, 200),
        ("suspended", 403, 403),
        ("active", 200, 200),
        ("deleted", 403, 503),
        ("active", 200, 200),
        ("provisioning", 503, 503),
        ("active", 200, 200),
    ] {
        match status {
            "deleted" => delete(&mirador).await,
            _ => mirador.apply(&with(status)).await,
        }
        let before = upstream.asked().len();
        for (line, expected) in [(READ, read), (WRITE, write)] {
            for client in &mut clients {
                client.send(of_acme(line, "")).await;
                let reply = client.reply().await.expect("a reply");
                assert_eq!(reply.status(), expected, "{status}: {line}: {reply:?}");
            }
        }
        let sent = upstream.asked().len() - before;
        assert_eq!(sent, if read == 200 { 16 } else { 0 }, "{status}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_tenant_and_does_not_look_whole() {
    let upstream = tailed();
    let active = Tenant::new("acme").everything(&[upstream.url()]);
    let mirador = serving(&active, json!({})).await;
    for (nth, end) in ["suspended", "deleted"].into_iter().enumerate() {
        mirador.apply(&active).await;
        let (tail, old) = ("GET /select/logsql/tail?query=*", "HTTP/1.0");
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(of_acme(tail, "")).await;
        let mut old_client = RawClient::connect(mirador.address()).await;
        old_client
            .send(of_acme(tail, "").replace("HTTP/1.1", old))
            .await;
        let head = client.head().await.expect("a head");
        let old_head = old_client.head().await.expect("a head");
        assert_eq!((head.status(), old_head.status()), (200, 200));
        match end {
            "deleted" => delete(&mirador).await,
            _ => mirador.apply(&active.clone().set("/status", end)).await,
        }
        // Promised within 5 s; these wait four times as long.
        let (body, old_body) = tokio::join!(client.body(&head), old_client.body(&old_head));
        assert_eq!(
            (body.text(), body.end),
            ("line\n".into(), End::Fin),
            "{end}"
        );
        assert_eq!(
            (old_body.text(), old_body.end),
            ("line\n".into(), End::Reset),
            "{end}"
        );
        upstream.until_abandoned(2 * (nth + 1)).await;
    }
    let labels = [
        ("tenant", "acme"),
        ("signal", "logs"),
        ("reason", "withdrawn"),
    ];
    mirador
        .until_metric("mirador_request_errors_total", &labels, |count| count > 3.5)
        .await;
    mirador.apply(&active).await;
    assert_eq!(asked(&mirador, READ).await.status(), 200);
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_is_given_up_with_its_tenant() {
    let upstream = Upstream::start(|_| vec![Step::Hang]);
    let active = Tenant::new("acme").everything(&[upstream.url()]);
    let mirador = serving(&active, json!({})).await;
    let mut clients = Vec::new();
    for (nth, line) in [READ, WRITE, "GET /select/logsql/tail"].iter().enumerate() {
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(of_acme(line, "")).await;
        upstream.until_asked(nth + 1).await;
        clients.push((line, client));
    }
    mirador.apply(&active.set("/status", "suspended")).await;
    for (line, client) in &mut clients {
        let reply = client.reply().await.expect("a reply");
        let text = reply.body.text();
        assert_eq!(reply.status(), 403, "{line}: {text}");
        assert!(text.contains("the tenant is served no longer"), "{text}");
    }
    upstream.until_abandoned(3).await;
    assert_eq!(upstream.asked().len(), 3);
}

#[tokio::test]
async fn a_change_that_leaves_the_tenant_served_ends_no_stream() {
    let upstream = Upstream::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        // 7 s: longer than it takes to look whether the tenant is served.
        let pause = Duration::from_secs(1);
        vec![
            send(head),
            Step::Drip("1\r\na\r\n".into(), pause),
            send("0\r\n\r\n"),
        ]
    });
    let active = Tenant::new("acme").everything(&[upstream.url()]);
    let mirador = serving(&active, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client
        .send(of_acme("GET /select/logsql/tail?query=*", ""))
        .await;
    let head = client.head().await.expect("a head");
    mirador.apply(&active.set("/tier", "pro")).await;
    let body = client.body(&head).await;
    assert_eq!((body.text(), body.end), ("a".into(), End::Complete));
}
