//! Client connections: bind, accept, TLS, limits, expiry, drain.
//!
//! Each worker has a socket of its own on every address (`SO_REUSEPORT`), so that accepting needs
//! no hand-over. The choice of one socket per worker lives here alone.

mod bind;
mod connections;
mod http;
mod proxy_protocol;
mod watched;

use std::{
    error::Error,
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
use socket2::SockRef;
use tenant_store::model::Signal;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::spawn_local,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::{
    proxy_protocol::{ProxyFault, Spoken},
    watched::Protocol,
};
use crate::{
    config::ListenerLimits,
    connection::{self, ClientCertificate, Connection},
    control::Phase,
    proxy::context::{ProxyContext, Stance},
};

pub use bind::{BindError, bind};
pub use connections::Connections;

/// How long accepting pauses when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// Why a connection ended before its time, for the log.
type Fault = Box<dyn Error + Send + Sync>;

/// What awaits a worker's clients, whichever address they come to.
#[derive(Debug)]
pub struct Reception {
    /// What their requests work with.
    pub context: Rc<ProxyContext>,
    /// Those that are connected.
    pub connections: Rc<Connections>,
    phase: watch::Receiver<Phase>,
}

impl Reception {
    /// A reception where nobody is yet, until `phase` says to close.
    pub fn new(context: Rc<ProxyContext>, phase: watch::Receiver<Phase>) -> Self {
        Self {
            context,
            connections: Rc::default(),
            phase,
        }
    }

    /// Ends the connections that make no progress.
    pub fn expire(&self, now: Instant) {
        let draining = self.context.stance() == Stance::Draining;
        self.connections
            .expire(now, draining, self.context.telemetry());
    }
}

/// One address that clients connect to.
#[derive(Debug)]
pub struct Address {
    /// Where.
    pub address: SocketAddr,
    /// The one signal it serves, or all.
    pub signal: Option<Signal>,
    /// How it shows itself; replaced by a reload.
    pub tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    /// Whether each connection begins with a proxy's word on whom it speaks for.
    pub proxy_protocol: bool,
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
        proxy_protocol: bool,
        limits: ListenerLimits,
    ) -> Self {
        Self {
            address,
            signal,
            tls,
            proxy_protocol,
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
    /// Where it listens; the port is the real one, even if the system chose it.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

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
    pub(crate) async fn accept_until_closing(self, reception: Rc<Reception>) {
        let mut phase = reception.phase.clone();
        let closing = async {
            let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
        };
        tokio::select! {
            () = closing => {}
            () = self.accept_for_ever(&reception) => {}
        }
        self.take_queued(&reception);
    }

    async fn accept_for_ever(&self, reception: &Rc<Reception>) {
        loop {
            self.room().await;
            match self.socket.accept().await {
                Ok((stream, peer)) => self.welcome(stream, peer, reception),
                Err(error) => pause_after(&error).await,
            }
        }
    }

    /// Shuts the queue for newcomers, then empties it.
    fn take_queued(&self, reception: &Rc<Reception>) {
        let socket = SockRef::from(&self.socket);
        // A second `listen` with no backlog: the kernel queues one more at most.
        let _ = socket.listen(0);
        // The kernel itself is asked: the runtime knows what was queued when it last looked, and
        // who comes between our last look and the end of the socket is reset.
        loop {
            let accepted = socket.accept().and_then(|(stream, peer)| {
                stream.set_nonblocking(true)?;
                Ok((TcpStream::from_std(stream.into())?, peer.as_socket()))
            });
            match accepted {
                Ok((stream, Some(peer))) => self.welcome(stream, peer, reception),
                Ok((_, None)) => {}
                Err(error) if is_one_clients(&error) => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until there is room for one more connection. Workers that look at the same moment
    /// may let in one each.
    async fn room(&self) {
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        while self.address.open.load(Ordering::Relaxed) >= self.address.limits.max_connections {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn welcome(&self, stream: TcpStream, peer: SocketAddr, reception: &Rc<Reception>) {
        let place = Place::take(&self.address);
        let secure = self.address.tls.is_some();
        let connection = Connection::new(
            peer,
            self.address.signal,
            secure,
            self.address.limits,
            reception.context.clock().clone(),
        );
        // Before the task is first polled: who waits for all connections to end sees this one.
        let registered = reception
            .connections
            .register(&connection, &reception.context);
        let reception = reception.clone();
        spawn_local(async move {
            let _registered = registered;
            if let Err(error) = serve(stream, &connection, &place.0, &reception).await {
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
    mut stream: TcpStream,
    connection: &Rc<Connection>,
    address: &Address,
    reception: &Rc<Reception>,
) -> Result<(), Fault> {
    connection::configure(&stream)?;
    // What happens once, and not to all, is boxed: idle connections would hold the room for it.
    if address.proxy_protocol {
        Box::pin(hear_proxy(&mut stream, connection, address, reception)).await?;
    }
    let Some(tls) = &address.tls else {
        return http::serve(stream, None, connection, reception).await;
    };
    let stream = Box::pin(shake_hands(stream, tls, connection)).await?;
    let spoken = stream.get_ref().1.alpn_protocol();
    let agreed = (spoken == Some(b"h2")).then_some(Protocol::Http2);
    http::serve(stream, agreed, connection, reception).await
}

/// Begins TLS, and takes what the client shows of itself.
async fn shake_hands(
    stream: TcpStream,
    tls: &ArcSwap<rustls::ServerConfig>,
    connection: &Connection,
) -> Result<Box<TlsStream<TcpStream>>, Fault> {
    let acceptor = TlsAcceptor::from(tls.load_full());
    let stream = timeout(connection.limits().head_timeout, acceptor.accept(stream))
        .await
        .map_err(|_| "the TLS handshake took too long")??;
    let chain = stream.get_ref().1.peer_certificates();
    if let Some(shown) = chain.and_then(|chain| chain.first()) {
        connection.show(ClientCertificate::read(shown)?);
    }
    Ok(Box::new(stream))
}

/// Takes a trusted proxy's word on who is at the other end.
async fn hear_proxy(
    stream: &mut TcpStream,
    connection: &Connection,
    address: &Address,
    reception: &Reception,
) -> Result<(), ProxyFault> {
    let peer = connection.peer();
    let header = if reception.context.settings().trusts(peer) {
        let limit = address.limits.head_timeout;
        let heard = timeout(limit, proxy_protocol::read(stream)).await;
        heard.unwrap_or(Err(ProxyFault::Slow))
    } else {
        Err(ProxyFault::Untrusted(peer))
    };
    match header.inspect_err(|fault| reception.context.telemetry().refused(fault.cause()))? {
        Spoken::ForItself => {}
        Spoken::For(client) => connection.announce(Some(client)),
        Spoken::ForSomebody => connection.announce(None),
    }
    Ok(())
}

/// Whether an error of accepting says nothing of the next client.
fn is_one_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
    )
}

async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "a connection can't be accepted");
    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
}

#[cfg(test)]
mod tests {
    use crate::connection::Connection;

    fn size_of_answer<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn little_is_held_for_a_connection_at_rest() {
        let task = size_of_answer(super::serve);
        let connection = size_of::<Connection>();
        assert!(
            task <= 700 && connection <= 500,
            "{task} and {connection} bytes"
        );
    }
}
