//! HTTP/1.1 as bytes on a socket: just enough reading to tell exactly what a peer did.

use std::io::{Error, ErrorKind};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

/// How much of a body is kept; the rest is only counted.
const KEPT_BYTES: usize = 256 * 1024;

/// The head of a message, as it stood on the wire, without the empty line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head(pub(crate) String);

/// A body as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    /// Its first 256 KiB, unchunked.
    pub(crate) kept: Vec<u8>,
    /// How many bytes of it came, unchunked.
    pub(crate) length: u64,
    /// How it ended.
    pub(crate) end: End,
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By its own framing.
    Complete,
    /// The connection was closed in order, too early or as the framing.
    Fin,
    /// The connection was reset.
    Reset,
    /// TLS ended it, with an alert.
    Alert,
    /// The framing was broken.
    Garbled,
}

/// A connection with what has been read from it and not yet been used.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(crate) io: S,
    unread: BytesMut,
}

impl Head {
    /// `GET /path HTTP/1.1`, or `HTTP/1.1 200 OK`.
    pub(crate) fn start_line(&self) -> &str {
        self.0.split("\r\n").next().unwrap_or_default()
    }

    /// The word of the start line at `index`.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.start_line().split(' ').nth(index).unwrap_or_default()
    }

    /// The status of a reply.
    pub(crate) fn status(&self) -> u16 {
        self.word(1)
            .parse()
            .unwrap_or_else(|_| panic!("not a reply: {:?}", self.0))
    }

    /// Every value of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.0.split("\r\n").skip(1);
        lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The value of a header that stands there at most once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(
            all.len() < 2,
            "{name} stands there {} times: {:?}",
            all.len(),
            self.0
        );
        all.first().copied()
    }

    fn is_chunked(&self) -> bool {
        self.all("transfer-encoding")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("chunked"))
    }

    fn length(&self) -> Option<u64> {
        self.all("content-length")
            .first()
            .and_then(|value| value.parse().ok())
    }
}

impl Body {
    /// What was kept, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    fn new() -> Self {
        Self {
            kept: Vec::new(),
            length: 0,
            end: End::Complete,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = KEPT_BYTES - self.kept.len();
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Begins to read from `io`.
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            unread: BytesMut::new(),
        }
    }

    /// Reads a head, or tells how the connection ended before one.
    pub(crate) async fn head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.unread.split_to(at);
                self.unread.advance(4);
                return Ok(Head(head.iter().map(|&byte| char::from(byte)).collect()));
            }
            self.more().await?;
        }
    }

    /// Reads the body of a request with this head.
    pub(crate) async fn request_body(&mut self, head: &Head) -> Body {
        if head.is_chunked() {
            self.chunked().await
        } else {
            self.sized(head.length().unwrap_or(0)).await
        }
    }

    /// Reads the body of a reply with this head to a request that was not `HEAD`.
    pub(crate) async fn reply_body(&mut self, head: &Head) -> Body {
        if head.is_chunked() {
            return self.chunked().await;
        }
        match head.length() {
            Some(length) => self.sized(length).await,
            None if matches!(head.status(), 100..=199 | 204 | 304) => Body::new(),
            None => self.rest().await,
        }
    }

    /// Reads all there is until the connection ends.
    pub(crate) async fn rest(&mut self) -> Body {
        let mut body = Body::new();
        loop {
            let bytes = self.unread.split();
            body.push(&bytes);
            if let Err(end) = self.more().await {
                body.end = end;
                return body;
            }
        }
    }

    async fn sized(&mut self, length: u64) -> Body {
        let mut body = Body::new();
        body.end = self
            .take(length, &mut body)
            .await
            .err()
            .unwrap_or(End::Complete);
        body
    }

    async fn chunked(&mut self) -> Body {
        let mut body = Body::new();
        body.end = self.chunks(&mut body).await.err().unwrap_or(End::Complete);
        body
    }

    async fn chunks(&mut self, body: &mut Body) -> Result<(), End> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(digits, 16).map_err(|_| End::Garbled)?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.take(size, body).await?;
            if !self.line().await?.is_empty() {
                return Err(End::Garbled);
            }
        }
    }

    async fn take(&mut self, mut left: u64, body: &mut Body) -> Result<(), End> {
        while left > 0 {
            if self.unread.is_empty() {
                self.more().await?;
            }
            let now = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.unread.len());
            body.push(&self.unread.split_to(now));
            left -= now as u64;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line = self.unread.split_to(at);
                self.unread.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), End> {
        self.unread.reserve(64 * 1024);
        match self.io.read_buf(&mut self.unread).await {
            Ok(0) => Err(End::Fin),
            Ok(_) => Ok(()),
            Err(error) => Err(end_of(&error)),
        }
    }
}

fn end_of(error: &Error) -> End {
    match error.kind() {
        ErrorKind::UnexpectedEof => End::Fin,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            End::Reset
        }
        ErrorKind::InvalidData => End::Alert,
        other => panic!("reading failed with {other:?}: {error}"),
    }
}
