//! A client's stream, with somebody watching: how it begins, when bytes come, whether writing goes
//! on, and how it is torn down when an answer must not look whole.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::connection::Connection;

/// What every HTTP/2 connection begins with, and no other.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that are read at one time to see what has begun: most heads, whole.
const BEGINNING: usize = 2048;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

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

impl HangUp for Box<TlsStream<TcpStream>> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A client's stream and its connection.
#[derive(Debug)]
pub(super) struct Watched<S: HangUp> {
    stream: S,
    connection: Rc<Connection>,
    /// What came and is to be read again.
    unread: Bytes,
    shut: bool,
}

impl Protocol {
    /// What begins like this; `None` if more has to come to tell.
    fn of(beginning: &[u8]) -> Option<Self> {
        if beginning.starts_with(PREFACE) {
            Some(Self::Http2)
        } else {
            (!PREFACE.starts_with(beginning)).then_some(Self::Http1)
        }
    }
}

impl<S: HangUp> Watched<S> {
    pub(super) fn new(stream: S, connection: Rc<Connection>) -> Self {
        Self {
            stream,
            connection,
            unread: Bytes::new(),
            shut: false,
        }
    }

    /// Waits until enough has come to tell what the client speaks, and leaves it to be read. `None`
    /// if the client left without a word.
    ///
    /// As long as nothing comes, nothing is allocated.
    pub(super) fn poll_beginning(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Protocol>>> {
        loop {
            if let Some(protocol) = Protocol::of(&self.unread) {
                return Poll::Ready(Ok(Some(protocol)));
            }
            let mut bytes = [const { MaybeUninit::uninit() }; BEGINNING];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let came = buffer.filled();
            if came.is_empty() {
                // What ends within its first bytes is left for HTTP/1 to complain of.
                let begun = !self.unread.is_empty();
                return Poll::Ready(Ok(begun.then_some(Protocol::Http1)));
            }
            self.connection.received(came);
            self.unread = if self.unread.is_empty() {
                Bytes::copy_from_slice(came)
            } else {
                [&self.unread, came].concat().into()
            };
        }
    }
}

impl<S: HangUp> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread[..length]);
            self.unread.advance(length);
            return Poll::Ready(Ok(()));
        }
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
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // TLS takes what is written and keeps it, and only this tells.
        self.connection.wrote(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.connection.wrote(shut.is_ready());
        shut
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

#[cfg(test)]
mod tests {
    use super::{PREFACE, Protocol};

    #[test]
    fn what_a_client_speaks_is_known_as_soon_as_it_can_be() {
        for (beginning, protocol) in [
            (&b""[..], None),
            (b"P", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (PREFACE, Some(Protocol::Http2)),
            (&[&PREFACE[..], b"\0\0"].concat(), Some(Protocol::Http2)),
            (b"PO", Some(Protocol::Http1)),
            (b"G", Some(Protocol::Http1)),
            (b"\r\n", Some(Protocol::Http1)),
            (b"PRI * HTTP/2.0\r\n\r\nGET", Some(Protocol::Http1)),
        ] {
            let told = String::from_utf8_lossy(beginning);
            assert_eq!(Protocol::of(beginning), protocol, "{told:?}");
        }
    }
}
