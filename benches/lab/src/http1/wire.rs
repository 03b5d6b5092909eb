//! What HTTP is spoken over: a TCP connection, in clear or inside TLS.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Loopback addresses to connect from, so that no single one runs out of ports; apart from those
/// of the endpoints.
const SOURCES: u32 = 0x7f40_0001;
const SOURCE_COUNT: u32 = 64;

/// Sessions remembered, where they are.
const SESSIONS: usize = 32;

/// An open connection.
#[derive(Debug)]
pub(crate) enum Wire {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How a client speaks TLS: to whom, and with which sessions.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
}

/// Whether sessions are taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sessions {
    Resumed,
    Fresh,
}

impl Tls {
    /// TLS 1.3 to whoever has the certificate in that PEM file.
    pub(crate) fn trusting(
        certificate: &Path,
        protocol: &str,
        sessions: Sessions,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let invalid = |error: &dyn std::error::Error| {
            let file = certificate.display();
            io::Error::new(io::ErrorKind::InvalidData, format!("{file}: {error}"))
        };
        let certificates = CertificateDer::pem_file_iter(certificate);
        for trusted in certificates.map_err(|error| invalid(&error))? {
            let trusted = trusted.map_err(|error| invalid(&error))?;
            roots.add(trusted).map_err(|error| invalid(&error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| invalid(&error))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config.resumption = match sessions {
            Sessions::Resumed => Resumption::in_memory_sessions(SESSIONS),
            Sessions::Fresh => Resumption::disabled(),
        };
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Shakes hands over a connection.
    pub(crate) async fn over(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::from(stream.peer_addr()?.ip());
        let connector = TlsConnector::from(self.config.clone());
        connector.connect(name, stream).await
    }
}

impl Wire {
    /// Connects, and shakes hands if TLS is asked for.
    pub(crate) async fn open(stream: TcpStream, tls: Option<&Tls>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(match tls {
            None => Self::Clear(stream),
            Some(tls) => Self::Tls(Box::new(tls.over(stream).await?)),
        })
    }

    /// Whether an earlier session was taken up again.
    pub(crate) fn is_resumed(&self) -> bool {
        match self {
            Self::Clear(_) => false,
            Self::Tls(stream) => {
                stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
            }
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Appends what comes next, and tells how much it was: nothing at the end.
    pub(crate) async fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Reads what is there already, if anything is.
    pub(crate) fn peek(&self) -> io::Result<usize> {
        let stream = match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        stream.try_read(&mut [0])
    }
}

/// Connects from one of the sources, by turns.
pub(crate) async fn connect_from(number: u32, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let source = Ipv4Addr::from_bits(SOURCES + number % SOURCE_COUNT);
    socket.bind((source, 0).into())?;
    socket.connect(address).await
}
