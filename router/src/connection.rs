//! One client connection, as its requests and its listener see it: who is at the other end, what it
//! is doing, and what is wanted of it. Reads and writes nothing itself.

mod certificate;
pub mod framing;

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderValue, Version};
use hyper_util::server::graceful::GracefulConnection;
use socket2::{SockRef, TcpKeepalive};
use tenant_store::model::Signal;
use tokio::{net::TcpStream, time::Instant};

pub use self::certificate::{ClientCertificate, UnreadableCertificate};
use self::framing::Framing;
use crate::{clock::Clock, config::ListenerLimits};

/// A client that vanished without a word is noticed after 30 s + 3 × 10 s, even on a silent tail.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    /// Whom a proxy in front of us speaks for, if it said so; nobody knows whom, if it said that.
    announced: OnceCell<Option<Peer>>,
    certificate: OnceCell<ClientCertificate>,
    signal: Option<Signal>,
    secure: bool,
    limits: ListenerLimits,
    framing: RefCell<Framing>,
    ambiguous: Cell<bool>,
    stage: Cell<Stage>,
    since: Cell<Instant>,
    clock: Clock,
    requests: Cell<u32>,
    http2: Cell<bool>,
    http10: Cell<bool>,
    /// Whether what is being answered has no end of its own.
    endless: Cell<bool>,
    stalled_since: Cell<Option<Instant>>,
    order: Cell<Order>,
    effort: Cell<Effort>,
    waker: RefCell<Option<Waker>>,
}

/// Somebody's address, and the same as text.
#[derive(Debug)]
struct Peer(IpAddr, HeaderValue);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has come since the last answer.
    Idle,
    /// A head has begun to come.
    Head,
    /// Requests are being answered.
    Busy,
}

/// What the worker wants of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Serve,
    /// Finish what has begun, begin nothing new.
    Drain,
    /// End at once.
    End,
}

/// What is held for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Its socket, and its TLS session if it has one.
    Rest,
    /// A protocol with its buffers as well.
    Protocol,
    /// The same, to be given back for want of use.
    Relax,
}

/// What became of a protocol that was driven.
#[derive(Debug)]
pub(crate) enum Driven<E> {
    /// It ended by itself.
    Ended(Result<(), E>),
    /// It was told to end at once.
    CutOff,
    /// It has had nothing to do for a while, and holds nothing that is needed.
    Idle,
}

/// A request on a connection, from its head to the last byte of its answer.
#[derive(Debug)]
pub struct Busy(Rc<Connection>);

/// Socket options of a client connection.
pub(crate) fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE)
}

impl Connection {
    pub(crate) fn new(
        peer: SocketAddr,
        signal: Option<Signal>,
        secure: bool,
        limits: ListenerLimits,
        clock: Clock,
    ) -> Rc<Self> {
        Rc::new(Self {
            peer: Peer::new(peer.ip()),
            announced: OnceCell::new(),
            certificate: OnceCell::new(),
            signal,
            secure,
            limits,
            framing: RefCell::default(),
            ambiguous: Cell::new(false),
            stage: Cell::new(Stage::Idle),
            since: Cell::new(clock.now()),
            clock,
            requests: Cell::new(0),
            http2: Cell::new(false),
            http10: Cell::new(false),
            endless: Cell::new(false),
            stalled_since: Cell::new(None),
            order: Cell::new(Order::Serve),
            effort: Cell::new(Effort::Rest),
            waker: RefCell::default(),
        })
    }

    /// The client's address, or that of the last proxy before us.
    pub fn peer(&self) -> IpAddr {
        self.believed_peer().0
    }

    /// The same as text.
    pub fn peer_text(&self) -> &HeaderValue {
        &self.believed_peer().1
    }

