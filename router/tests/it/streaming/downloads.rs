//! Long answers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use super::{IN_FLIGHT_BYTES, LONG, Memory, settled};
use crate::support::{
    acme::{acme, of_acme},
    client::RawClient,
    eventually,
    mirador::{Mirador, http_client},
    tenant::Tenant,
    upstream::{Step, Upstream, send},
    victoria::Victoria,
    wire::Wire,
    within, within_time,
};

/// Rows of the large export.
const ROWS: u64 = 65_536;

/// How often each row repeats the long label.
const COLUMNS: usize = 16;

/// The length of that label's value.
const LABEL_BYTES: usize = 1024;

#[tokio::test]
async fn a_gibibyte_of_export_goes_through_in_little_memory() {
    let backend = Victoria::metrics().await;
    load_rows(&backend).await;
    let mirador = Mirador::start().await;
    let urls = [backend.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    let memory = Memory::watch(&mirador, "/api/v1/labels").await;

    let columns = "long,".repeat(COLUMNS);
    let path =
        format!("/api/v1/export/csv?format={columns}__timestamp__:unix_s,__value__&match[]=rows");
    let mut reply = mirador.get("acme", &path).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let mut length = 0;
    let count = async {
        // A body that broke off would be an error.
        while let Some(chunk) = reply.chunk().await.expect("a whole body") {
            length += chunk.len() as u64;
        }
    };
    within_time(LONG, "the export", count).await;

    let row = COLUMNS * (LABEL_BYTES + 1) + "1700000000,1\n".len();
    assert_eq!(length, ROWS * row as u64);
    assert!(length >= 1 << 30, "a GiB and not {length} bytes");
    memory.check();
    let sent = mirador.metrics().await.sum(
        "mirador_response_bytes_total",
        &[("tenant", "acme"), ("signal", "metrics")],
    );
    assert!(sent >= 1_073_741_824.0, "{sent} bytes are accounted for");
}

#[tokio::test]
async fn the_first_bytes_are_there_while_the_backend_still_thinks() {
    let go = Arc::new(Notify::new());
    let notify = Arc::clone(&go);
    let upstream = Upstream::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        vec![
            send(format!("{head}5\r\nfirst\r\n")),
            Step::Await(Arc::clone(&notify)),
            send("4\r\nlast\r\n0\r\n\r\n"),
        ]
    });
    let mirador = acme(&upstream, json!({})).await;
    let paths = [
        "/api/v1/export",
        "/api/v1/query",
        "/api/v1/import",
        "/select/logsql/query",
        "/select/logsql/tail",
        "/select/jaeger/api/traces",
        "/some/new/path",
    ];
    for path in paths {
        let reply = within("the head", mirador.get("acme", path)).await;
        let mut reply = reply;
        let first = within("the first bytes", reply.chunk()).await;
        assert_eq!(
            first.expect("no error"),
            Some(Bytes::from("first")),
            "{path}"
        );
        go.notify_one();
        let last = within("the rest", reply.text()).await;
        assert_eq!(last.expect("no error"), "last", "{path}");
    }
}

#[tokio::test]
async fn a_slow_reader_slows_its_backend_and_costs_no_memory() {
    let fountain = Fountain::start().await;
    let mirador = Mirador::start().await;
    let urls = [fountain.url.clone()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    let memory = Memory::watch(&mirador, "/api/v1/labels").await;

    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_acme("GET /api/v1/export", "")).await;
    let head = client.head().await.expect("a reply");
    assert_eq!(head.status(), 200);
    let mut socket = client.into_io();
    let ahead = settled(&fountain.sent).await;
    assert!(
        ahead < IN_FLIGHT_BYTES,
        "{ahead} bytes were drained for nobody"
    );

    let more = 2 * IN_FLIGHT_BYTES;
    let drink = read_bytes(&mut socket, more);
    within_time(LONG, "more of the stream", drink).await;
    let total = settled(&fountain.sent).await;
    assert!(total >= more, "it flows again: {total} bytes");
    assert!(
        total < more + IN_FLIGHT_BYTES,
        "and stops again: {total} bytes"
    );
    memory.check();

    drop(socket);
    eventually("the backend to be left", async || {
        (fountain.left.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn compressed_answers_pass_as_they_are() {
    let backend = Victoria::metrics().await;
    // Short answers are not worth a backend's while.
    let lines = (0..1000).map(|nth| format!("packed{{nth=\"number {nth}\"}} 1\n"));
    backend.import_metrics(&lines.collect::<String>()).await;
    let mirador = Mirador::start().await;
    let urls = [backend.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    let path = "/api/v1/label/nth/values";
    let routed = mirador.request(Method::GET, "acme", path);
    let direct = http_client().get(backend.url() + path);
    let mut bodies = Vec::new();
    for request in [routed, direct] {
        let request = request.header("Accept-Encoding", "gzip");
        let reply = request.send().await.expect("an answer");
        assert_eq!(reply.headers()["content-encoding"], "gzip");
        assert_eq!(reply.headers()["vary"], "Accept-Encoding");
        bodies.push(reply.bytes().await.expect("a whole body"));
    }
    assert!(bodies[0].starts_with(&[0x1f, 0x8b]), "still compressed");
    assert_eq!(bodies[0], bodies[1], "the same bytes");
}

/// Writes one series of many rows whose only label is long.
async fn load_rows(backend: &Victoria) {
    let begin = Timestamp::now().as_millisecond() - 86_400_000;
    let rows = i64::try_from(ROWS).expect("few rows");
    let timestamps: Vec<i64> = (0..rows).map(|row| begin + row * 1000).collect();
    let line = json!({
        "metric": {"__name__": "rows", "long": "x".repeat(LABEL_BYTES)},
        "values": vec![1; timestamps.len()],
        "timestamps": timestamps,
    });
    let request = http_client()
        .post(backend.url() + "/api/v1/import")
        .body(line.to_string());
    let reply = request.send().await.expect("an answer");
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    backend.flush().await;
}

async fn read_bytes(socket: &mut TcpStream, mut left: u64) {
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let read = socket.read(&mut buffer).await.expect("bytes");
        assert!(read > 0, "the stream ended {left} bytes early");
        left = left.saturating_sub(read as u64);
    }
}

/// A backend whose exports never end, and which counts what it got rid of.
struct Fountain {
    url: String,
    sent: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
    _serving: JoinSet<()>,
}

impl Fountain {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sent, left) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let mut serving = JoinSet::new();
        let counts = (Arc::clone(&sent), Arc::clone(&left));
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(flow(stream, counts.0.clone(), counts.1.clone()));
            }
        });
        Self {
            url,
            sent,
            left,
            _serving: serving,
        }
    }
}

async fn flow(stream: TcpStream, sent: Arc<AtomicU64>, left: Arc<AtomicU64>) {
    let mut wire = Wire::new(stream);
    while let Ok(head) = wire.head().await {
        if head.word(1) != "/api/v1/export" {
            let whole = wire
                .io
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            whole.await.expect("a peer that reads");
            continue;
        }
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.io.write_all(head).await.expect("a peer that reads");
        let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
        while wire.io.write_all(chunk.as_bytes()).await.is_ok() {
            sent.fetch_add(64 * 1024, Ordering::SeqCst);
        }
        left.fetch_add(1, Ordering::SeqCst);
        return;
    }
}
