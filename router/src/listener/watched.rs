//! A client's stream, with somebody watching: when bytes come, whether writing goes on, and how it
//! is torn down when an answer must not look whole.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::connection::Connection;

/// A stream that can be broken off so that the other side notices.
pub(super) trait HangUp: AsyncRead + AsyncWrite + Unpin {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl HangUp for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl HangUp for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A client's stream and its connection.
#[derive(Debug)]
pub(super) struct Watched<S: HangUp> {
    stream: S,
    connection: Rc<Connection>,
    shut: bool,
}

impl<S: HangUp> Watched<S> {
    pub(super) fn new(stream: S, connection: Rc<Connection>) -> Self {
        Self {
            stream,
            connection,
            shut: false,
        }
    }
}

impl<S: HangUp> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            self.connection.received(came);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: HangUp> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.connection.wrote(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.connection.wrote(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: HangUp> Drop for Watched<S> {
    fn drop(&mut self) {
        // hyper shuts down what ended well and drops what broke off. Where the end of an answer is
        // the end of the connection, only a reset tells the two apart.
        if !self.shut && self.connection.ends_answers_by_closing() {
            let _ = SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO));
        }
    }
}
