//! An answer's body on its way to the client. Permits, timers and the upstream connection end with
//! it, and whether it ended or broke off is never in doubt.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

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
    last_look: Instant,
}

/// How often a stream looks whether its tenant is still served.
const LOOK: Duration = Duration::from_secs(5);

/// Why an answer breaks off. The client sees its connection or stream break, never a clean end.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The backend broke off, or broke the framing.
    // Not told as a source: hyper would pass the backend's reset code on, and a client may take
    // that for leave to repeat the request.
    #[error("the backend broke off its answer: {0}")]
    Upstream(hyper::Error),
    /// The backend reset its HTTP/2 stream without an error before it was ended.
    #[error("the backend reset its answer before the end")]
    Reset,
    /// The backend was silent for too long, or the answer took too long as a whole.
    #[error("the backend did not finish its answer in time")]
    Late,
    /// The tenant was suspended or deleted while its stream went on.
    #[error("the tenant is served no longer")]
    Withdrawn,
}

impl RelayError {
    /// The `reason` label of metrics and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Upstream(_) | Self::Reset => "upstream_truncated",
            Self::Late => "upstream_timeout",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl ResponseBody {
    /// Begins to relay an answer. `lease` gives the connection back once the answer is whole.
    pub fn relay(incoming: Incoming, exchange: Exchange, lease: Lease, patience: Patience) -> Self {
        let now = Instant::now();
        let mut relay = Relay {
            incoming,
            exchange,
            lease: Some(lease),
            patience,
            alarm: None,
            last_frame: now,
            last_look: now,
        };
        if relay.incoming.is_end_stream() {
            relay.end();
        }
        Self::Relay(Box::new(relay))
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self
                .overdue(cx)
                .map(|error| Some(Err(self.break_off(error))));
        };
        Poll::Ready(match frame {
            // A stream that was ended says so; one that was reset with NO_ERROR does not.
            None if self.is_reset() => Some(Err(self.break_off(RelayError::Reset))),
            None => {
                self.end();
                None
            }
            Some(Ok(frame)) => {
                self.count(&frame);
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(self.break_off(RelayError::Upstream(error)))),
        })
    }

    fn count(&mut self, frame: &Frame<Bytes>) {
        self.exchange.sent(frame.data_ref().map_or(0, Bytes::len));
        if let Patience::Idle(_) = self.patience {
            self.last_frame = Instant::now();
        }
        // A body of known length is not polled again by the server once it is whole, nor any after
        // its trailers.
        if frame.is_trailers() || self.incoming.is_end_stream() {
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

    fn is_reset(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_http2) && !self.incoming.is_end_stream()
    }

    fn break_off(&mut self, error: RelayError) -> RelayError {
        self.exchange.broken_off(&error);
        self.lease = None;
        error
    }

    /// Why the answer has to end here, if it has; if not, sees to it that somebody asks again in
    /// time.
    fn overdue(&mut self, cx: &mut Context<'_>) -> Poll<RelayError> {
        loop {
            let next = self.next_look();
            let alarm = self
                .alarm
                .get_or_insert_with(|| Box::pin(sleep_until(next)));
            ready!(alarm.as_mut().poll(cx));
            let now = Instant::now();
            if self
                .patience
                .ends(self.last_frame)
                .is_some_and(|end| end <= now)
            {
                return Poll::Ready(RelayError::Late);
            }
            self.last_look = now;
            if self.exchange.is_withdrawn() {
                return Poll::Ready(RelayError::Withdrawn);
            }
            let next = self.next_look();
            if let Some(alarm) = &mut self.alarm {
                alarm.as_mut().reset(next);
            }
        }
    }

    fn next_look(&self) -> Instant {
        let look = self.last_look + LOOK;
        self.patience
            .ends(self.last_frame)
            .map_or(look, |end| end.min(look))
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
