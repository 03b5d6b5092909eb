//! One HTTP/1.1 connection to a backend (RFC 9112), driven by whichever request has it on loan.
//!
//! There is no task and no channel between a request and its connection: the request's own task
//! writes its head, reads the answer, and takes the body out of the buffer it was read into. An
//! idle connection is a socket and little else, so that ten thousand of them cost little memory.

mod decode;
mod head;
mod send;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{StatusCode, response::Parts};
use thiserror::Error;
use tokio::task::{AbortHandle, spawn_local};
use tokio_util::io::poll_read_buf;

use self::{decode::Decoder, head::Head, send::Sending};
use super::stream::Stream;
use crate::proxy::body::{RequestBody, UploadError};

/// Bytes read at once to begin with, and when a body turns out to be long.
const READ: usize = 8 << 10;
const READ_MAX: usize = 256 << 10;
/// How much more is read at once after a read that left something behind: long bodies are known by
/// it, and each step on the way to the most costs a system call.
const READ_GROWTH: usize = 4;
/// Interim answers taken for one request.
const INTERIM_LIMIT: u32 = 32;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(super) struct Connection {
    /// Shared with what may still be sending while an answer flows already.
    stream: Rc<RefCell<Stream>>,
    /// What has come and not been handed on.
    input: BytesMut,
    read_size: usize,
    /// What is to come of the answer.
    body: Decoder,
    keep_alive: bool,
    rest: Option<Rest>,
}

/// A request to send.
#[derive(Debug)]
pub(super) struct Request {
    /// The whole head, as it is written.
    pub(super) head: Vec<u8>,
    /// What follows it.
    pub(super) body: RequestBody,
    /// Whether the body goes in chunks.
    pub(super) chunked: bool,
    /// Whether the answer has no body whatever its head says, as one to HEAD.
    pub(super) bodiless: bool,
}

