//! As little HTTP/1.1 as a benchmark's client needs: ready-made requests out, answers with a
//! length in.
//!
//! Written by hand so that the generator costs less than what it measures. It refuses what it does
//! not know, such as chunked answers, instead of guessing.

use std::{io, net::SocketAddr};

use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longest answer taken, in bytes.
const LIMIT: usize = 1 << 20;

/// Why a request got no usable answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the connection was closed before the answer was whole")]
    Closed,
    #[error("the answer's head can't be read: {0:?}")]
    Head(String),
    #[error("the answer is longer than {LIMIT} bytes")]
    TooLong,
}

/// A keep-alive connection for one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends a whole request and reads its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>, HttpError> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_len = loop {
            if let Some(end) = end_of_head(&self.buffer) {
                break end;
            }
            self.read_more().await?;
        };
        let (status, body_len) = framing(text(&self.buffer[..head_len])?)?;
        let whole = head_len + body_len;
        while self.buffer.len() < whole {
            self.read_more().await?;
        }
        if self.buffer.len() > whole {
            return Err(HttpError::Head("more came than was announced".into()));
        }
        let head = text(&self.buffer[..head_len])?;
        Ok(Reply {
            status,
            head,
            body: &self.buffer[head_len..],
        })
    }

    async fn read_more(&mut self) -> Result<(), HttpError> {
        if self.buffer.len() > LIMIT {
            return Err(HttpError::TooLong);
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(HttpError::Closed),
            _ => Ok(()),
        }
    }
}

impl Reply<'_> {
    /// The first header of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

/// Length of a head with the empty line behind it, once all of it is there.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// The status, and how long the body is.
fn framing(head: &str) -> Result<(u16, usize), HttpError> {
    let unclear = || HttpError::Head(head.into());
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(unclear)?;
    if matches!(status, 204 | 304) {
        return Ok((status, 0));
    }
    let length = header(head, "content-length").and_then(|value| value.parse().ok());
    Ok((status, length.ok_or_else(unclear)?))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn text(head: &[u8]) -> Result<&str, HttpError> {
    std::str::from_utf8(head)
        .map_err(|_| HttpError::Head(String::from_utf8_lossy(head).into_owned()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    async fn answered_with(pieces: &'static [&'static str]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a connection");
            // Closing with something unread would be a reset.
            peer.read_exact(&mut [0; GET.len()])
                .await
                .expect("a request");
            for piece in pieces {
                peer.write_all(piece.as_bytes()).await.expect("taken");
                tokio::task::yield_now().await;
            }
        });
        Connection::open(address).await.expect("connected")
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_put_together() {
        let pieces = &[
            "HTTP/1.1 201 Created\r\nCONTENT-Length:",
            " 5\r\nX: y\r\n\r",
            "\nhel",
            "lo",
        ];
        let mut connection = answered_with(pieces).await;
        let reply = connection.exchange(GET).await.expect("an answer");
        assert_eq!((reply.status, reply.body), (201, b"hello".as_slice()));
        assert_eq!(reply.header("x"), Some("y"));
    }

    #[tokio::test]
    async fn a_truncated_answer_is_an_error() {
        let mut connection =
            answered_with(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"]).await;
        let error = connection.exchange(GET).await.expect_err("truncated");
        assert!(matches!(error, HttpError::Closed), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_a_length_is_refused() {
        let chunked = &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"];
        let mut connection = answered_with(chunked).await;
        let error = connection.exchange(GET).await.expect_err("no length");
        assert!(matches!(error, HttpError::Head(_)), "{error}");
    }
}
