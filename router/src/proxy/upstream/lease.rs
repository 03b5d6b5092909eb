//! A connection on loan to one request: what it carries there, and what flows back.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use health::InFlight;
use http::{Method, response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use thiserror::Error;

use super::{
    http1::{self, WireError},
    pool::Return,
};
use crate::proxy::{
    body::RequestBody,
    rewrite::{Addressee, BodyLength, Forward, TargetTooLong},
};

/// A connection on loan to one request. Dropped without [`Lease::release`], it is closed, unless
/// others share it.
#[derive(Debug)]
pub struct Lease {
    wire: Wire,
    load: Option<InFlight>,
}

#[derive(Debug)]
enum Wire {
    Http1 {
        connection: Box<http1::Connection>,
        back: Return,
    },
    Http2 {
        sender: SendRequest<RequestBody>,
        answer: Option<Incoming>,
    },
}

/// What went wrong with a backend.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// Over HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] WireError),
    /// Over HTTP/2.
    // Not told as a source: the HTTP library would pass the backend's reset code on, and a client
    // may take that for leave to repeat the request.
    #[error("{0}")]
    Http2(hyper::Error),
    /// The backend reset its HTTP/2 stream without an error before it was ended.
    #[error("reset before the end")]
    Reset,
}

/// A request that got no answer.
#[derive(Debug)]
pub(super) enum Unsent {
    /// The target does not fit below the endpoint's base path.
    TooLong,
    /// Something went wrong with the backend.
    Failed {
        error: UpstreamError,
        /// The request's body, if no byte of the request was written.
        returned: Option<RequestBody>,
    },
}

impl UpstreamError {
    /// Whether the backend spoke, but not HTTP.
    pub fn is_parse(&self) -> bool {
        match self {
            Self::Http1(error) => error.is_parse(),
            Self::Http2(error) => error.is_parse(),
            Self::Reset => false,
        }
    }
}

impl Lease {
    pub(super) fn http1(connection: Box<http1::Connection>, back: Return) -> Self {
        Self {
            wire: Wire::Http1 { connection, back },
            load: None,
        }
    }

    pub(super) fn http2(sender: SendRequest<RequestBody>) -> Self {
        let answer = None;
        Self {
            wire: Wire::Http2 { sender, answer },
            load: None,
        }
    }

    /// Counts the request as in flight at its endpoint until the lease ends.
    pub(super) fn counted(&mut self, load: InFlight) {
        self.load = Some(load);
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        forward: &Forward<'_>,
        to: Addressee<'_>,
        body: RequestBody,
    ) -> Result<response::Parts, Unsent> {
        match &mut self.wire {
            Wire::Http1 { connection, .. } => {
                let length = body
                    .size_hint()
                    .exact()
                    .map_or(BodyLength::Chunked, BodyLength::Known);
                let request = http1::Request {
                    head: forward.http1(to, length)?,
                    body,
                    chunked: length == BodyLength::Chunked,
                    bodiless: *forward.method() == Method::HEAD,
                };
                Ok(connection.send(request).await?)
            }
            Wire::Http2 { sender, answer } => {
                let request = forward.http2(to, body)?;
                match Box::pin(sender.try_send_request(request)).await {
                    Ok(response) => {
                        let (head, body) = response.into_parts();
                        *answer = Some(body);
                        Ok(head)
                    }
                    Err(mut unsent) => {
                        let returned = unsent.take_message().map(http::Request::into_body);
                        let error = UpstreamError::Http2(unsent.into_error());
                        Err(Unsent::Failed { error, returned })
                    }
                }
            }
        }
    }

    /// The next of the answer's body; `None` at its end.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut self.wire {
            Wire::Http1 { connection, .. } => {
                let data = ready!(connection.poll_data(cx));
                Poll::Ready(data.map(|data| Ok(Frame::data(data?))))
            }
            Wire::Http2 { answer: None, .. } => Poll::Ready(None),
            Wire::Http2 {
                answer: Some(body), ..
            } => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                Poll::Ready(match frame {
                    // A stream that was ended says so; one that was reset with NO_ERROR does not.
                    None if !body.is_end_stream() => Some(Err(UpstreamError::Reset)),
                    frame => frame.map(|frame| frame.map_err(UpstreamError::Http2)),
                })
            }
        }
    }

    /// Whether the answer's body is whole.
    pub fn is_end_stream(&self) -> bool {
        match &self.wire {
            Wire::Http1 { connection, .. } => connection.remaining() == Some(0),
            Wire::Http2 { answer, .. } => answer.as_ref().is_none_or(Body::is_end_stream),
        }
    }

    /// Bytes of the answer's body still to come.
    pub fn size_hint(&self) -> SizeHint {
        match &self.wire {
            Wire::Http1 { connection, .. } => connection
                .remaining()
                .map_or_else(SizeHint::default, SizeHint::with_exact),
            Wire::Http2 { answer, .. } => answer.as_ref().map(Body::size_hint).unwrap_or_default(),
        }
    }

    /// Gives the connection back: the answer has been read to its end.
    pub fn release(self) {
        if let Wire::Http1 { connection, back } = self.wire
            && let Some(connection) = connection.recycled()
        {
            back.put(connection);
        }
    }
}

impl From<TargetTooLong> for Unsent {
    fn from(_: TargetTooLong) -> Self {
        Self::TooLong
    }
}

impl From<http1::Unsent> for Unsent {
    fn from(unsent: http1::Unsent) -> Self {
        Self::Failed {
            error: unsent.error.into(),
            returned: unsent.returned,
        }
    }
}
