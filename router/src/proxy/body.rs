//! A request's body on its way upstream: it streams, counts, and tells an abort from an end.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;

/// What has come of a client's body so far. Shared by the body, which moves into an upstream
/// connection, and the request that waits for the answer.
#[derive(Debug, Default)]
pub struct Upload {
    bytes: Cell<u64>,
    ended: Cell<bool>,
    broken: Cell<bool>,
    awaited: Cell<bool>,
    http2: Cell<bool>,
}

impl Upload {
    /// That of a request without a body.
    pub fn whole() -> Self {
        Self {
            ended: Cell::new(true),
            ..Self::default()
        }
    }

    /// Bytes that came.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether it came whole.
    pub fn is_whole(&self) -> bool {
        self.ended.get()
    }

    /// Whether the next of it was asked for and has not come: who waits then waits for the client.
    pub fn is_awaited(&self) -> bool {
        self.awaited.get()
    }

    /// Whether the client broke off.
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// The client speaks HTTP/2, where a body's end and a stream's reset can look alike.
    pub fn by_http2(&self) {
        self.http2.set(true);
    }

    /// The next of the body; `None` at its end. Trailers end it: no backend reads any, and what
    /// they say has passed no check of headers.
    fn poll(
        &self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, UploadError>> {
        let polled = Pin::new(&mut *body).poll_frame(cx);
        self.awaited.set(polled.is_pending());
        let outcome = match ready!(polled) {
            Some(Ok(frame)) => Ok(frame.into_data().ok()),
            Some(Err(error)) => Err(UploadError::Broken(error)),
            // A stream that was ended says so; one that was reset with NO_ERROR does not.
            None if self.http2.get() && !body.is_end_stream() => Err(UploadError::Reset),
            None => Ok(None),
        };
        match &outcome {
            Ok(Some(data)) => {
                self.bytes.set(self.bytes.get() + data.len() as u64);
                self.ended.set(body.is_end_stream());
            }
            Ok(None) => self.ended.set(true),
            Err(_) => self.broken.set(true),
        }
        Poll::Ready(outcome)
    }
}

/// The client broke off while it sent its body.
#[derive(Debug, Error)]
pub enum UploadError {
    /// Its connection or stream broke.
    #[error("the client broke off its request: {0}")]
    Broken(hyper::Error),
    /// Its stream was reset without an error before it was ended.
    #[error("the client reset its request before the end")]
    Reset,
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
    ) -> Result<Self, UploadError> {
        if body.is_end_stream() || body.size_hint().lower() > window as u64 {
            return Ok(Self::stream(body, upload));
        }
        let mut ahead = BytesMut::new();
        while ahead.len() <= window {
            match poll_fn(|cx| upload.poll(&mut body, cx)).await? {
                None => return Ok(Self::Whole(ahead.freeze())),
                Some(data) => ahead.extend_from_slice(&data),
            }
        }
        Ok(Self::Stream {
            ahead: ahead.freeze(),
            rest: body,
            upload: upload.clone(),
        })
    }

    /// The same body with the frame that was taken last put back.
    #[must_use]
    pub fn with_unread(self, data: Bytes) -> Self {
        match self {
            body if data.is_empty() => body,
            Self::Empty | Self::Whole(_) => Self::Whole(data),
            // What was read ahead goes as one frame, so nothing of it is left.
            Self::Stream { rest, upload, .. } => Self::Stream {
                ahead: data,
                rest,
                upload,
            },
        }
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
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
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
                let data = ready!(upload.poll(rest, cx));
                Poll::Ready(data.map(|data| data.map(Frame::data)).transpose())
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
