//! An answer's body on its way to the client. Permits, timers and the upstream connection end with
//! it, and whether it ended or broke off is never in doubt.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use super::{account::Exchange, patience::Patience, upstream::Lease};

/// An answer's body on its way to the client.
#[derive(Debug)]
pub enum ResponseBody {
    /// Made here.
    Own(Bytes),
    /// Flows through from a backend.
    Relay(Box<Relay>),
}

/// A backend's answer as it flows through, with all that lasts as long as it does.
#[derive(Debug)]
pub struct Relay {
    incoming: Incoming,
    exchange: Exchange,
    lease: Option<Lease>,
    patience: Patience,
    alarm: Option<Pin<Box<Sleep>>>,
    last_frame: Instant,
}

/// Why an answer breaks off. The client sees its connection or stream break, never a clean end.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The backend broke off, or broke the framing.
    #[error("the backend broke off its answer: {0}")]
    Upstream(#[source] hyper::Error),
    /// The backend was silent for too long, or the answer took too long as a whole.
    #[error("the backend did not finish its answer in time")]
    Late,
}

impl ResponseBody {
    /// Begins to relay an answer. `lease` gives the connection back once the answer is whole.
    pub fn relay(incoming: Incoming, exchange: Exchange, lease: Lease, patience: Patience) -> Self {
        let mut relay = Relay {
            incoming,
            exchange,
            lease: Some(lease),
            patience,
            alarm: None,
            last_frame: Instant::now(),
        };
        if relay.incoming.is_end_stream() {
            relay.end();
        }
        Self::Relay(Box::new(relay))
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending if self.is_late(cx) => return Poll::Ready(Some(Err(self.late()))),
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(match frame {
            None => {
                self.end();
                None
            }
            Some(Ok(frame)) => {
                self.count(&frame);
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.exchange.truncated();
                self.lease = None;
                Some(Err(RelayError::Upstream(error)))
            }
        })
    }

    fn count(&mut self, frame: &Frame<Bytes>) {
        self.exchange.sent(frame.data_ref().map_or(0, Bytes::len));
        if let Patience::Idle(_) = self.patience {
            self.last_frame = Instant::now();
        }
        // A body of known length is not polled again by the server once it is whole.
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        self.exchange.completed();
        // A backend that answered without reading the whole request has no use for the rest, and
        // its connection no use for another request.
        let is_clean = self.exchange.upload().is_whole();
        if let Some(lease) = self.lease.take().filter(|_| is_clean) {
            lease.release();
        }
    }

    fn late(&mut self) -> RelayError {
        self.exchange.late();
        self.lease = None;
        RelayError::Late
    }

    /// Whether patience has run out; if not, sees to it that somebody asks again when it has.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let deadline = match self.patience {
                Patience::Until(deadline) => deadline,
                Patience::Idle(limit) => self.last_frame + limit,
                Patience::Endless => return false,
            };
            let alarm = self
                .alarm
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            if alarm.deadline() >= deadline {
                return true;
            }
            // Frames came since the alarm was set: set it anew.
            alarm.as_mut().reset(deadline);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match self.get_mut() {
            Self::Own(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Relay(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_empty(),
            Self::Relay(relay) => relay.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}