    /// Whether a proxy speaks for somebody, but does not know for whom.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.announced.get(), Some(None))
    }

    /// Takes the word of a proxy, once, on who is at the other end.
    pub(crate) fn announce(&self, peer: Option<IpAddr>) {
        let _ = self.announced.set(peer.map(Peer::new));
    }

    fn believed_peer(&self) -> &Peer {
        let announced = self.announced.get().and_then(Option::as_ref);
        announced.unwrap_or(&self.peer)
    }

    /// What the client showed of itself when the connection began.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.get()
    }

    /// Takes what the client shows of itself, once.
    pub(crate) fn show(&self, certificate: ClientCertificate) {
        let _ = self.certificate.set(certificate);
    }

    /// The one signal of the listener, if it has one.
    pub fn signal(&self) -> Option<Signal> {
        self.signal
    }

    /// Whether the client came by TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// What one client may take.
    pub fn limits(&self) -> &ListenerLimits {
        &self.limits
    }

    /// Whether the request that began last says in two ways, or in none that is known here, where
    /// its body ends.
    pub fn has_ambiguous_framing(&self) -> bool {
        self.ambiguous.get()
    }

    /// Marks the connection as busy with one more request.
    pub fn busy(self: &Rc<Self>, version: Version) -> Busy {
        let http2 = version == Version::HTTP_2;
        let clear = http2 || self.framing.borrow_mut().take_head();
        self.ambiguous.set(!clear);
        self.http2.set(http2);
        self.http10.set(version == Version::HTTP_10);
        self.requests.set(self.requests.get() + 1);
        self.stage.set(Stage::Busy);
        Busy(self.clone())
    }

    /// Whether the end of an answer is told by the end of the connection, so that breaking it off
    /// takes a reset.
    pub(crate) fn ends_answers_by_closing(&self) -> bool {
        self.http10.get()
    }

    /// Bytes came from the client.
    pub(crate) fn received(&self, bytes: &[u8]) {
        if self.http2.get() {
            return;
        }
        // What comes behind a stream without end will never be answered, and while it waits to be
        // read the client's departure would go unnoticed.
        if self.endless.get() {
            self.end();
        }
        if self.stage.get() == Stage::Idle {
            self.stage.set(Stage::Head);
            self.since.set(self.clock.now());
        }
        self.framing.borrow_mut().feed(bytes);
    }

    /// The client speaks HTTP/2, which has no heads to wait for here.
    pub(crate) fn speaks_http2(&self) {
        self.http2.set(true);
    }

    /// Whether the client takes what is written to it.
    pub(crate) fn wrote(&self, went: bool) {
        if went {
            self.stalled_since.set(None);
        } else if self.stalled_since.get().is_none() {
            self.stalled_since.set(Some(self.clock.now()));
        }
    }

    /// Why the connection should end now, if it should.
    pub(crate) fn expired(&self, now: Instant, draining: bool) -> Option<&'static str> {
        /// How long a client that is being drained may be silent before it is let go.
        const DRAINED: Duration = Duration::from_secs(1);
        let idle = if draining {
            DRAINED
        } else {
            self.limits.idle_timeout
        };
        let (limit, cause) = match self.stage.get() {
            Stage::Idle => (idle, "idle"),
            Stage::Head if self.http2.get() => (idle, "idle"),
            Stage::Head => (self.limits.head_timeout, "slow_head"),
            Stage::Busy => {
                let stalled = self.stalled_since.get()?;
                let late = now.saturating_duration_since(stalled) >= self.limits.write_timeout;
                return late.then_some("stalled_reader");
            }
        };
        (now.saturating_duration_since(self.since.get()) >= limit).then_some(cause)
    }

    /// Lets the connection finish what has begun.
    pub(crate) fn drain(&self) {
        self.command(Order::Drain);
    }

    /// Ends the connection at once.
    pub(crate) fn end(&self) {
        self.command(Order::End);
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.get()
    }

    /// Whether it was told already to begin nothing new.
    pub(crate) fn is_draining(&self) -> bool {
        self.order.get() >= Order::Drain
    }

    /// Has the connection give back its protocol, if that has had nothing to do for a while.
    pub(crate) fn relax(&self, now: Instant) {
        /// Shorter ones are the pauses of clients at work.
        const IDLE: Duration = Duration::from_secs(1);
        let idle = now.saturating_duration_since(self.since.get());
        if self.effort.get() == Effort::Protocol
            && self.order.get() == Order::Serve
            && idle >= IDLE
            && self.is_between_requests()
        {
            self.effort.set(Effort::Relax);
            self.wake();
        }
    }

    /// Whether all that came has been answered and all that was said has been taken, so that an
    /// HTTP/1 protocol begun anew would go on just as well.
    fn is_between_requests(&self) -> bool {
        self.stage.get() == Stage::Idle
            && !self.http2.get()
            && self.stalled_since.get().is_none()
            && self.framing.borrow().is_between_messages()
    }

    fn command(&self, order: Order) {
        if order > self.order.get() {
            self.order.set(order);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits for `poll` to see something come from the client, with nothing else held for the
    /// connection. `None` if it shall end instead.
    pub(crate) async fn rest<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        self.effort.set(Effort::Rest);
        poll_fn(|cx| {
            self.listen(cx);
            match (poll(cx), self.order.get()) {
                (Poll::Ready(seen), _) => Poll::Ready(Some(seen)),
                (Poll::Pending, Order::End) => Poll::Ready(None),
                // The first bytes of a request are waited for to their end, or to their deadline.
                (Poll::Pending, Order::Drain) if self.stage.get() == Stage::Idle => {
                    Poll::Ready(None)
                }
                (Poll::Pending, Order::Drain | Order::Serve) => Poll::Pending,
            }
        })
        .await
    }

    /// Drives the protocol until it ends or has been idle for long, minding the worker's orders.
    pub(crate) async fn drive<C>(&self, mut protocol: Pin<&mut C>) -> Driven<C::Error>
    where
        C: GracefulConnection,
    {
        self.effort.set(Effort::Protocol);
        let mut draining = false;
        poll_fn(|cx| {
            self.listen(cx);
            if self.order.get() == Order::End {
                return Poll::Ready(Driven::CutOff);
            }
            if self.effort.replace(Effort::Protocol) == Effort::Relax && self.is_between_requests()
            {
                return Poll::Ready(Driven::Idle);
            }
            let mut polled = protocol.as_mut().poll(cx);
            // Told only now: one that has not looked yet at what woke it would end without.
            if polled.is_pending() && self.order.get() == Order::Drain && !draining {
                draining = true;
                protocol.as_mut().graceful_shutdown();
                polled = protocol.as_mut().poll(cx);
            }
            polled.map(Driven::Ended)
        })
        .await
    }

    fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }
}

impl Peer {
    fn new(ip: IpAddr) -> Self {
        // IPv4 clients of a dual-stack socket are known by their IPv4 address.
        let ip = ip.to_canonical();
        let text = HeaderValue::from_str(&ip.to_string());
        Self(
            ip,
            text.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
        )
    }
}

impl Busy {
    /// The answer has no end of its own: only one side's leaving ends it.
    pub fn is_endless(&self) {
        self.0.endless.set(!self.0.http2.get());
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let connection = &self.0;
        connection.endless.set(false);
        connection.requests.set(connection.requests.get() - 1);
        if connection.requests.get() == 0 {
            // Part of the next head may have come meanwhile.
            let within_head = connection.framing.borrow().is_within_head();
            let stage = if within_head && !connection.http2.get() {
                Stage::Head
            } else {
                Stage::Idle
            };
            connection.stage.set(stage);
            connection.since.set(connection.clock.now());
        }
    }
}
