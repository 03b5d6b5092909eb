//! A real TCP server on loopback that behaves as badly as a test wants.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rcgen::CertifiedKey;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::{self, Instant},
};
use tokio_rustls::TlsAcceptor;

/// What the server does with a connection.
#[derive(Clone, Debug)]
pub(super) enum Conduct {
    /// Answers with this, verbatim, and keeps the connection.
    Answer(String),
    /// Answers some paths verbatim, without their queries, and all others with 200.
    ByPath(Vec<(&'static str, String)>),
    /// Reads the request, then says nothing until the client leaves.
    Hang,
    /// Resets the connection instead of answering.
    Reset,
    /// Answers 200, but only after a while.
    Slow(Duration),
}

impl Conduct {
    pub(super) fn status(status: &str) -> Self {
        Self::Answer(empty(status))
    }
}

/// An answer without a body.
pub(super) fn empty(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
}

fn ok() -> String {
    empty("200 OK")
}

/// Stops listening when dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    conduct: Arc<Mutex<Conduct>>,
    requests: Arc<Mutex<Vec<(Instant, String)>>>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(conduct: Conduct) -> Self {
        Self::listen(TcpListener::bind(LOOPBACK).await.unwrap(), conduct)
    }

    /// Listens on all loopback addresses, of which there are millions, at the port of `address`.
    pub(super) async fn start_everywhere(conduct: Conduct) -> Self {
        Self::listen(TcpListener::bind("0.0.0.0:0").await.unwrap(), conduct)
    }

    /// The `number`th address of a server that listens everywhere.
    pub(super) fn at(&self, number: u32) -> SocketAddr {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
        SocketAddr::new(ip.into(), self.address.port())
    }

    pub(super) async fn start_tls(conduct: Conduct, issued: &CertifiedKey<rcgen::KeyPair>) -> Self {
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind(LOOPBACK).await.unwrap();
        Self::accept(listener, conduct, Some(TlsAcceptor::from(Arc::new(tls))))
    }

    pub(super) fn listen(listener: TcpListener, conduct: Conduct) -> Self {
        Self::accept(listener, conduct, None)
    }

    fn accept(listener: TcpListener, conduct: Conduct, tls: Option<TlsAcceptor>) -> Self {
        let address = listener.local_addr().unwrap();
        let conduct = Arc::new(Mutex::new(conduct));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(AtomicUsize::new(0));
        let serving = (
            Arc::clone(&conduct),
            Arc::clone(&requests),
            Arc::clone(&open),
        );
        let task = tokio::spawn(async move {
            let (conduct, requests, open) = serving;
            while let Ok((stream, _)) = listener.accept().await {
                let (conduct, requests) = (conduct.lock().clone(), Arc::clone(&requests));
                let (open, tls) = (Arc::clone(&open), tls.clone());
                open.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    // A client that hangs up is no concern of the server's.
                    let _ = match tls {
                        Some(tls) => serve_tls(&tls, stream, conduct, &requests).await,
                        None => serve(stream, conduct, &requests).await,
                    };
                    open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self {
            address,
            conduct,
            requests,
            open,
            task,
        }
    }

    pub(super) fn behave(&self, conduct: Conduct) {
        *self.conduct.lock() = conduct;
    }

    /// The heads of all requests up to now.
    pub(super) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        requests.iter().map(|(_, head)| head.clone()).collect()
    }

    /// When they came.
    pub(super) fn times(&self) -> Vec<Instant> {
        self.requests.lock().iter().map(|(at, _)| *at).collect()
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.open.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address that refuses connections for as long as this socket isn't asked to listen; nobody
/// else can take it meanwhile.
pub(super) fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(LOOPBACK.parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn serve_tls(
    tls: &TlsAcceptor,
    stream: TcpStream,
    conduct: Conduct,
    requests: &Mutex<Vec<(Instant, String)>>,
) -> io::Result<()> {
    let mut stream = tls.accept(stream).await?;
    answer(&mut stream, conduct, requests).await?;
    stream.shutdown().await
}

async fn serve(
    mut stream: TcpStream,
    conduct: Conduct,
    requests: &Mutex<Vec<(Instant, String)>>,
) -> io::Result<()> {
    if let Conduct::Reset = conduct {
        stream.set_zero_linger()?;
    }
    answer(&mut stream, conduct, requests).await
}

async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    conduct: Conduct,
    requests: &Mutex<Vec<(Instant, String)>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    requests.lock().push((Instant::now(), head));
    match conduct {
        Conduct::ByPath(answers) => {
            let path = path.split('?').next().unwrap_or_default();
            let own = answers.into_iter().find(|(of, _)| *of == path);
            let answer = own.map_or_else(ok, |(_, answer)| answer);
            stream.write_all(answer.as_bytes()).await?;
        }
        Conduct::Answer(answer) => stream.write_all(answer.as_bytes()).await?,
        Conduct::Hang => {}
        Conduct::Reset => return Ok(()),
        Conduct::Slow(delay) => {
            time::sleep(delay).await;
            stream.write_all(ok().as_bytes()).await?;
        }
    }
    // Keeps the connection open, as servers do, until the client closes it.
    stream.read_u8().await.map(drop)
}

const LOOPBACK: &str = "127.0.0.1:0";
