//! Backends that break off an answer that has begun: clients see it broken, however it broke.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::{READ, WRITE, serving, unprobed};
use crate::support::{
    acme::of_acme,
    client::RawClient,
    eventually,
    upstream::{Asked, Step, Upstream, send},
    wire::End,
};

const SIZED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";

/// What a backend sends first, and how it breaks off.
fn ways() -> Vec<(&'static str, &'static str, Vec<Step>)> {
    vec![
        ("a length, FIN", SIZED, vec![Step::Fin]),
        ("a length, RST", SIZED, vec![Step::Reset]),
        ("chunks, FIN", CHUNKED, vec![Step::Fin]),
        ("chunks, RST", CHUNKED, vec![Step::Reset]),
        (
            "FIN within a chunk",
            CHUNKED,
            vec![send("64\r\nha"), Step::Fin],
        ),
        (
            "FIN before the last line",
            CHUNKED,
            vec![send("0\r\n"), Step::Fin],
        ),
        // What VictoriaMetrics does on purpose: its error, and then no chunk.
        (
            "a broken chunk",
            CHUNKED,
            vec![send("cannot read\r\n"), Step::Hang],
        ),
        (
            "a chunk too long",
            CHUNKED,
            vec![send("2\r\nlong\r\n0\r\n\r\n"), Step::Hang],
        ),
    ]
}

/// A backend that breaks off in the way whose number stands behind the path.
fn breaking(go_on: &Arc<Notify>) -> Upstream {
    let (ways, go_on) = (ways(), Arc::clone(go_on));
    Upstream::start(move |asked: &Asked| {
        let (_, number) = asked.target().rsplit_once('=').expect("a number");
        let (_, begin, end) = &ways[number.parse::<usize>().expect("a number")];
        let mut steps = vec![send(*begin), Step::Await(Arc::clone(&go_on))];
        steps.extend(end.iter().cloned());
        steps
    })
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole() {
    let go_on = Arc::new(Notify::new());
    let (upstream, other) = (breaking(&go_on), Upstream::saying("other"));
    let config = json!({"health": {"ejection": {"consecutive_failures": 1000}}});
    let mirador = serving(&unprobed(&[&upstream, &other]), config).await;
    let mut broken = 0_u32;
    for (number, (name, begin, _)) in ways().into_iter().enumerate() {
        for (line, version, end) in [
            (READ, "1.1", End::Fin),
            (WRITE, "1.1", End::Fin),
            ("GET /api/v1/export?x", "1.1", End::Fin),
            // Where the end of the connection may be that of the answer, FIN would be a lie.
            (READ, "1.0", End::Reset),
        ] {
            let what = format!("{name}, {line}, HTTP/{version}");
            let line = line.split('?').next().unwrap_or_default();
            let headers = "Host: mirador.test\r\nX-Tenant-ID: acme\r\n";
            let mut client = RawClient::connect(mirador.address()).await;
            client
                .send(format!(
                    "{line}?way={number} HTTP/{version}\r\n{headers}\r\n"
                ))
                .await;
            let head = client.head().await.expect("the head of a reply");
            assert_eq!(head.status(), 200, "{what}");
            go_on.notify_one();
            let body = client.body(&head).await;
            assert!(body.text().starts_with("ha"), "{what}: {body:?}");
            assert_eq!(body.end, end, "{what}: {body:?}");
            let length = (begin == SIZED).then_some("100");
            assert_eq!(head.get("content-length"), length, "{what}");
            broken += 1;
            assert_eq!(upstream.asked().len(), broken as usize, "{what}: sent once");
        }
    }
    assert_eq!(
        other.asked().len(),
        0,
        "nothing moves on once an answer has begun"
    );
    let labels = [("tenant", "acme"), ("reason", "upstream_truncated")];
    let all = f64::from(broken);
    mirador
        .until_metric("mirador_request_errors_total", &labels, |count| {
            count >= all
        })
        .await;
    eventually("a line in the log for each", async || {
        let log = mirador.process.log();
        let told = log.matches("\"reason\":\"upstream_truncated\"").count();
        (told == broken as usize).then_some(())
    })
    .await;
}

#[tokio::test]
async fn answers_that_break_off_eject_and_the_others_go_elsewhere() {
    let go_on = Arc::new(Notify::new());
    let (upstream, other) = (breaking(&go_on), Upstream::saying("other"));
    let config = json!({"health": {"ejection": {
        "consecutive_failures": 3, "base": "1m", "max": "1m",
    }}});
    let mirador = serving(&unprobed(&[&upstream, &other]), config).await;
    for _ in 0..3 {
        let mut client = RawClient::connect(mirador.address()).await;
        let line = "GET /api/v1/query?way=2";
        client.send(of_acme(line, "")).await;
        let head = client.head().await.expect("the head of a reply");
        go_on.notify_one();
        assert_eq!(client.body(&head).await.end, End::Fin);
    }
    let text = mirador.text("acme", "/api/v1/query?query=1").await;
    assert_eq!((text.as_str(), upstream.asked().len()), ("other", 3));
}
