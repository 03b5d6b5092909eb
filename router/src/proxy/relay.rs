//! An answer's body on its way to the client. Permits, timers and the upstream connection end with
//! it, and whether it ended or broke off is never in doubt.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tokio::time::Instant;

use super::{
    account::Exchange,
    patience::Patience,
    upstream::{Lease, UpstreamError},
};
use crate::{clock::Alarm, telemetry::Service};

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
    exchange: Exchange,
    /// What the answer flows from; `None` once it has ended, one way or the other.
    lease: Option<Lease>,
    /// How the answer ended, where the client is to be told in a moment.
    failure: Option<RelayError>,
    patience: Patience,
    alarm: Option<Alarm>,
    last_frame: Instant,
    last_look: Instant,
}

/// How often a stream looks whether its tenant is still served, and its key still accepted.
const LOOK: Duration = Duration::from_secs(5);

/// Why an answer breaks off. The client sees its connection or stream break, never a clean end.
#[derive(Debug, Error)]
pub enum RelayError {
    /// The backend broke off, or broke the framing.
    #[error("the backend broke off its answer: {0}")]
    Upstream(UpstreamError),
    /// The backend was silent for too long, or the answer took too long as a whole.
    #[error("the backend did not finish its answer in time")]
    Late,
    /// The tenant was suspended or deleted while its stream went on.
    #[error("the tenant is served no longer, or the API key no longer accepted")]
    Withdrawn,
}

impl RelayError {
    /// The `reason` label of metrics and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Upstream(_) => "upstream_truncated",
            Self::Late => "upstream_timeout",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What it says of the service.
    pub const fn service(&self) -> Service {
        match self {
            Self::Upstream(_) | Self::Late => Service::Unserved,
            Self::Withdrawn => Service::Silent,
        }
    }
}

impl ResponseBody {
    /// Begins to relay an answer. `lease` gives the connection back once the answer is whole.
    pub fn relay(exchange: Exchange, lease: Lease, patience: Patience) -> Self {
        let now = exchange.clock().now();
        let is_whole = lease.is_end_stream();
        let mut relay = Relay {
            exchange,
            lease: Some(lease),
            failure: None,
            patience,
            alarm: None,
            last_frame: now,
            last_look: now,
        };
        if is_whole {
            relay.end();
        }
        Self::Relay(Box::new(relay))
    }
}

impl Relay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = lease.poll_frame(cx) else {
            return self
                .overdue(cx)
                .map(|error| Some(Err(self.break_off(error))));
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
                // What came before may still lie in the server's buffer, where an error would
                // bury it: it is written first.
                self.failure = Some(self.break_off(RelayError::Upstream(error)));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }

    fn count(&mut self, frame: &Frame<Bytes>) {
        self.exchange.sent(frame.data_ref().map_or(0, Bytes::len));
        if let Patience::Idle(_) = self.patience {
            self.last_frame = self.exchange.clock().now();
        }
        // A body of known length is not polled again by the server once it is whole, nor any after
        // its trailers.
        if frame.is_trailers() || self.lease.as_ref().is_none_or(Lease::is_end_stream) {
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
            let clock = self.exchange.clock();
            let alarm = self.alarm.get_or_insert_with(|| clock.alarm(next));
            ready!(alarm.poll(cx));
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
                alarm.reset(next);
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
            Self::Relay(relay) => {
                relay.failure.is_none() && relay.lease.as_ref().is_none_or(Lease::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Relay(relay) => relay
                .lease
                .as_ref()
                .map_or_else(|| SizeHint::with_exact(0), Lease::size_hint),
        }
    }
}
