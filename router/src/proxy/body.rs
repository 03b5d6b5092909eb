//! A request's body on its way upstream: it streams, counts, and tells an abort from an end.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// What has come of a client's body so far. Shared by the body, which moves into an upstream
/// connection, and the request that waits for the answer.
#[derive(Debug, Default)]
pub struct Upload {
    bytes: Cell<u64>,
    ended: Cell<bool>,
    broken: Cell<bool>,
    awaited: Cell<bool>,
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

    /// Whether the next of it was asked for and has not come: who waits then waits for the client.
    pub fn is_awaited(&self) -> bool {
        self.awaited.get()
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
                let polled = Pin::new(&mut *rest).poll_frame(cx);
                upload.awaited.set(polled.is_pending());
                let frame = ready!(polled);
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
