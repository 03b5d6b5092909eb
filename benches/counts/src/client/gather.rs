//! A connection that sends at once all that is to be sent at one time.
//!
//! HTTP/2 flushes a head as soon as it has it, and the body behind it as soon as it has that.
//! Whether the router would read one or both would be up to the system's scheduler, and so would be
//! the counts.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A stream whose flushes wait until all other tasks have had their turn without writing more.
#[derive(Debug)]
pub(super) struct Gather {
    stream: TcpStream,
    waiting: Vec<u8>,
    /// Whether something was written since the last attempt to flush.
    grew: bool,
}

impl Gather {
    pub(super) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            waiting: Vec::new(),
            grew: false,
        }
    }
}

impl AsyncRead for Gather {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Gather {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.waiting.extend_from_slice(bytes);
        self.grew = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.grew) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let this = &mut *self;
        while !this.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut this.stream).poll_write(cx, &this.waiting))?;
            this.waiting.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.grew = false;
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
