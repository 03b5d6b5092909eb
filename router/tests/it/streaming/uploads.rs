//! Long requests.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use reqwest::{Body, Method};
use serde_json::json;
use tokio::sync::Notify;

use super::{IN_FLIGHT_BYTES, LONG, Memory, settled};
use crate::support::{
    acme::{acme, of_acme},
    client::RawClient,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Step, Upstream, ok, reply, send},
    victoria::Victoria,
    wire::End,
    within_time,
};

/// What is uploaded in all, in pieces of 64 KiB.
const PIECES: usize = 4096;
const PIECE_BYTES: usize = 64 * 1024;
const ALL_BYTES: u64 = 256 * 1024 * 1024;

#[tokio::test]
async fn a_long_import_goes_through_in_little_memory() {
    let backend = Victoria::metrics().await;
    let mirador = Mirador::start().await;
    let urls = [backend.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    let memory = Memory::watch(&mirador, "/api/v1/labels").await;

    // The backend reads every line, and keeps those that are no comments.
    let comments = format!("#{}\n", "x".repeat(1022)).repeat(PIECE_BYTES / 1024);
    let count = Arc::default();
    let pieces = pieces(comments.into(), Arc::clone(&count));
    let last = stream::iter([Ok(Bytes::from("last_line 1\n"))]);
    let import = mirador
        .request(Method::POST, "acme", "/api/v1/import/prometheus")
        .body(Body::wrap_stream(pieces.chain(last)))
        .send();
    let reply = within_time(LONG, "the import", import).await;
    assert_eq!(reply.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(count.load(Ordering::SeqCst), ALL_BYTES);
    memory.check();
    backend.flush().await;
    let names = backend.fetch("/api/v1/label/__name__/values").await;
    assert!(names.contains("last_line"), "all of it arrived: {names}");
}

#[tokio::test]
async fn a_slow_backend_slows_its_writer_and_costs_no_memory() {
    let go = Arc::new(Notify::new());
    let notify = Arc::clone(&go);
    let upstream = Upstream::start(move |asked| {
        if asked.target() == "/api/v1/labels" {
            return ok("none");
        }
        let wait = Step::Await(Arc::clone(&notify));
        [vec![wait], ok("stored")].concat()
    });
    let mirador = acme(&upstream, json!({})).await;
    let memory = Memory::watch(&mirador, "/api/v1/labels").await;

    let count = Arc::default();
    let pieces = pieces(vec![b'x'; PIECE_BYTES].into(), Arc::clone(&count));
    let import = mirador
        .request(Method::POST, "acme", "/api/v1/import")
        .body(Body::wrap_stream(pieces));
    let import = tokio::spawn(import.send());
    let taken = settled(&count).await;
    assert!(
        taken < IN_FLIGHT_BYTES,
        "{taken} bytes were taken from the client"
    );

    go.notify_one();
    let reply = within_time(LONG, "the import", import).await;
    let reply = reply.expect("no panic").expect("an answer");
    assert_eq!(reply.status(), StatusCode::OK);
    let body = upstream.asked()[1].body.clone().expect("a body");
    assert_eq!((body.length, body.end), (ALL_BYTES, End::Complete));
    memory.check();
}

#[tokio::test]
async fn a_compressed_import_passes_as_it_is() {
    let backend = Victoria::metrics().await;
    let mirador = Mirador::start().await;
    let urls = [backend.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    let import = mirador
        .request(Method::POST, "acme", "/api/v1/import/prometheus")
        .header("Content-Encoding", "gzip")
        .body(gzip(b"packed 1\n"));
    let reply = import.send().await.expect("an answer");
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    backend.flush().await;
    let names = backend.fetch("/api/v1/label/__name__/values").await;
    assert!(names.contains("packed"), "{names}");
}

#[tokio::test]
async fn a_backend_may_answer_before_it_has_read_everything() {
    let upstream = Upstream::start(|asked| match asked.nth {
        // It reads nothing of the body, and would not be waited for.
        0 => {
            let mut steps = reply(400, "X-Why: too old\r\n", "no, thanks");
            steps.retain(|step| !matches!(step, Step::ReadBody));
            steps.push(Step::Hang);
            steps
        }
        _ => ok("stored"),
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    let head = of_acme("POST /api/v1/import", "Transfer-Encoding: chunked\r\n");
    client.send(head + "5\r\nhello\r\n").await;
    let answer = client.reply().await.expect("a reply");
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.head.get("x-why"), Some("too old"));
    assert_eq!(answer.body.text(), "no, thanks");
    // Nobody wants the rest, so the connection to the backend is of no more use.
    upstream.until_abandoned(1).await;

    let (status, text) = mirador.post("acme", "/api/v1/import", "hello").await;
    assert_eq!((status, &*text), (StatusCode::OK, "stored"));
    let asked = upstream.asked();
    assert_ne!(asked[0].connection, asked[1].connection);
}

#[tokio::test]
async fn an_answer_flows_while_the_rest_of_the_body_is_sent() {
    let piece = Bytes::from(vec![7; 256 * 1024]);
    let upstream = Upstream::start(|_| {
        vec![
            send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbe"),
            Step::ReadBody,
            send("hind"),
        ]
    });
    let mirador = acme(&upstream, json!({})).await;
    // One connection, as each worker keeps its own to the backend.
    let mut client = RawClient::connect(mirador.address()).await;
    for nth in 0..2 {
        let length = format!("Content-Length: {}\r\n", 16 * piece.len());
        client.send(of_acme("POST /api/v1/import", &length)).await;
        client.send(&piece).await;
        let head = client.head().await.expect("the head of a reply");
        assert_eq!(head.status(), 200);
        // Nothing is read meanwhile, as senders do that are not done.
        for _ in 1..16 {
            client.send(&piece).await;
        }
        let body = client.body(&head).await;
        assert_eq!(body.text(), "behind");
        let came = upstream.asked()[nth].body.as_ref().map(|body| body.length);
        assert_eq!(came, Some(16 * piece.len() as u64));
    }
    let asked = upstream.asked();
    assert_eq!(
        asked[0].connection, asked[1].connection,
        "what was sent whole leaves a good connection"
    );
}

/// The whole upload as a stream that counts what has been taken of it.
fn pieces(
    piece: Bytes,
    count: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    stream::iter(0..PIECES).map(move |_| {
        count.fetch_add(piece.len() as u64, Ordering::SeqCst);
        Ok(piece.clone())
    })
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip, which every system has");
    let mut input = gzip.stdin.take().expect("its input");
    input.write_all(content).expect("a process that reads");
    drop(input);
    gzip.wait_with_output().expect("its output").stdout
}
