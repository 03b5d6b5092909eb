//! As little HTTP/1.1 as a benchmark's client needs: ready-made requests out, answers with a
//! length in.
//!
//! Written by hand so that the generator costs less than what it measures. It refuses what it does
//! not know instead of guessing.

pub(crate) mod chunked;
pub(crate) mod wire;

use std::{io, net::SocketAddr, time::Duration};

use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};

use self::{chunked::Chunked, wire::Wire};

/// Longest answer taken, in bytes.
const LIMIT: usize = 1 << 20;
/// How much of a long body is read at a time.
const BULK: usize = 256 << 10;

/// How long the director waits for a connection, or for an answer. Generators have no such limit,
/// as the director limits them.
const PATIENCE: Duration = Duration::from_secs(30);

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
    #[error("not the framing of a chunk: {0:?}")]
    Chunk(String),
    #[error("nothing came in {} s", PATIENCE.as_secs())]
    TooLate,
}

/// A keep-alive connection for one request at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
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
    /// In clear, from wherever the kernel likes.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let connecting = timeout(PATIENCE, TcpStream::connect(address));
        let stream = connecting
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(Self::over(Wire::open(stream, None).await?))
    }

    pub(crate) fn over(wire: Wire) -> Self {
        Self {
            wire,
            buffer: Vec::with_capacity(4096),
        }
    }

    /// What it runs over, between two exchanges.
    pub(crate) fn wire_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Sends a whole request and reads its whole answer, if that comes in time.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Reply<'_>, HttpError> {
        let asking = timeout(PATIENCE, self.exchange(request));
        asking.await.map_err(|_| HttpError::TooLate)?
    }

    /// Sends a whole request and reads its whole answer, however long that takes.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>, HttpError> {
        self.wire.send(request).await?;
        self.reply().await
    }

    /// Reads the whole answer to what was sent.
    pub(crate) async fn reply(&mut self) -> Result<Reply<'_>, HttpError> {
        let head_len = self.head().await?;
        let (status, framing) = framing(text(&self.buffer[..head_len])?)?;
        let Framing::Length(body_len) = framing else {
            return Err(HttpError::Head("chunked, where a length was due".into()));
        };
        let whole = usize::try_from(body_len)
            .ok()
            .and_then(|body_len| head_len.checked_add(body_len))
            .ok_or(HttpError::TooLong)?;
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

    /// Sends a whole request and reads the head of its answer, whose body is read or left by
    /// [`Connection::drain`].
    pub(crate) async fn begin(&mut self, request: &[u8]) -> Result<Begun, HttpError> {
        self.wire.send(request).await?;
        let head_len = self.head().await?;
        let (status, framing) = framing(text(&self.buffer[..head_len])?)?;
        self.buffer.drain(..head_len);
        Ok(Begun { status, framing })
    }

    /// Reads a body to its end without keeping it, and tells its length.
    pub(crate) async fn drain(&mut self, begun: Begun) -> Result<u64, HttpError> {
        let mut chunked = Chunked::default();
        let mut payload = 0;
        self.buffer.reserve(BULK);
        loop {
            let (over, ended) = match begun.framing {
                Framing::Length(length) => {
                    payload += self.buffer.len() as u64;
                    (payload > length, payload == length)
                }
                Framing::Chunked => {
                    let taken = chunked.take(&self.buffer)?;
                    payload = chunked.payload();
                    (taken < self.buffer.len(), chunked.is_complete())
                }
            };
            if over {
                return Err(HttpError::Head("more came than was announced".into()));
            }
            if ended {
                return Ok(payload);
            }
            self.buffer.clear();
            self.read_more().await?;
        }
    }

    /// Reads a chunked body until that much of it has come, and no more has.
    pub(crate) async fn first_of_body(&mut self, payload: u64) -> Result<(), HttpError> {
        let mut chunked = Chunked::default();
        loop {
            chunked.take(&self.buffer)?;
            if chunked.is_complete() || chunked.payload() > payload {
                return Err(HttpError::Head("another body than was due".into()));
            }
            if chunked.is_between_chunks() && chunked.payload() == payload {
                return Ok(());
            }
            self.buffer.clear();
            self.read_more().await?;
        }
    }

    /// Waits for the other side to close, and to say nothing before.
    pub(crate) async fn expect_end(&mut self) -> Result<(), HttpError> {
        self.buffer.clear();
        match self.wire.receive(&mut self.buffer).await {
            Ok(0) => Ok(()),
            Ok(_) => Err(HttpError::Head("more came than was announced".into())),
            // Closed without the goodbye of TLS: not nice, but closed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks whether the other side has neither closed nor said anything, on a connection in clear.
    pub(crate) fn expect_silence(&self) -> Result<(), HttpError> {
        match self.wire.peek() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
            Ok(0) => Err(HttpError::Closed),
            Ok(_) => Err(HttpError::Head(
                "something came where nothing was due".into(),
            )),
        }
    }

    /// Reads until the head of an answer is there, and tells its length.
    async fn head(&mut self) -> Result<usize, HttpError> {
        self.buffer.clear();
        loop {
            if let Some(end) = end_of_head(&self.buffer) {
                return Ok(end);
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), HttpError> {
        if self.buffer.len() > LIMIT {
            return Err(HttpError::TooLong);
        }
        match self.wire.receive(&mut self.buffer).await? {
            0 => Err(HttpError::Closed),
            _ => Ok(()),
        }
    }
}

/// An answer whose head has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
}

/// How an answer says where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
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

/// The status, and where the body ends.
fn framing(head: &str) -> Result<(u16, Framing), HttpError> {
    let unclear = || HttpError::Head(head.into());
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(unclear)?;
    if matches!(status, 204 | 304) {
        return Ok((status, Framing::Length(0)));
    }
    if header(head, "transfer-encoding").is_some_and(|value| value == "chunked") {
        return Ok((status, Framing::Chunked));
    }
    let length = header(head, "content-length").and_then(|value| value.parse().ok());
    Ok((status, Framing::Length(length.ok_or_else(unclear)?)))
}

/// The first header of that name in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A head as text.
pub(crate) fn text(head: &[u8]) -> Result<&str, HttpError> {
    std::str::from_utf8(head)
        .map_err(|_| HttpError::Head(String::from_utf8_lossy(head).into_owned()))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

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
        let mut connection = answered_with(&["HTTP/1.1 200 OK\r\n\r\nhello"]).await;
        let error = connection.exchange(GET).await.expect_err("no length");
        assert!(matches!(error, HttpError::Head(_)), "{error}");
    }

    #[tokio::test]
    async fn a_long_body_is_counted_to_its_end() {
        const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
        const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab";
        const CASES: &[(&[&str], Option<u64>)] = &[
            (&[LENGTH, "llo"], Some(5)),
            (&[LENGTH, "ll"], None),
            (&[LENGTH, "llo!"], None),
            (&[CHUNKED, "c\r\n0\r\n\r\n"], Some(3)),
            (&[CHUNKED, "c\r\n0\r\n"], None),
        ];
        for (pieces, expected) in CASES {
            let mut connection = answered_with(pieces).await;
            let begun = connection.begin(GET).await.expect("a head");
            let counted = connection.drain(begun).await;
            assert_eq!(counted.ok(), *expected, "{pieces:?}");
        }
    }
}
