//! The upstream behind everything that is measured: a fixed 1 KiB for every GET, from any loopback
//! address, so that ten thousand tenants can each have an endpoint of their own.
//!
//! Tells in each answer at which address it was asked, and counts the health checks it sees. Long
//! bodies and live tails have paths of their own.

pub(crate) mod bulk;
mod conversation;

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
use tokio::{io::AsyncReadExt, net::TcpListener};

use self::conversation::Conversation;
use crate::{error::BenchError, process::end_with_parent, say};

/// Bytes in the body of an answer.
pub(crate) const BODY: usize = 1024;
/// The header that tells the address a request reached.
pub(crate) const ENDPOINT: &str = "x-endpoint";
/// Where the counts are told, in a form no backend has.
pub(crate) const COUNTS: &str = "/benches/counts";

/// Where a long body is to be had: `?bytes=…&framing=length` or `chunked`. Proxies that tell paths
/// apart know it as an export.
pub(crate) const EXPORT: &str = "/api/v1/export";
/// Where a long body is taken, as from everywhere else; proxies know it as an import. The answer
/// tells how long it was.
pub(crate) const IMPORT: &str = "/api/v1/import";
/// Where an answer begins with one record and never goes on.
pub(crate) const TAIL: &str = "/select/logsql/tail";
/// That record. Some proxies keep a head back until something follows it.
pub(crate) const RECORD: &str = "{\"_msg\":\"the only one\"}\n";

const BACKLOG: i32 = 4096;
/// What the upstream has seen since it started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Requests for `/health`.
    pub(crate) probes: u64,
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Tails that are open now.
    pub(crate) tails: u64,
}

#[derive(Debug, Default)]
struct Seen {
    probes: AtomicU64,
    connections: AtomicU64,
    tails: AtomicU64,
}

/// Prints the port and answers until standard input ends, that is, until whoever started it is
/// gone.
pub(crate) async fn run() -> Result<(), BenchError> {
    // Standard input tells it too, but not to one that is stopped.
    end_with_parent()?;
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
                if let Ok(mut conversation) = Conversation::over(stream) {
                    let _ = conversation.serve(&seen).await;
                }
            });
        } else {
            tokio::task::yield_now().await;
        }
    }
}

impl Seen {
    fn as_json(&self) -> Vec<u8> {
        let counts = Counts {
            probes: self.probes.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            tails: self.tails.load(Ordering::Relaxed),
        };
        serde_json::to_vec(&counts).unwrap_or_default()
    }
}
