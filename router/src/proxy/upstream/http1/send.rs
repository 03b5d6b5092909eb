//! A request on its way into a socket: its head, then its body, by length or in chunks.

use std::{
    io::{self, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use tokio::io::AsyncWrite;

use super::{Request, WireError};
use crate::proxy::{body::RequestBody, upstream::stream::Stream};

/// A request on its way.
///
/// `framing`, `data` and `tail` are written in this order; what went of them is `written`.
#[derive(Debug)]
pub(super) struct Sending {
    /// The head, or a chunk's size, or both.
    framing: Vec<u8>,
    data: Bytes,
    tail: &'static [u8],
    written: usize,
    body: RequestBody,
    chunked: bool,
    stage: Stage,
    begun: bool,
    failure: Option<WireError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// More of the body may come.
    Body,
    /// What stands ready is the last.
    Last,
    /// All is written.
    Done,
    /// Nothing will be any more.
    Failed,
}

impl Sending {
    pub(super) fn new(request: Request) -> Self {
        Self {
            framing: request.head,
            data: Bytes::new(),
            tail: &[],
            written: 0,
            body: request.body,
            chunked: request.chunked,
            stage: Stage::Body,
            begun: false,
            failure: None,
        }
    }

    /// Whether all was written.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Why the connection took no more, if it did not.
    pub(super) fn take_failure(&mut self) -> Option<WireError> {
        self.failure.take()
    }

    /// The body as it was, if nothing was written.
    pub(super) fn take_back(self) -> Option<RequestBody> {
        (!self.begun).then(|| self.body.with_unread(self.data))
    }

    /// Writes as much as goes; ready when all is written.
    ///
    /// # Errors
    /// The client broke off, or the connection took nothing at all. One that breaks later may have
    /// an answer to give, so that is kept for [`take_failure`](Self::take_failure).
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WireError>> {
        loop {
            match self.stage {
                Stage::Done => return Poll::Ready(Ok(())),
                Stage::Failed => return Poll::Pending,
                Stage::Body => match self.poll_body(cx) {
                    Poll::Ready(Err(error)) => {
                        self.stage = Stage::Failed;
                        return Poll::Ready(Err(error));
                    }
                    Poll::Pending if self.left() == 0 => return Poll::Pending,
                    // Pending as well: the head does not wait for the body.
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                },
                Stage::Last => {}
            }
            if let Err(error) = ready!(self.poll_write(stream, cx)) {
                self.stage = Stage::Failed;
                if !self.begun {
                    return Poll::Ready(Err(error.into()));
                }
                self.failure = Some(error.into());
                return Poll::Pending;
            }
            if self.stage == Stage::Last {
                self.stage = Stage::Done;
            }
        }
    }

    /// Stages the next of the body, unless there is some already.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if !self.data.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let frame = match &mut self.body {
            RequestBody::Empty => None,
            body => ready!(Pin::new(body).poll_frame(cx)).transpose()?,
        };
        // The end often comes with the last of the data.
        if frame.is_none() || self.body.is_end_stream() {
            self.stage = Stage::Last;
        }
        self.data = frame
            .and_then(|frame| frame.into_data().ok())
            .unwrap_or_default();
        if self.chunked {
            self.stage_chunk();
        }
        Poll::Ready(Ok(()))
    }

    /// Puts what makes it a chunk around the data, and the last chunk behind it if it is that.
    fn stage_chunk(&mut self) {
        let has_data = !self.data.is_empty();
        if has_data {
            // Writing into a vector does not fail.
            let _ = write!(self.framing, "{:x}\r\n", self.data.len());
        }
        self.tail = match (has_data, self.stage) {
            (true, Stage::Last) => b"\r\n0\r\n\r\n",
            (true, _) => b"\r\n",
            (false, Stage::Last) => b"0\r\n\r\n",
            (false, _) => b"",
        };
    }

    fn left(&self) -> usize {
        self.framing.len() + self.data.len() + self.tail.len() - self.written
    }

    /// Writes all that stands ready.
    fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.left() > 0 {
            let mut slices = [
                IoSlice::new(&self.framing),
                IoSlice::new(&self.data),
                IoSlice::new(self.tail),
            ];
            let mut rest = &mut slices[..];
            IoSlice::advance_slices(&mut rest, self.written);
            let stream = Pin::new(&mut *stream);
            let written = match rest {
                [one] => ready!(stream.poll_write(cx, one))?,
                several => ready!(stream.poll_write_vectored(cx, several))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.begun = true;
            self.written += written;
        }
        self.framing.clear();
        self.data = Bytes::new();
        self.tail = &[];
        self.written = 0;
        Pin::new(stream).poll_flush(cx)
    }
}