/// What went wrong on a connection.
#[derive(Debug, Error)]
pub enum WireError {
    /// The backend's bytes are no HTTP head.
    #[error("the head can't be read: {0}")]
    Head(#[from] httparse::Error),
    /// The head is larger than is taken.
    #[error("the head is too large")]
    HeadTooLarge,
    /// The head can't be believed.
    #[error("{0}")]
    Framing(&'static str),
    /// The body is not in chunks as it should be.
    #[error("the body is broken: what should be a chunk is none")]
    Chunk,
    /// The backend closed before it began to answer.
    #[error("closed before an answer began")]
    Closed,
    /// The backend closed in the midst of its answer.
    #[error("closed in the midst of an answer")]
    Truncated,
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The client broke off its request.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) error: WireError,
    /// Its body, if no byte of the request was written.
    pub(super) returned: Option<RequestBody>,
}

/// A request that is still being sent while its answer flows: on a task of its own, as a client
/// that sends everything before it reads anything would stop both otherwise.
#[derive(Debug)]
struct Rest {
    task: AbortHandle,
    sent: Rc<Cell<bool>>,
}

impl WireError {
    /// Whether the backend spoke, but not HTTP.
    pub const fn is_parse(&self) -> bool {
        match self {
            Self::Head(_) | Self::HeadTooLarge | Self::Framing(_) | Self::Chunk => true,
            Self::Closed | Self::Truncated | Self::Io(_) | Self::Upload(_) => false,
        }
    }
}

impl Connection {
    /// A connection that was just made.
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream: Rc::new(RefCell::new(stream)),
            input: BytesMut::new(),
            read_size: READ,
            body: Decoder::DONE,
            keep_alive: true,
            rest: None,
        }
    }

    /// Whether it can carry a request, as far as is known on this side.
    pub(super) fn is_fit(&self) -> bool {
        self.stream.borrow_mut().is_quiet()
    }

    /// Sends a request and waits for the head of its answer. Dropped before that, the connection
    /// is of no more use.
    pub(super) async fn send(&mut self, request: Request) -> Result<Parts, Unsent> {
        let bodiless = request.bodiless;
        let mut sending = Sending::new(request);
        match poll_fn(|cx| self.poll_answer(&mut sending, bodiless, cx)).await {
            Ok(parts) => {
                if !sending.is_done() {
                    self.rest = Some(Rest::send(sending, self.stream.clone()));
                }
                Ok(parts)
            }
            Err(error) => Err(Unsent {
                error,
                returned: sending.take_back(),
            }),
        }
    }

    /// The next bytes of the answer's body; `None` at its end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, WireError>>> {
        loop {
            if self.body.is_done() {
                return Poll::Ready(None);
            }
            match self.body.decode(&mut self.input) {
                Ok(None) if self.body.is_done() => return Poll::Ready(None),
                Ok(None) => {}
                data => return Poll::Ready(data.transpose()),
            }
            let filled = match ready!(self.poll_fill(cx)) {
                Ok(0) => self.body.close(),
                Ok(_) => Ok(()),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = filled {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Bytes of the answer's body still to come; `None` if its head does not say.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    /// Makes an answered connection ready for another request; `None` if it takes none.
    pub(super) fn recycled(mut self: Box<Self>) -> Option<Box<Self>> {
        let sent = self.rest.take().is_none_or(|rest| rest.sent.get());
        if !sent || !self.keep_alive || !self.body.is_done() || !self.input.is_empty() {
            return None;
        }
        // Idle connections hold no buffers.
        self.input = BytesMut::new();
        self.read_size = READ;
        Some(self)
    }

    fn poll_answer(
        &mut self,
        sending: &mut Sending,
        bodiless: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Parts, WireError>> {
        if let Poll::Ready(Err(error)) = sending.poll(&mut self.stream.borrow_mut(), cx) {
            return Poll::Ready(Err(error));
        }
        // Where sending fails the backend may have answered nevertheless, and then closed.
        let head = ready!(self.poll_head(bodiless, cx));
        Poll::Ready(head.map_err(|error| sending.take_failure().unwrap_or(error)))
    }

    fn poll_head(
        &mut self,
        bodiless: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Parts, WireError>> {
        let mut interim = 0;
        loop {
            while !self.input.is_empty()
                && let Some(head) = head::take(&mut self.input, bodiless)?
            {
                if !is_interim(head.parts.status) {
                    return Poll::Ready(Ok(self.begin(head)));
                }
                interim += 1;
                if interim > INTERIM_LIMIT {
                    return Poll::Ready(Err(WireError::Framing("no end of interim answers")));
                }
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(WireError::Closed));
            }
        }
    }

    fn begin(&mut self, head: Head) -> Parts {
        self.body = head.body;
        self.keep_alive = head.keep_alive;
        head.parts
    }

    /// Reads what is there; 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        // Small reads into what is left of a buffer would cost long bodies more than a new one.
        let room = self.input.capacity() - self.input.len();
        if room < self.read_size / 2 {
            // No buffer before there is something to put into it: silent tails have none.
            ready!(stream.poll_readable(cx))?;
            self.input.reserve(self.read_size);
        }
        let room = self.input.capacity() - self.input.len();
        let read = ready!(poll_read_buf(Pin::new(&mut *stream), cx, &mut self.input))?;
        if read == room {
            self.read_size = (self.read_size * READ_GROWTH).min(READ_MAX);
        }
        Poll::Ready(Ok(read))
    }
}

impl Rest {
    fn send(mut sending: Sending, stream: Rc<RefCell<Stream>>) -> Self {
        let sent = Rc::new(Cell::new(false));
        let told = sent.clone();
        let task = spawn_local(async move {
            let outcome = poll_fn(|cx| sending.poll(&mut stream.borrow_mut(), cx)).await;
            told.set(outcome.is_ok());
        });
        Self {
            task: task.abort_handle(),
            sent,
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
