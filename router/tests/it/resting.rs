//! Connections between two requests: they hold nothing but their socket, and nobody can tell.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_rustls::client::TlsStream;

use crate::support::{
    acme::{acme, of_acme, request},
    client::RawClient,
    h2::H2Client,
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    tls::{Authority, connect},
    upstream::{Asked, Step, Upstream, ok},
    wire::End,
    within,
};

const RESTING: &str = "mirador_client_connections_resting";
const OPEN: &str = "mirador_client_connections";

/// Waits until so many connections rest.
async fn until_resting(mirador: &Mirador, count: u32) {
    let count = f64::from(count);
    mirador
        .until_metric(RESTING, &[], |resting| (resting - count).abs() < 0.5)
        .await;
}

/// Waits until no connection is left.
async fn until_none_is_open(mirador: &Mirador) {
    mirador.until_metric(OPEN, &[], |open| open < 0.5).await;
    until_resting(mirador, 0).await;
}

/// Asks for `target`, which is answered with `hello`.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(client: &mut RawClient<S>, target: &str) {
    client.send(of_acme(&format!("GET {target}"), "")).await;
    expect_hello(client).await;
}

async fn expect_hello<S: AsyncRead + AsyncWrite + Unpin>(client: &mut RawClient<S>) {
    let reply = client.reply().await.expect("a reply");
    assert_eq!((reply.status(), &*reply.body.text()), (200, "hello"));
}

/// A connection that has been answered once, and rests.
async fn rested(mirador: &Mirador) -> RawClient {
    let mut client = RawClient::connect(mirador.address()).await;
    greet(&mut client, "/api/v1/query?first").await;
    until_resting(mirador, 1).await;
    client
}

/// A router that serves acme by TLS, and its port for that.
async fn secured(upstream: &Upstream, limits: Value) -> (Mirador, Port, Authority) {
    let authority = Authority::new();
    let identity = authority.issue("mirador.test");
    let port = Port::take();
    let listen = json!({"listen": {"limits": limits, "metrics": {
        "address": port.address().to_string(),
        "tls": {"cert_file": identity.cert_file, "key_file": identity.key_file},
    }}});
    let mirador = Mirador::with(listen).await;
    let tenant = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador.apply(&tenant).await;
    (mirador, port, authority)
}

/// The same as [`rested`], by TLS.
async fn rested_securely(
    mirador: &Mirador,
    port: &Port,
    authority: &Authority,
) -> RawClient<TlsStream<TcpStream>> {
    let io = connect(port.address(), "mirador.test", authority, &[b"http/1.1"]).await;
    let mut client = RawClient::over(io.expect("a session"));
    greet(&mut client, "/api/v1/query?first").await;
    until_resting(mirador, 1).await;
    client
}

/// Expects a TLS session to end in order, with an alert that says so, and nothing before it.
async fn expect_good_bye(client: RawClient<TlsStream<TcpStream>>) {
    let mut rest = Vec::new();
    let mut io = client.into_io();
    let read = within("the end of the session", io.read_to_end(&mut rest)).await;
    assert_eq!(read.expect("an end in order"), 0);
}

#[tokio::test]
async fn an_idle_connection_rests_until_its_next_request() {
    let go_on = Arc::new(Notify::new());
    let wait = go_on.clone();
    let upstream = Upstream::start(move |asked| match asked.target() {
        "/api/v1/query?slow" => [vec![Step::Await(wait.clone())], ok("hello")].concat(),
        _ => ok("hello"),
    });
    let mirador = acme(&upstream, json!({})).await;
    let mut client = rested(&mirador).await;
    for _ in 0..2 {
        client.send(of_acme("GET /api/v1/query?slow", "")).await;
        // Not while it is answered, however long that takes.
        until_resting(&mirador, 0).await;
        let mut other = rested(&mirador).await;
        go_on.notify_one();
        expect_hello(&mut client).await;
        until_resting(&mirador, 2).await;
        greet(&mut other, "/api/v1/query?other").await;
        drop(other);
        until_resting(&mirador, 1).await;
    }
    let page = mirador.metrics().await;
    let accepted = page.sum("mirador_client_connections_total", &[]);
    assert!((accepted - 3.0).abs() < 0.5, "{accepted}");
}

