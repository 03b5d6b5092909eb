//! Takes the chunked framing apart without keeping what it frames: bodies here are counted, not
//! looked at.

use super::HttpError;

/// Longest line of a chunk's size, extensions included, or of a trailer.
const LONGEST_LINE: usize = 256;

/// How far a chunked body has been read.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    payload: u64,
    at: At,
    line: Vec<u8>,
}

/// What comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A line with the next chunk's size.
    #[default]
    Size,
    /// That many more bytes of a chunk.
    Data(u64),
    /// The empty line behind a chunk.
    DataEnd,
    /// A trailer, or the empty line that ends it all.
    Trailer,
    End,
}

impl Chunked {
    /// Takes in what came, and tells how many bytes of it belong to this body: all of them until
    /// its end has come.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<usize, HttpError> {
        let given = bytes.len();
        while self.at != At::End && !bytes.is_empty() {
            bytes = match self.at {
                At::Data(left) => {
                    let here = usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    let counted = here as u64;
                    self.payload += counted;
                    self.at = match left - counted {
                        0 => At::DataEnd,
                        left => At::Data(left),
                    };
                    &bytes[here..]
                }
                _ => self.line(bytes)?,
            };
        }
        Ok(given - bytes.len())
    }

    /// Whether the last chunk and what follows it have come.
    pub(crate) fn is_complete(&self) -> bool {
        self.at == At::End
    }

    /// Whether a chunk has come whole and nothing of another.
    pub(crate) fn is_between_chunks(&self) -> bool {
        self.at == At::Size && self.line.is_empty()
    }

    /// Bytes of the body so far.
    pub(crate) fn payload(&self) -> u64 {
        self.payload
    }

    /// Collects a line; once it is whole, goes on to what it announces.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], HttpError> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.line.extend_from_slice(part);
        if self.line.len() > LONGEST_LINE {
            return Err(self.malformed());
        }
        if end.is_some() {
            self.at = self.announced().ok_or_else(|| self.malformed())?;
            self.line.clear();
        }
        Ok(rest)
    }

    fn announced(&self) -> Option<At> {
        let line = std::str::from_utf8(&self.line).ok()?.strip_suffix("\r\n")?;
        match self.at {
            At::Size => {
                let digits = line.split(';').next()?.trim_end();
                if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                match u64::from_str_radix(digits, 16).ok()? {
                    0 => Some(At::Trailer),
                    size => Some(At::Data(size)),
                }
            }
            At::DataEnd => line.is_empty().then_some(At::Size),
            At::Trailer if line.is_empty() => Some(At::End),
            At::Trailer => Some(At::Trailer),
            At::Data(_) | At::End => None,
        }
    }

    fn malformed(&self) -> HttpError {
        HttpError::Chunk(String::from_utf8_lossy(&self.line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: z\r\n\r\nnext";

    #[test]
    fn it_ends_where_the_body_does_however_the_bytes_come() {
        for step in 1..BODY.len() {
            let (mut chunked, mut taken) = (Chunked::default(), 0);
            for piece in BODY.chunks(step) {
                let here = chunked.take(piece).expect("well-formed");
                taken += here;
                assert!(here == piece.len() || chunked.is_complete());
            }
            assert_eq!((taken, chunked.payload()), (BODY.len() - 4, 6));
        }
    }

    #[test]
    fn a_body_that_breaks_off_is_not_complete() {
        let mut chunked = Chunked::default();
        let cut = &BODY[..BODY.len() - 6];
        assert_eq!(chunked.take(cut).expect("so far so good"), cut.len());
        assert!(!chunked.is_complete());
    }

    #[test]
    fn what_is_no_framing_is_refused() {
        for bytes in [&b"five\r\n"[..], b"+5\r\n", b"5\n", b"\r\n", b"1\r\nxy\r\n"] {
            let mut chunked = Chunked::default();
            let text = String::from_utf8_lossy(bytes);
            chunked.take(bytes).expect_err(&text);
        }
    }
}
