//! Opening a connection to a peer: resolve, connect, TLS, and the HTTP handshake.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use hyper::{
    client::conn::{http1, http2},
    rt::{Executor, Read, Write},
};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tenant_store::model::EndpointProtocol;
use tokio::{
    net::TcpStream,
    task::{AbortHandle, spawn_local},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::proxy::{
    body::RequestBody,
    route::{Peer, PeerHost},
};

/// A peer that vanished without a word is noticed after 15 s + 3 × 5 s, even on a silent stream.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);
/// Bytes that stay unacknowledged for so long are lost.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest response head, and the read buffer of one connection at most.
const BUFFER: usize = 128 * 1024;

/// A connection and the task that drives it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) sender: Sender,
    /// `None` where the connection is shared and must outlive a request.
    pub(super) driver: Option<AbortHandle>,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) enum Sender {
    /// One request at a time.
    Http1(http1::SendRequest<RequestBody>),
    /// Many at a time; clones share the connection.
    Http2(http2::SendRequest<RequestBody>),
}

/// Opens a connection within `limit`.
pub(super) async fn open(peer: &Peer, limit: Duration) -> io::Result<Opened> {
    timeout(limit, establish(peer)).await.unwrap_or_else(|_| {
        let message = format!("no connection within {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })
}

async fn establish(peer: &Peer) -> io::Result<Opened> {
    let tcp = tcp(peer).await?;
    let Some(tls) = peer.tls() else {
        return handshake(TokioIo::new(tcp), peer.protocol()).await;
    };
    let connector = TlsConnector::from(tls.config.clone());
    let stream = connector.connect(tls.server_name.clone(), tcp).await?;
    let negotiated = stream.get_ref().1.alpn_protocol();
    if peer.protocol() == EndpointProtocol::Http2 && negotiated != Some(b"h2") {
        return Err(io::Error::other(
            "the endpoint does not offer HTTP/2 by ALPN",
        ));
    }
    handshake(TokioIo::new(stream), peer.protocol()).await
}

async fn tcp(peer: &Peer) -> io::Result<TcpStream> {
    let stream = match peer.host() {
        PeerHost::Address(address) => {
            TcpStream::connect(SocketAddr::new(*address, peer.port())).await?
        }
        PeerHost::Name(name) => TcpStream::connect((&**name, peer.port())).await?,
    };
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

async fn handshake<I>(io: I, protocol: EndpointProtocol) -> io::Result<Opened>
where
    I: Read + Write + Unpin + 'static,
{
    match protocol {
        EndpointProtocol::Http1 => {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(BUFFER)
                .handshake(io)
                .await
                .map_err(io::Error::other)?;
            Ok(Opened {
                sender: Sender::Http1(sender),
                driver: Some(drive(connection)),
            })
        }
        EndpointProtocol::Http2 => {
            let (sender, connection) = http2::Builder::new(OnThisWorker)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .handshake(io)
                .await
                .map_err(io::Error::other)?;
            drive(connection);
            Ok(Opened {
                sender: Sender::Http2(sender),
                driver: None,
            })
        }
    }
}

/// Drives a connection on its own task. How it ends, its requests learn by themselves.
fn drive(connection: impl Future<Output = hyper::Result<()>> + 'static) -> AbortHandle {
    spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::trace!(%error, "upstream connection ended");
        }
    })
    .abort_handle()
}

/// Runs hyper's tasks on the worker they belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnThisWorker;

impl<F> Executor<F> for OnThisWorker
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