#[tokio::test]
async fn a_connection_by_tls_rests_too() {
    let upstream = Upstream::saying("hello");
    let (mirador, port, authority) = secured(&upstream, json!({})).await;
    let mut client = rested_securely(&mirador, &port, &authority).await;
    for _ in 0..2 {
        greet(&mut client, "/api/v1/query?again").await;
        until_resting(&mirador, 1).await;
    }
    // A request of several records, more than is read to see what has begun.
    let body = "x".repeat(40_000);
    let headers = format!("X-Tenant-ID: acme\r\nContent-Length: {}\r\n", body.len());
    client
        .send(request("POST /api/v1/write", &headers, &body))
        .await;
    expect_hello(&mut client).await;
    let asked = upstream.asked();
    assert_eq!(asked.len(), 4);
    let came = asked[3].body.as_ref().expect("a body");
    assert_eq!((came.length, came.end), (40_000, End::Complete));
}

/// What connections that rest hold is bounded by what the goal for it is. Others come and are
/// answered in the room that they have left, which says more than whether the allocator gives it
/// back to the system.
#[tokio::test]
async fn connections_that_rest_leave_their_room_to_others() {
    const GROUP: u32 = 250;
    const KIB_EACH: u64 = 12;
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({"workers": 1})).await;
    let mut resident = Vec::new();
    let mut clients = Vec::new();
    for group in 1..=2 {
        for _ in 0..GROUP {
            let mut client = RawClient::connect(mirador.address()).await;
            greet(&mut client, "/api/v1/query").await;
            clients.push(client);
        }
        until_resting(&mirador, group * GROUP).await;
        resident.push(mirador.process.memory().resident_kib);
    }
    let grown = resident[1].saturating_sub(resident[0]);
    let most = u64::from(GROUP) * KIB_EACH;
    assert!(
        grown < most,
        "{grown} KiB more for {GROUP} connections: {resident:?}"
    );
    for client in &mut clients {
        greet(client, "/api/v1/query").await;
    }
}

#[tokio::test]
async fn whatever_comes_first_after_a_rest_is_answered() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let mut client = rested(&mirador).await;

    // Several requests at one time, of which the first alone is longer than what is read to see
    // what has begun.
    let body = "a body ".repeat(2000);
    let headers = format!("X-Tenant-ID: acme\r\nContent-Length: {}\r\n", body.len());
    let long = request("POST /api/v1/write?long", &headers, &body);
    let chunked = "X-Tenant-ID: acme\r\nTransfer-Encoding: chunked\r\n";
    let chunks = request(
        "POST /api/v1/write?chunks",
        chunked,
        "4\r\nfour\r\n0\r\n\r\n",
    );
    let last = of_acme("GET /api/v1/query?last", "");
    client.send(long + &chunks + &last).await;
    for _ in 0..3 {
        expect_hello(&mut client).await;
    }
    until_resting(&mirador, 1).await;

    // A head byte by byte: the first one ends the rest.
    let head = of_acme("GET /api/v1/query?bytes", "");
    client.send(&head[..1]).await;
    until_resting(&mirador, 0).await;
    for at in 1..head.len() {
        client.send(&head[at..=at]).await;
    }
    expect_hello(&mut client).await;
    until_resting(&mirador, 1).await;

    // A first byte that HTTP/2 begins with as well.
    let post = "X-Tenant-ID: acme\r\nContent-Length: 4\r\n";
    let post = request("POST /api/v1/write?post", post, "four");
    client.send(&post[..1]).await;
    let _ = mirador.metrics().await;
    client.send(&post[1..]).await;
    expect_hello(&mut client).await;

    // An empty line too many, as some clients send behind a body, does not keep it from resting.
    client.send(post.clone() + "\r\n").await;
    expect_hello(&mut client).await;
    until_resting(&mirador, 1).await;
    greet(&mut client, "/api/v1/query?end").await;

    let asked = upstream.asked();
    let targets: Vec<&str> = asked.iter().map(Asked::target).collect();
    assert_eq!(
        targets,
        [
            "/api/v1/query?first",
            "/api/v1/write?long",
            "/api/v1/write?chunks",
            "/api/v1/query?last",
            "/api/v1/query?bytes",
            "/api/v1/write?post",
            "/api/v1/write?post",
            "/api/v1/query?end",
        ]
    );
    let bodies: Vec<String> = asked[1..=2]
        .iter()
        .map(|asked| asked.body.as_ref().expect("a body").text())
        .collect();
    assert_eq!(bodies, [body, "four".into()]);
}

