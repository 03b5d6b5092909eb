//! All client connections of one worker: found again to expire, drain and wait for them.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use ahash::HashMap;
use tokio::time::Instant;

use crate::{connection::Connection, proxy::context::ProxyContext, telemetry::Telemetry};

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
pub(super) struct Registered {
    connections: Rc<Connections>,
    id: u64,
    context: Rc<ProxyContext>,
}

impl Connections {
    pub(super) fn register(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        context: &Rc<ProxyContext>,
    ) -> Registered {
        let id = self.next.get();
        self.next.set(id + 1);
        self.open.borrow_mut().insert(id, connection.clone());
        context.counts().accepted();
        Registered {
            connections: self.clone(),
            id,
            context: context.clone(),
        }
    }

    /// Ends what makes no progress; while draining, also what has been idle for a moment. What goes
    /// on and is idle gives back what it does not need meanwhile.
    ///
    /// HTTP/2 clients that are drained are told to go elsewhere with new requests. HTTP/1.1
    /// clients are told with their next answer, so that no request crosses with the end of its
    /// connection.
    pub fn expire(&self, now: Instant, draining: bool, telemetry: &Telemetry) {
        for connection in self.open.borrow().values() {
            let told_before = connection.is_draining();
            if draining && connection.is_http2() {
                connection.drain();
            }
            match connection.expired(now, draining) {
                None => connection.relax(now),
                // Gently at first, so that no request crosses with the end.
                Some("idle") if !told_before => connection.drain(),
                Some(cause) => {
                    telemetry.connection_expired(cause);
                    connection.end();
                }
            }
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

impl Drop for Registered {
    fn drop(&mut self) {
        self.context.counts().ended();
        self.connections.open.borrow_mut().remove(&self.id);
        if self.connections.open.borrow().is_empty()
            && let Some(waker) = self.connections.waiting.borrow_mut().take()
        {
            waker.wake();
        }
    }
}
