//! Bodies in both directions. They stream, count, and tell an abort from an end; permits, timers
//! and the upstream connection end with them.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use super::{account::Exchange, upstream::Lease};

/// What has come of a client's body so far. Shared by the body, which moves into an upstream
/// connection, and the request that waits for the answer.
#[derive(Debug, Default)]
pub struct Upload {
    bytes: Cell<u64>,
    ended: Cell<bool>,
    broken: Cell<bool>,
}

impl Upload {
    /// Bytes that came.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether it came whole.
    pub fn is_whole(&self) -> bool {
        self.ended.get()
    }

    /// Whether the client broke off.
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }
}

/// A request's body on its way upstream.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// Held whole, so that it can be sent again.
    Whole(Bytes),
    /// Flows through; what was read ahead goes first.
    Stream {
        /// Read ahead, perhaps empty.
        ahead: Bytes,
        /// The rest, still with the client.
        rest: Incoming,
        /// Kept up to date as it flows.
        upload: Rc<Upload>,
    },
}

impl RequestBody {
    /// A body that flows through without being held.
    pub fn stream(body: Incoming, upload: &Rc<Upload>) -> Self {
        if body.is_end_stream() {
            upload.ended.set(true);
            return Self::Empty;
        }
        Self::Stream {
            ahead: Bytes::new(),
            rest: body,
            upload: upload.clone(),
        }
    }

    /// Reads up to `window` bytes ahead; a body that fits is held whole and can be sent again.
    ///
    /// # Errors
    /// The client broke off.
    pub async fn read_ahead(
        mut body: Incoming,
        window: usize,
        upload: &Rc<Upload>,
    ) -> Result<Self, hyper::Error> {
        if body.is_end_stream() || body.size_hint().lower() > window as u64 {
            return Ok(Self::stream(body, upload));
        }
        let mut ahead = BytesMut::new();
        while ahead.len() <= window {
            match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                None => {
                    upload.ended.set(true);
                    return Ok(Self::Whole(ahead.freeze()));
                }
                Some(Err(error)) => {
                    upload.broken.set(true);
                    return Err(error);
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        upload.bytes.set(upload.bytes.get() + data.len() as u64);
                        ahead.extend_from_slice(&data);
                    }
                }
            }
        }
        Ok(Self::Stream {
            ahead: ahead.freeze(),
            rest: body,
            upload: upload.clone(),
        })
    }

    /// The same body once more; `None` if it flows through and is not held.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream { .. } => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream { ahead, .. } if !ahead.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(ahead)))))
            }
            Self::Stream { rest, upload, .. } => {
                let frame = ready!(Pin::new(&mut *rest).poll_frame(cx));
                match &frame {
                    None => upload.ended.set(true),
                    Some(Err(_)) => upload.broken.set(true),
                    Some(Ok(frame)) => {
                        let length = frame.data_ref().map_or(0, Bytes::len);
                        upload.bytes.set(upload.bytes.get() + length as u64);
                        upload.ended.set(rest.is_end_stream());
                    }
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream { ahead, rest, .. } => ahead.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream { ahead, rest, .. } => plus(rest.size_hint(), ahead.len() as u64),
        }
    }
}

fn plus(hint: SizeHint, more: u64) -> SizeHint {
    let mut sum = SizeHint::new();
    sum.set_lower(hint.lower() + more);
    if let Some(upper) = hint.upper() {
        sum.set_upper(upper + more);
    }
    sum
}

/// How long an answer may take once it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until then, all told.
    Until(Instant),
    /// As long as it is not silent for longer than this.
    Idle(Duration),
    /// For ever: only a dead peer ends it.
    Endless,
}

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
