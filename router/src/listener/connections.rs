//! All client connections of one worker: found again to expire, drain and wait for them.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use ahash::HashMap;
use prometheus::IntGauge;
use tokio::time::Instant;

use crate::{connection::Connection, telemetry::Telemetry};

/// One worker's client connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    /// Whoever waits for the last connection to end.
    waiting: RefCell<Option<Waker>>,
}

/// A connection's place in the registry, given up when it ends.
#[derive(Debug)]
pub(super) struct Registered<'a> {
    connections: &'a Connections,
    id: u64,
    gauge: IntGauge,
}

impl Connections {
    pub(super) fn register(
        &self,
        connection: &Rc<Connection>,
        telemetry: &Arc<Telemetry>,
    ) -> Registered<'_> {
        let id = self.next.get();
        self.next.set(id + 1);
        self.open.borrow_mut().insert(id, connection.clone());
        telemetry.connections.open.inc();
        Registered {
            connections: self,
            id,
            gauge: telemetry.connections.open.clone(),
        }
    }

    /// Ends what makes no progress; while draining, also what has been idle for a moment.
    pub fn expire(&self, now: Instant, draining: bool, telemetry: &Telemetry) {
        for connection in self.open.borrow().values() {
            let Some(cause) = connection.expired(now, draining) else {
                continue;
            };
            if draining && cause == "idle" {
                connection.drain();
            } else {
                telemetry.connection_expired(cause);
                connection.end();
            }
        }
    }

    /// Tells HTTP/2 clients to go elsewhere with new requests. HTTP/1.1 clients are told with
    /// their next answer, so that no request crosses with the end of its connection.
    pub fn drain_http2(&self) {
        for connection in self
            .open
            .borrow()
            .values()
            .filter(|connection| connection.is_http2())
        {
            connection.drain();
        }
    }

    /// Ends when the last connection has.
    pub async fn all_ended(&self) {
        poll_fn(|cx| {
            if self.open.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.gauge.dec();
        self.connections.open.borrow_mut().remove(&self.id);
        if self.connections.open.borrow().is_empty()
            && let Some(waker) = self.connections.waiting.borrow_mut().take()
        {
            waker.wake();
        }
    }
}