#[tokio::test]
async fn what_has_begun_does_not_rest() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({"workers": 1})).await;
    // Part of a head that came while the request before it was answered.
    let next = of_acme("GET /api/v1/query?next", "");
    let mut begun = RawClient::connect(mirador.address()).await;
    let first = of_acme("GET /api/v1/query?first", "");
    begun.send(first + &next[..20]).await;
    expect_hello(&mut begun).await;
    // HTTP/2, which has state that the client counts on.
    let two = H2Client::connect(&mirador).await;
    let ask_two = async || {
        let request = http::Request::get("http://mirador.test/api/v1/query?two")
            .header("x-tenant-id", "acme")
            .body(())
            .expect("a request");
        let (head, body) = two.send(request, &[]).await;
        assert_eq!((head.status().as_u16(), &*body.data), (200, &b"hello"[..]));
    };
    ask_two().await;
    // Where one rests that was answered later, these would too.
    let _last = rested(&mirador).await;
    let open = mirador.metrics().await.sum(OPEN, &[]);
    assert!((open - 3.0).abs() < 0.5, "{open}");
    begun.send(&next[20..]).await;
    expect_hello(&mut begun).await;
    ask_two().await;
}

/// A backend by HTTP/2 that answers once a body has filled its window, and takes no more of it. It
/// counts what it is asked.
async fn deaf() -> (String, Arc<AtomicUsize>) {
    const WINDOW: usize = 65_535;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await?;
                while let Some(next) = connection.accept().await {
                    let (request, mut respond) = next?;
                    count.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(async move {
                        let (mut body, mut came) = (request.into_body(), 0);
                        while came < WINDOW {
                            came += body.data().await.expect("more data")?.len();
                        }
                        respond.send_response(http::Response::new(()), true)?;
                        // The body is neither read nor refused.
                        std::future::pending::<Result<(), h2::Error>>().await
                    });
                }
                Ok::<_, h2::Error>(())
            });
        }
    });
    (url, asked)
}

#[tokio::test]
async fn what_is_left_of_a_body_that_nobody_takes_is_no_request() {
    let (url, asked) = deaf().await;
    let mirador = Mirador::start().await;
    let tenant = Tenant::new("acme")
        .metrics(std::slice::from_ref(&url))
        .set(
            "/deployments/metrics/endpoints",
            json!([{"url": url, "protocol": "http2"}]),
        )
        .set(
            "/deployments/metrics/health_check",
            json!({"enabled": false}),
        );
    mirador.apply(&tenant).await;
    let mut client = RawClient::connect(mirador.address()).await;
    // Some more chunks than the backend takes, the rest of which has come and waits.
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let body = chunk.repeat(80) + "0\r\n\r\n";
    let headers = "X-Tenant-ID: acme\r\nTransfer-Encoding: chunked\r\n";
    client
        .send(request("POST /api/v1/write", headers, &body))
        .await;
    let reply = client.reply().await.expect("a reply");
    assert_eq!((reply.status(), reply.body.length), (200, 0));
    let rest = client.rest().await;
    assert_eq!(rest.length, 0, "{}", rest.text());
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_preface_in_pieces_is_one() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let mut client = RawClient::connect(mirador.address()).await;
    let (one, other) = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".split_at(5);
    client.send(one).await;
    let _ = mirador.metrics().await;
    client.send([other, b"\0\0\0\x04\0\0\0\0\0"].concat()).await;
    let mut frame = [0; 9];
    let mut io = client.into_io();
    within("a frame", io.read_exact(&mut frame))
        .await
        .expect("a frame");
    assert_eq!(frame[3], 4, "its settings come first: {frame:?}");
}

