//! The upstream behind everything that is measured: a fixed 1 KiB for every GET, from any loopback
//! address, so that ten thousand tenants can each have an endpoint of their own.
//!
//! Tells in each answer at which address it was asked, and counts the health checks it sees.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{error::BenchError, http1::end_of_head, say};

/// Bytes in the body of an answer.
pub(crate) const BODY: usize = 1024;
/// The header that tells the address a request reached.
pub(crate) const ENDPOINT: &str = "x-endpoint";
/// Where the counts are told, in a form no backend has.
pub(crate) const COUNTS: &str = "/benches/counts";

const BACKLOG: i32 = 4096;
/// Longest request taken, in bytes.
const LIMIT: usize = 16 << 10;

/// What the upstream has seen since it started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Requests for `/health`.
    pub(crate) probes: u64,
    /// Connections accepted.
    pub(crate) connections: u64,
}

#[derive(Debug, Default)]
struct Seen {
    probes: AtomicU64,
    connections: AtomicU64,
}

/// Prints the port and answers until standard input ends, that is, until whoever started it is
/// gone.
pub(crate) async fn run() -> Result<(), BenchError> {
    let listener = listen().map_err(|error| BenchError::io("listen as the upstream", error))?;
    let port = listener
        .local_addr()
        .map_err(|error| BenchError::io("find the port", error))?;
    say(&format!("{}\n", port.port()))?;
    let mut parent = tokio::io::stdin();
    let mut byte = [0];
    tokio::select! {
        () = accept(listener) => Ok(()),
        _ = parent.read(&mut byte) => Ok(()),
    }
}

/// All addresses, as each loopback address is an endpoint; but on that device only, as nobody
/// outside is meant.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind_device(Some(b"lo"))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener) {
    let seen = Arc::new(Seen::default());
    loop {
        // Failing is up to the client, who sees no answer; going on is up to us.
        if let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::Relaxed);
            let seen = seen.clone();
            tokio::spawn(async move {
                // Whoever closes is right: proxies are stopped under us.
                let _ = serve(stream, &seen).await;
            });
        } else {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(mut stream: TcpStream, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let fixed = answer(&stream.local_addr()?.ip().to_string(), &[b'x'; BODY]);
    let mut buffer = Vec::with_capacity(2048);
    loop {
        while let Some(end) = end_of_head(&buffer) {
            match path(&buffer[..end]) {
                b"/health" => {
                    seen.probes.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(&answer("", b"OK")).await?;
                }
                path if path == COUNTS.as_bytes() => {
                    stream.write_all(&answer("", &seen.as_json())).await?;
                }
                _ => stream.write_all(&fixed).await?,
            }
            buffer.drain(..end);
        }
        if buffer.len() > LIMIT || stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

fn path(head: &[u8]) -> &[u8] {
    head.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

fn answer(endpoint: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         {ENDPOINT}: {endpoint}\r\n\r\n"
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

impl Seen {
    fn as_json(&self) -> Vec<u8> {
        let counts = Counts {
            probes: self.probes.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        };
        serde_json::to_vec(&counts).unwrap_or_default()
    }
}
