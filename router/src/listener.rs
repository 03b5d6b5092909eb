//! Client connections: bind, accept, TLS, limits, expiry, drain.
//!
//! Each worker has a socket of its own on every address (`SO_REUSEPORT`), so that accepting needs
//! no hand-over. The choice of one socket per worker lives here alone.

mod bind;
mod connection;
mod connections;
mod framing;
mod watched;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tenant_store::model::Signal;
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use self::watched::{HangUp, Watched};
use crate::{
    config::ListenerLimits,
    control::Phase,
    proxy::{self, upstream::OnThisWorker},
    worker::Worker,
};

pub use bind::{BindError, bind};
pub use connection::{Busy, Connection};
pub use connections::Connections;

/// How long accepting pauses when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// One address that clients connect to.
#[derive(Debug)]
pub struct Address {
    /// Where.
    pub address: SocketAddr,
    /// The one signal it serves, or all.
    pub signal: Option<Signal>,
    /// How it shows itself; replaced by a reload.
    pub tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    /// What one client may take.
    pub limits: ListenerLimits,
    /// Connections open now, on all workers.
    open: AtomicUsize,
}

impl Address {
    /// An address nobody is connected to yet.
    pub fn new(
        address: SocketAddr,
        signal: Option<Signal>,
        tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
        limits: ListenerLimits,
    ) -> Self {
        Self {
            address,
            signal,
            tls,
            limits,
            open: AtomicUsize::new(0),
        }
    }
}

/// One worker's socket on an address.
#[derive(Debug)]
pub struct Listener {
    address: Arc<Address>,
    socket: std::net::TcpListener,
}

/// A listener registered with its worker's runtime.
#[derive(Debug)]
pub(crate) struct OpenListener {
    address: Arc<Address>,
    socket: TcpListener,
}

/// A place among the connections an address takes.
#[derive(Debug)]
struct Place(Arc<Address>);

impl Listener {
    pub(crate) fn open(self) -> io::Result<OpenListener> {
        let socket = TcpListener::from_std(self.socket)?;
        Ok(OpenListener {
            address: self.address,
            socket,
        })
    }
}

impl OpenListener {
    /// Accepts until told to close; then takes what is queued already, so that no client that
    /// reached us is turned away.
    pub(crate) async fn accept_until_closing(self, worker: Rc<Worker>) {
        let mut phase = worker.watch_phase();
        let closing = async {
            let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
        };
        tokio::select! {
            () = closing => {}
            () = self.accept_for_ever(&worker) => {}
        }
        self.take_queued(&worker).await;
    }

    async fn accept_for_ever(&self, worker: &Rc<Worker>) {
        loop {
            let place = self.place().await;
            match self.socket.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, place, worker),
                Err(error) => pause_after(&error).await,
            }
        }
    }

    /// Shuts the queue for newcomers, then empties it.
    async fn take_queued(&self, worker: &Rc<Worker>) {
        // A second `listen` with no backlog: the kernel queues nobody any more.
        let _ = socket2::SockRef::from(&self.socket).listen(0);
        let soon = Duration::from_millis(1);
        while let Ok(Ok((stream, peer))) = timeout(soon, self.socket.accept()).await {
            self.welcome(stream, peer, Place::take(&self.address), worker);
        }
    }

    /// Waits until there is a place for one more connection.
    async fn place(&self) -> Place {
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        while self.address.open.load(Ordering::Relaxed) >= self.address.limits.max_connections {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Place::take(&self.address)
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, place: Place, worker: &Rc<Worker>) {
        let telemetry = worker.telemetry();
        telemetry.connections.accepted.inc();
        let secure = self.address.tls.is_some();
        let connection = Connection::new(
            peer,
            self.address.signal,
            secure,
            self.address.limits,
            worker.now(),
        );
        let worker = worker.clone();
        spawn_local(async move {
            let _registered = worker
                .connections()
                .register(&connection, worker.telemetry());
            if let Err(error) = serve(stream, &connection, &place.0, &worker).await {
                tracing::debug!(%peer, %error, "client connection ended");
            }
        });
    }
}

impl Place {
    fn take(address: &Arc<Address>) -> Self {
        address.open.fetch_add(1, Ordering::Relaxed);
        Self(address.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection until either side ends it.
async fn serve(
    stream: TcpStream,
    connection: &Rc<Connection>,
    address: &Address,
    worker: &Rc<Worker>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    connection::configure(&stream)?;
    let Some(tls) = &address.tls else {
        return serve_http(stream, connection, worker).await;
    };
    let acceptor = TlsAcceptor::from(tls.load_full());
    let stream = timeout(address.limits.head_timeout, acceptor.accept(stream))
        .await
        .map_err(|_| "the TLS handshake took too long")??;
    serve_http(stream, connection, worker).await
}

async fn serve_http<S: HangUp + 'static>(
    stream: S,
    connection: &Rc<Connection>,
    worker: &Rc<Worker>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(|request| {
        let (worker, connection) = (worker.clone(), connection.clone());
        async move { Ok::<_, Infallible>(proxy::handle(&worker, &connection, request).await) }
    });
    let io = TokioIo::new(Watched::new(stream, connection.clone()));
    let builder = protocol(connection.limits());
    connection
        .drive(builder.serve_connection(io, service))
        .await
}

/// HTTP/1.1 and HTTP/2, by ALPN or by the client's first bytes, every knob named.
fn protocol(limits: &ListenerLimits) -> auto::Builder<OnThisWorker> {
    let mut builder = auto::Builder::new(OnThisWorker);
    builder
        .http1()
        .half_close(false)
        .keep_alive(true)
        // Deadlines for heads and idle connections are the worker's, on its tick: a timer per
        // request would cost more than all of identify, classify and pick.
        .header_read_timeout(None)
        .max_buf_size(limits.max_head_bytes)
        .max_headers(limits.max_headers)
        .pipeline_flush(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(250)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(256 << 10);
    builder
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "a connection can't be accepted");
    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
}
