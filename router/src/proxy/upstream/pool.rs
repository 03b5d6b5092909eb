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
use hyper::client::conn::http2::SendRequest;
use smallvec::SmallVec;
use tenant_store::model::EndpointProtocol;
use tokio::time::Instant;

use super::{
    connect::{self, Opened},
    http1,
    lease::Lease,
};
use crate::{
    clock::Clock,
    proxy::{body::RequestBody, route::Peer},
};

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
    clock: Clock,
    limits: Cell<PoolLimits>,
    /// HTTP/1.1 connections without a request, the one used last at the end. Most of ten thousand
    /// endpoints have one: it lies in the map, so that finding it touches no further memory.
    idle: RefCell<HashMap<u64, SmallVec<[Idle; 1]>>>,
    idle_count: Cell<usize>,
    /// HTTP/2 connections, which carry many requests and stay here while they do.
    shared: RefCell<HashMap<u64, Shared>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<http1::Connection>,
    since: Instant,
}

#[derive(Debug)]
struct Shared {
    sender: SendRequest<RequestBody>,
    used: Instant,
}

/// Where a connection on loan goes back to.
#[derive(Debug)]
pub(super) struct Return {
    shelves: Rc<Shelves>,
    peer: u64,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits, clock: Clock) -> Self {
        Self(Rc::new(Shelves {
            clock,
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
        match peer.protocol() {
            EndpointProtocol::Http1 => {
                let connection = self.0.take_idle(peer.id())?;
                Some(Lease::http1(connection, self.back(peer)))
            }
            EndpointProtocol::Http2 => Some(Lease::http2(self.0.take_shared(peer.id())?)),
        }
    }

    /// A new connection.
    pub(super) async fn open(&self, peer: &Peer, limit: Duration) -> io::Result<Lease> {
        Ok(match connect::open(peer, limit).await? {
            Opened::Http1(connection) => Lease::http1(connection, self.back(peer)),
            Opened::Http2(sender) => {
                let shared = Shared {
                    sender: sender.clone(),
                    used: self.0.clock.now(),
                };
                self.0.shared.borrow_mut().insert(peer.id(), shared);
                Lease::http2(sender)
            }
        })
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
            idle.retain(|one| now.duration_since(one.since) < timeout && one.connection.is_fit());
            count += idle.len();
            !idle.is_empty()
        });
        self.0.idle_count.set(count);
        self.0.shared.borrow_mut().retain(|_, shared| {
            now.duration_since(shared.used) < timeout && !shared.sender.is_closed()
        });
    }

    fn back(&self, peer: &Peer) -> Return {
        Return {
            shelves: self.0.clone(),
            peer: peer.id(),
        }
    }
}

impl Return {
    /// Takes a connection back that can carry another request.
    pub(super) fn put(self, connection: Box<http1::Connection>) {
        let since = self.shelves.clock.now();
        self.shelves.put_back(self.peer, Idle { connection, since });
    }
}

impl Shelves {
    fn take_idle(&self, peer: u64) -> Option<Box<http1::Connection>> {
        let mut shelves = self.idle.borrow_mut();
        let row = shelves.get_mut(&peer)?;
        let (now, timeout) = (self.clock.now(), self.limits.get().idle_timeout);
        while let Some(idle) = row.pop() {
            self.idle_count.set(self.idle_count.get() - 1);
            if now.duration_since(idle.since) < timeout && idle.connection.is_fit() {
                return Some(idle.connection);
            }
        }
        None
    }

    fn take_shared(&self, peer: u64) -> Option<SendRequest<RequestBody>> {
        let mut shared = self.shared.borrow_mut();
        let connection = shared.get_mut(&peer)?;
        if connection.sender.is_closed() {
            shared.remove(&peer);
            return None;
        }
        connection.used = self.clock.now();
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
