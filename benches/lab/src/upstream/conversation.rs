//! One connection to the upstream: request after request, as long as the other side wants.

use std::{io, sync::atomic::Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    BODY, COUNTS, ENDPOINT, EXPORT, RECORD, Seen, TAIL,
    bulk::{BodyFraming, Bulk},
};
use crate::http1::{chunked::Chunked, end_of_head, header, text};

/// Longest head taken, in bytes.
const LIMIT: usize = 16 << 10;
/// How much of a long body is read at a time.
const BULK: usize = 256 << 10;

/// A client that is listened to.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The answer to almost everything.
    fixed: Vec<u8>,
}

/// What a head says.
#[derive(Debug)]
struct Request {
    asks: Asks,
    /// Whether the connection ends with the answer.
    closes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// The same as everybody.
    Fixed,
    Probe,
    Counts,
    Export(u64, BodyFraming),
    Tail,
    /// To take in a body of that length.
    Length(u64),
    /// To take in a chunked body.
    Chunked,
}

impl Conversation {
    pub(super) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let endpoint = stream.local_addr()?.ip().to_string();
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(2048),
            fixed: answer(&endpoint, &[b'x'; BODY]),
        })
    }

    /// Answers until either side closes.
    pub(super) async fn serve(&mut self, seen: &Seen) -> io::Result<()> {
        loop {
            while let Some(end) = end_of_head(&self.buffer) {
                let request = Request::read(&self.buffer[..end])?;
                self.buffer.drain(..end);
                self.answer(request.asks, seen).await?;
                if request.closes {
                    return self.stream.shutdown().await;
                }
            }
            if self.buffer.len() > LIMIT || self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn answer(&mut self, asks: Asks, seen: &Seen) -> io::Result<()> {
        match asks {
            Asks::Fixed => self.stream.write_all(&self.fixed).await,
            Asks::Probe => {
                seen.probes.fetch_add(1, Ordering::Relaxed);
                self.stream.write_all(&answer("", b"OK")).await
            }
            Asks::Counts => self.stream.write_all(&answer("", &seen.as_json())).await,
            Asks::Export(bytes, framing) => self.export(bytes, framing).await,
            Asks::Tail => {
                seen.tails.fetch_add(1, Ordering::Relaxed);
                let ended = self.tail().await;
                seen.tails.fetch_sub(1, Ordering::Relaxed);
                ended
            }
            Asks::Length(_) | Asks::Chunked => {
                let received = self.take_in(asks).await?;
                let told = format!("{{\"received\":{received}}}");
                self.stream.write_all(&answer("", told.as_bytes())).await
            }
        }
    }

    async fn export(&mut self, bytes: u64, framing: BodyFraming) -> io::Result<()> {
        let announced = framing.header(bytes);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/stream+json\r\n{announced}\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes()).await?;
        for piece in Bulk::of(bytes, framing)?.pieces() {
            self.stream.write_all(piece).await?;
        }
        Ok(())
    }

    /// Begins, and is silent until the other side has had enough.
    async fn tail(&mut self) -> io::Result<()> {
        // The usual word to a proxy that would rather collect an answer before it sends any of it.
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/stream+json\r\n\
             X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{RECORD}\r\n",
            RECORD.len()
        );
        self.stream.write_all(head.as_bytes()).await?;
        while self.stream.read(&mut [0; 64]).await? > 0 {}
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Reads a body to its end and tells its length; what follows it stays in the buffer.
    async fn take_in(&mut self, asks: Asks) -> io::Result<u64> {
        let (mut chunked, mut received) = (Chunked::default(), 0);
        loop {
            let (taken, ended) = if let Asks::Length(length) = asks {
                let here = (length - received).min(self.buffer.len() as u64);
                received += here;
                (
                    usize::try_from(here).map_err(io::Error::other)?,
                    received == length,
                )
            } else {
                let taken = chunked.take(&self.buffer).map_err(io::Error::other)?;
                received = chunked.payload();
                (taken, chunked.is_complete())
            };
            self.buffer.drain(..taken);
            if ended {
                return Ok(received);
            }
            self.buffer.reserve(BULK);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl Request {
    fn read(head: &[u8]) -> io::Result<Self> {
        let head = text(head).map_err(io::Error::other)?;
        let mut words = head.split(' ');
        let (method, target) = (words.next(), words.next().unwrap_or_default());
        let asks = match method {
            Some("POST" | "PUT") => body(head),
            _ => asked(target),
        };
        let closes =
            header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Self { asks, closes })
    }
}

fn body(head: &str) -> Asks {
    if header(head, "transfer-encoding").is_some() {
        return Asks::Chunked;
    }
    let length = header(head, "content-length").and_then(|value| value.parse().ok());
    Asks::Length(length.unwrap_or_default())
}

fn asked(target: &str) -> Asks {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match path {
        "/health" => Asks::Probe,
        COUNTS => Asks::Counts,
        TAIL => Asks::Tail,
        EXPORT => {
            let field = |name: &str| {
                query
                    .split('&')
                    .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            };
            let bytes = field("bytes").and_then(|value| value.parse().ok());
            let framing = match field("framing") {
                Some("chunked") => BodyFraming::Chunked,
                _ => BodyFraming::Length,
            };
            Asks::Export(bytes.unwrap_or_default(), framing)
        }
        _ => Asks::Fixed,
    }
}

fn answer(endpoint: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         {ENDPOINT}: {endpoint}\r\n\r\n"
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Request {
        Request::read(head.as_bytes()).expect("readable")
    }

    #[test]
    fn a_head_says_what_is_asked() {
        let export = read("GET /api/v1/export?framing=chunked&bytes=7 HTTP/1.1\r\n\r\n");
        assert_eq!(export.asks, Asks::Export(7, BodyFraming::Chunked));
        let query = read("GET /api/v1/query?query=1 HTTP/1.1\r\nConnection: Close\r\n\r\n");
        assert!(query.asks == Asks::Fixed && query.closes);
        let import = "POST /api/v1/import HTTP/1.1\r\n";
        let sized = read(&format!("{import}content-length: 9\r\n\r\n"));
        assert_eq!(sized.asks, Asks::Length(9));
        let chunked = read(&format!("{import}Transfer-Encoding: chunked\r\n\r\n"));
        assert!(chunked.asks == Asks::Chunked && !chunked.closes);
    }
}
