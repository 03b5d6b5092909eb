//! The admin listener: in clear, or by TLS with client certificates.
//!
//! Handshakes are made beside each other, so that a client that dawdles keeps no other waiting.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use super::certificate::Certificate;

/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes made at one time.
const HANDSHAKES: usize = 64;

/// How long accepting pauses when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Who is on the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// From where.
    pub(super) address: SocketAddr,
    /// Whether by TLS.
    pub(super) is_encrypted: bool,
    /// What they showed, verified.
    pub(super) certificate: Option<Arc<Certificate>>,
}

/// Connections that are ready to be served.
pub(super) struct AdminListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(Stream, Peer)>,
}

impl AdminListener {
    /// Accepts on `listener`, by TLS if there is a certificate.
    ///
    /// # Errors
    /// The system does not say where it listens.
    pub(super) fn new(
        listener: TcpListener,
        tls: Option<Arc<ArcSwap<ServerConfig>>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (accepted, ready) = mpsc::channel(1);
        tokio::spawn(accept(listener, tls, accepted));
        Ok(Self { address, ready })
    }
}

impl Listener for AdminListener {
    type Io = Stream;
    type Addr = Peer;

    async fn accept(&mut self) -> (Stream, Peer) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Accepting ends with the process only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            address: self.address,
            is_encrypted: false,
            certificate: None,
        })
    }
}

impl Connected<IncomingStream<'_, AdminListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, AdminListener>) -> Self {
        stream.remote_addr().clone()
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    accepted: mpsc::Sender<(Stream, Peer)>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let (stream, address) = tokio::select! {
            connection = listener.accept() => match connection {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(%error, "the admin listener can't accept a connection");
                    time::sleep(OUT_OF_DESCRIPTORS).await;
                    continue;
                }
            },
            () = accepted.closed() => return,
        };
        let Some(tls) = &tls else {
            let peer = Peer {
                address,
                is_encrypted: false,
                certificate: None,
            };
            if accepted.send((Either::Left(stream), peer)).await.is_err() {
                return;
            }
            continue;
        };
        let Ok(permit) = handshakes.clone().acquire_owned().await else {
            return;
        };
        let (acceptor, accepted) = (TlsAcceptor::from(tls.load_full()), accepted.clone());
        tokio::spawn(async move {
            let _permit = permit;
            match time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let peer = Peer {
                        address,
                        is_encrypted: true,
                        certificate: Certificate::of(&stream).map(Arc::new),
                    };
                    let _ = accepted.send((Either::Right(Box::new(stream)), peer)).await;
                }
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "a TLS handshake with the admin listener failed");
                }
                Err(_elapsed) => {
                    tracing::debug!(%address, "a TLS handshake with the admin listener took too long");
                }
            }
        });
    }
}
