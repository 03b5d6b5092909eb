//! Long bodies that cost next to nothing to make: the same bytes over and over.

use std::{io, iter};

use serde::{Deserialize, Serialize};

/// Bytes in a chunk.
pub(crate) const CHUNK: usize = 64 << 10;
/// Chunks per piece.
const CHUNKS: usize = 4;

/// How a body says where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BodyFraming {
    Length,
    Chunked,
}

impl BodyFraming {
    /// The header that announces it.
    pub(crate) fn header(self, bytes: u64) -> String {
        match self {
            Self::Length => format!("Content-Length: {bytes}"),
            Self::Chunked => "Transfer-Encoding: chunked".into(),
        }
    }
}

/// A body in pieces of a size that is cheap to write.
#[derive(Debug)]
pub(crate) struct Bulk {
    piece: Vec<u8>,
    times: usize,
    end: Vec<u8>,
}

impl Bulk {
    /// That many bytes.
    pub(crate) fn of(bytes: u64, framing: BodyFraming) -> io::Result<Self> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        let (times, rest) = (bytes / (CHUNK * CHUNKS), bytes % (CHUNK * CHUNKS));
        let (unit, end) = match framing {
            BodyFraming::Length => (vec![b'x'; CHUNK], vec![b'x'; rest]),
            BodyFraming::Chunked => {
                let mut end = if rest > 0 { chunk(rest) } else { Vec::new() };
                end.extend_from_slice(b"0\r\n\r\n");
                (chunk(CHUNK), end)
            }
        };
        let piece = unit.repeat(CHUNKS);
        Ok(Self { piece, times, end })
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let many = iter::repeat_n(self.piece.as_slice(), self.times);
        many.chain([self.end.as_slice()])
    }
}

fn chunk(bytes: usize) -> Vec<u8> {
    let mut chunk = format!("{bytes:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + bytes, b'x');
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::chunked::Chunked;

    #[test]
    fn a_body_has_the_length_that_was_asked_for() {
        let unit = CHUNK as u64;
        let whole = |bytes, framing| {
            let bulk = Bulk::of(bytes, framing).expect("small enough");
            bulk.pieces().collect::<Vec<_>>().concat()
        };
        for bytes in [0, 1, unit - 1, 4 * unit, 9 * unit + 7] {
            assert_eq!(whole(bytes, BodyFraming::Length).len() as u64, bytes);
            let (chunks, mut chunked) = (whole(bytes, BodyFraming::Chunked), Chunked::default());
            let taken = chunked.take(&chunks).expect("well-formed");
            assert_eq!((taken, chunked.payload()), (chunks.len(), bytes));
            assert!(chunked.is_complete());
        }
    }
}