#[tokio::test]
async fn a_connection_at_rest_ends_when_the_router_drains() {
    let upstream = Upstream::saying("hello");
    let mut mirador = acme(&upstream, json!({"shutdown": {"drain": "1h"}})).await;
    let mut client = rested(&mirador).await;
    // Its answers would end with their connection, if they had no length.
    let mut old = RawClient::connect(mirador.address()).await;
    let ask = "GET /api/v1/query HTTP/1.0\r\nX-Tenant-ID: acme\r\nConnection: keep-alive\r\n\r\n";
    old.send(ask).await;
    expect_hello(&mut old).await;
    until_resting(&mirador, 2).await;
    mirador.terminate();
    for client in [&mut client, &mut old] {
        let rest = client.rest().await;
        assert_eq!((rest.length, rest.end), (0, End::Fin));
    }
    assert!(mirador.process.exit().await.success());
}

#[tokio::test]
async fn a_session_at_rest_is_ended_in_order_when_the_router_drains() {
    let upstream = Upstream::saying("hello");
    let (mut mirador, port, authority) = secured(&upstream, json!({})).await;
    let client = rested_securely(&mirador, &port, &authority).await;
    mirador.terminate();
    expect_good_bye(client).await;
    assert!(mirador.process.exit().await.success());
}

#[tokio::test]
async fn a_connection_at_rest_ends_when_it_has_been_idle_for_too_long() {
    let upstream = Upstream::saying("hello");
    let limits = json!({"idle_timeout": "4s"});
    let clear = async {
        let mirador = acme(&upstream, json!({"listen": {"limits": limits}})).await;
        let rest = rested(&mirador).await.rest().await;
        assert_eq!((rest.length, rest.end), (0, End::Fin));
        until_none_is_open(&mirador).await;
    };
    let secure = async {
        let (mirador, port, authority) = secured(&upstream, limits.clone()).await;
        expect_good_bye(rested_securely(&mirador, &port, &authority).await).await;
        until_none_is_open(&mirador).await;
    };
    tokio::join!(clear, secure);
}

#[tokio::test]
async fn a_head_that_begins_after_a_rest_is_not_waited_for_without_end() {
    let upstream = Upstream::saying("hello");
    let limits = json!({"head_timeout": "300ms"});
    let mirador = acme(&upstream, json!({"listen": {"limits": limits}})).await;
    // Not even where it does not tell yet what the client speaks.
    for beginning in ["GET /api/v1/query HTTP/1.1\r\nX-Ten", "P"] {
        let mut slow = rested(&mirador).await;
        slow.send(beginning).await;
        assert!(matches!(slow.head().await, Err(End::Fin | End::Reset)));
    }
    let expired = [("cause", "slow_head")];
    let name = "mirador_client_connections_expired_total";
    mirador
        .until_metric(name, &expired, |count| count > 1.5)
        .await;
    until_none_is_open(&mirador).await;
}

#[tokio::test]
async fn a_client_that_leaves_a_connection_at_rest_is_noticed() {
    let upstream = Upstream::saying("hello");
    let mirador = acme(&upstream, json!({})).await;
    let mut io = rested(&mirador).await.into_io();
    io.shutdown().await.expect("its own half is closed");
    let mut rest = Vec::new();
    let read = within("the other half", io.read_to_end(&mut rest)).await;
    assert_eq!(read.expect("an end in order"), 0);
    until_none_is_open(&mirador).await;

    let (mirador, port, authority) = secured(&upstream, json!({})).await;
    let mut io = rested_securely(&mirador, &port, &authority).await.into_io();
    io.shutdown().await.expect("a good-bye");
    let read = within("the router's", io.read_to_end(&mut rest)).await;
    assert_eq!(read.expect("an end in order"), 0);
    until_none_is_open(&mirador).await;
    // Without a good-bye, too.
    drop(rested_securely(&mirador, &port, &authority).await);
    until_none_is_open(&mirador).await;
}
