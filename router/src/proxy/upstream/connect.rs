//! Opening a connection to a peer: resolve, connect, TLS, and the HTTP handshake.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use hyper::{client::conn::http2, rt::Executor};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tenant_store::model::EndpointProtocol;
use tokio::{net::TcpStream, task::spawn_local, time::timeout};
use tokio_rustls::TlsConnector;

use super::{http1, stream::Stream};
use crate::proxy::{
    body::RequestBody,
    route::{Peer, PeerHost, unresolved},
};

/// A peer that vanished without a word is noticed after 15 s + 3 × 5 s, even on a silent stream.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5))
    .with_retries(3);
/// Bytes that stay unacknowledged for so long are lost.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that was just made.
#[derive(Debug)]
pub(super) enum Opened {
    /// One request at a time.
    Http1(Box<http1::Connection>),
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
        return handshake(Stream::Clear(tcp), peer.protocol()).await;
    };
    let connector = TlsConnector::from(tls.config.clone());
    let stream = connector.connect(tls.server_name.clone(), tcp).await?;
    let negotiated = stream.get_ref().1.alpn_protocol();
    if peer.protocol() == EndpointProtocol::Http2 && negotiated != Some(b"h2") {
        return Err(io::Error::other(
            "the endpoint does not offer HTTP/2 by ALPN",
        ));
    }
    handshake(Stream::Tls(Box::new(stream)), peer.protocol()).await
}

async fn tcp(peer: &Peer) -> io::Result<TcpStream> {
    let stream = match peer.host() {
        PeerHost::Address(address) => {
            TcpStream::connect(SocketAddr::new(*address, peer.port())).await?
        }
        PeerHost::Name(name) => TcpStream::connect((&**name, peer.port())).await?,
        PeerHost::Service(name) => return Err(unresolved(name)),
    };
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

async fn handshake(stream: Stream, protocol: EndpointProtocol) -> io::Result<Opened> {
    match protocol {
        EndpointProtocol::Http1 => Ok(Opened::Http1(Box::new(http1::Connection::new(stream)))),
        EndpointProtocol::Http2 => {
            let (sender, connection) = http2::Builder::new(OnThisWorker)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(4 << 20)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            // How it ends, its requests learn by themselves.
            spawn_local(async move {
                if let Err(error) = connection.await {
                    tracing::trace!(%error, "upstream connection ended");
                }
            });
            Ok(Opened::Http2(sender))
        }
    }
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
