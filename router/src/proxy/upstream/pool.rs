//! One worker's upstream connections, by peer: taken out to send a request, put back when the
//! answer is whole.
//!
//! Never shared between threads, so nothing here is locked. A connection whose answer was not read
//! to its end is closed, which is also how a request is cancelled at its backend.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use ahash::HashMap;
use health::InFlight;
use http::{Request, Response};
use hyper::body::Incoming;
use tenant_store::model::EndpointProtocol;
use tokio::{task::AbortHandle, time::Instant};

use super::connect::{self, Opened, Sender};
use crate::proxy::{body::RequestBody, rewrite::Destination, route::Peer};

/// How many idle connections are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Idle connections kept per peer and worker.
    pub idle_per_peer: usize,
    /// Idle connections kept per worker.
    pub idle: usize,
    /// How long one is kept; less than the 60 s after which the backends close it.
    pub idle_timeout: Duration,
}

/// One worker's connections.
#[derive(Debug)]
pub struct Pool(Rc<Shelves>);

#[derive(Debug)]
struct Shelves {
    limits: Cell<PoolLimits>,
    /// HTTP/1.1 connections without a request, the one used last at the end.
    idle: RefCell<HashMap<u64, Vec<Idle>>>,
    idle_count: Cell<usize>,
    /// HTTP/2 connections, which carry many requests and stay here while they do.
    shared: RefCell<HashMap<u64, Shared>>,
}

#[derive(Debug)]
struct Idle {
    sender: hyper::client::conn::http1::SendRequest<RequestBody>,
    driver: AbortHandle,
    since: Instant,
}

#[derive(Debug)]
struct Shared {
    sender: hyper::client::conn::http2::SendRequest<RequestBody>,
    used: Instant,
}

/// A connection on loan to one request. Dropped without [`Lease::release`], it is closed.
#[derive(Debug)]
pub struct Lease {
    shelves: Rc<Shelves>,
    peer: u64,
    sender: Sender,
    driver: Driver,
    load: Option<InFlight>,
}

/// Closes its connection when it is dropped, unless that is shared.
#[derive(Debug)]
struct Driver(Option<AbortHandle>);

/// A request that is pointed at an endpoint, and what it takes to point it at another.
pub(super) struct Addressed {
    pub(super) request: Request<RequestBody>,
    pub(super) destination: Destination,
}

/// A request that got no answer.
pub(super) struct Unsent {
    pub(super) error: hyper::Error,
    /// The request, if no byte of it was written.
    pub(super) returned: Option<Addressed>,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits) -> Self {
        Self(Rc::new(Shelves {
            limits: Cell::new(limits),
            idle: RefCell::default(),
            idle_count: Cell::new(0),
            shared: RefCell::default(),
        }))
    }

    /// Changes the limits from now on.
    pub fn set_limits(&self, limits: PoolLimits) {
        self.0.limits.set(limits);
    }

    /// A connection that is there and looks alive.
    pub(super) fn checkout(&self, peer: &Peer) -> Option<Lease> {
        let connection = match peer.protocol() {
            EndpointProtocol::Http1 => {
                let idle = self.0.take_idle(peer.id())?;
                Opened {
                    sender: Sender::Http1(idle.sender),
                    driver: Some(idle.driver),
                }
            }
            EndpointProtocol::Http2 => {
                let sender = self.0.take_shared(peer.id())?;
                Opened {
                    sender: Sender::Http2(sender),
                    driver: None,
                }
            }
        };
        Some(self.lease(peer, connection))
    }

    /// A new connection.
    pub(super) async fn open(&self, peer: &Peer, limit: Duration) -> io::Result<Lease> {
        let opened = connect::open(peer, limit).await?;
        if let Sender::Http2(sender) = &opened.sender {
            let shared = Shared {
                sender: sender.clone(),
                used: Instant::now(),
            };
            self.0.shared.borrow_mut().insert(peer.id(), shared);
        }
        Ok(self.lease(peer, opened))
    }

    /// Closes what is idle at a peer, and forgets what is shared: where one connection was found
    /// dead, the others are too. Requests on a shared one that lives go on.
    pub(super) fn forget(&self, peer: &Peer) {
        self.0.shared.borrow_mut().remove(&peer.id());
        if let Some(idle) = self.0.idle.borrow_mut().remove(&peer.id()) {
            self.0.idle_count.set(self.0.idle_count.get() - idle.len());
        }
    }

    /// Closes what has been idle for too long. Called on the worker's tick.
    pub fn reap(&self, now: Instant) {
        let timeout = self.0.limits.get().idle_timeout;
        let mut count = 0;
        self.0.idle.borrow_mut().retain(|_, idle| {
            idle.retain(|one| now.duration_since(one.since) < timeout && !one.sender.is_closed());
            count += idle.len();
            !idle.is_empty()
        });
        self.0.idle_count.set(count);
        self.0.shared.borrow_mut().retain(|_, shared| {
            now.duration_since(shared.used) < timeout && !shared.sender.is_closed()
        });
    }

    fn lease(&self, peer: &Peer, connection: Opened) -> Lease {
        Lease {
            shelves: self.0.clone(),
            peer: peer.id(),
            sender: connection.sender,
            driver: Driver(connection.driver),
            load: None,
        }
    }
}

impl Shelves {
    fn take_idle(&self, peer: u64) -> Option<Idle> {
        let mut shelves = self.idle.borrow_mut();
        let row = shelves.get_mut(&peer)?;
        let timeout = self.limits.get().idle_timeout;
        while let Some(idle) = row.pop() {
            self.idle_count.set(self.idle_count.get() - 1);
            if idle.sender.is_ready() && idle.since.elapsed() < timeout {
                return Some(idle);
            }
        }
        None
    }

    fn take_shared(
        &self,
        peer: u64,
    ) -> Option<hyper::client::conn::http2::SendRequest<RequestBody>> {
        let mut shared = self.shared.borrow_mut();
        let connection = shared.get_mut(&peer)?;
        if connection.sender.is_closed() {
            shared.remove(&peer);
            return None;
        }
        connection.used = Instant::now();
        Some(connection.sender.clone())
    }

    fn put_back(&self, peer: u64, idle: Idle) {
        let limits = self.limits.get();
        let mut shelves = self.idle.borrow_mut();
        let row = shelves.entry(peer).or_default();
        if row.len() < limits.idle_per_peer && self.idle_count.get() < limits.idle {
            row.push(idle);
            self.idle_count.set(self.idle_count.get() + 1);
        }
    }
}

impl Lease {
    /// Counts the request as in flight at its endpoint until the lease ends.
    pub(super) fn counted(&mut self, load: InFlight) {
        self.load = Some(load);
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        addressed: Addressed,
    ) -> Result<Response<Incoming>, Unsent> {
        let Addressed {
            request,
            destination,
        } = addressed;
        let sent = match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut unsent| {
            let returned = unsent.take_message().map(|request| Addressed {
                request,
                destination,
            });
            Unsent {
                error: unsent.into_error(),
                returned,
            }
        })
    }

    /// Whether the connection speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Gives the connection back: the answer has been read to its end.
    pub fn release(self) {
        if let (Sender::Http1(sender), Some(driver)) = (self.sender, self.driver.let_go())
            && !sender.is_closed()
        {
            let since = Instant::now();
            self.shelves.put_back(
                self.peer,
                Idle {
                    sender,
                    driver,
                    since,
                },
            );
        }
    }
}

impl Driver {
    /// Leaves the connection open.
    fn let_go(mut self) -> Option<AbortHandle> {
        self.0.take()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(driver) = &self.0 {
            driver.abort();
        }
    }
}
