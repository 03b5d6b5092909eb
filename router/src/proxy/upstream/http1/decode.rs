//! Where an answer's body ends (RFC 9112 section 6.3), and its bytes without the chunks around them.
//!
//! Pure: takes bytes out of a buffer, knows no socket. Whatever is not exactly as the RFC says is a
//! fault: a proxy that guesses can be made to guess wrong.

use bytes::{Bytes, BytesMut};

use super::WireError;

/// Longest line around a chunk, in bytes, extensions included.
const LINE_LIMIT: usize = 4096;
/// Longest trailer section, in bytes.
const TRAILERS_LIMIT: usize = 16 << 10;

/// What is still to come of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// So many bytes; 0 is the end.
    Length(u64),
    /// Chunks.
    Chunks(Place),
    /// Whatever comes until the backend closes.
    UntilClose,
}

/// Where in a chunked body the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The line with a chunk's size.
    Size,
    /// Within a chunk of which so many bytes, at least one, are still to come.
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    /// Behind the last chunk, of which so many bytes of trailers came.
    Trailers(usize),
}

impl Decoder {
    /// Nothing more.
    pub(super) const DONE: Self = Self::Length(0);
    /// A chunked body from its beginning.
    pub(super) const CHUNKED: Self = Self::Chunks(Place::Size);

    /// Whether the body is whole.
    pub(super) fn is_done(self) -> bool {
        self == Self::DONE
    }

    /// Bytes still to come, where that is known.
    pub(super) fn remaining(self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(left),
            Self::Chunks(_) | Self::UntilClose => None,
        }
    }

    /// Takes what `input` has of the body; `None` if that takes more of it, or if the body is
    /// whole.
    ///
    /// # Errors
    /// What came is no chunked body. What is left in `input` is of no use then.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        match self {
            Self::Length(left) => Ok(take(input, left)),
            Self::UntilClose => Ok((!input.is_empty()).then(|| input.split().freeze())),
            Self::Chunks(_) => {
                self.skip_framing(input)?;
                let Self::Chunks(Place::Data(left)) = self else {
                    return Ok(None);
                };
                let data = take(input, left);
                if *left == 0 {
                    *self = Self::Chunks(Place::DataEnd);
                    // The end often stands right behind: whoever asks learns of it at once. A
                    // fault there is found again by the next call.
                    let _ = self.skip_framing(input);
                }
                Ok(data)
            }
        }
    }

    /// The backend closed its side.
    ///
    /// # Errors
    /// That is not where the body ends.
    pub(super) fn close(&mut self) -> Result<(), WireError> {
        if !matches!(*self, Self::UntilClose | Self::DONE) {
            return Err(WireError::Truncated);
        }
        *self = Self::DONE;
        Ok(())
    }

    /// Moves on to the next byte of data, to the end of the body, or to the end of `input`.
    fn skip_framing(&mut self, input: &mut BytesMut) -> Result<(), WireError> {
        while let Self::Chunks(place) = *self {
            let next = match place {
                Place::Data(_) => return Ok(()),
                Place::Size => size_line(input)?.map(|size| match size {
                    0 => Self::Chunks(Place::Trailers(0)),
                    size => Self::Chunks(Place::Data(size)),
                }),
                Place::DataEnd => line_end(input)?.then_some(Self::CHUNKED),
                Place::Trailers(before) => trailer(input, before)?,
            };
            match next {
                Some(next) => *self = next,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// At most `left` bytes, counted down.
fn take(input: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let taken = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= taken as u64;
    (taken > 0).then(|| input.split_to(taken).freeze())
}

/// The size of the chunk that begins here. Extensions are read over.
fn size_line(input: &mut BytesMut) -> Result<Option<u64>, WireError> {
    let digits = input
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    match input.get(digits) {
        // 16 digits are all that fit; a line that ends among them says nothing yet.
        None if digits <= 16 => return Ok(None),
        Some(b'\r' | b';' | b' ' | b'\t') if (1..=16).contains(&digits) => {}
        _ => return Err(WireError::Chunk),
    }
    let Some(end) = memchr::memchr(b'\n', input) else {
        return within(input.len(), LINE_LIMIT).map(|()| None);
    };
    within(end, LINE_LIMIT)?;
    if input.get(end - 1) != Some(&b'\r') {
        return Err(WireError::Chunk);
    }
    let size = std::str::from_utf8(&input[..digits])
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(WireError::Chunk)?;
    let _ = input.split_to(end + 1);
    Ok(Some(size))
}

/// The line end behind a chunk; whether it has come.
fn line_end(input: &mut BytesMut) -> Result<bool, WireError> {
    match &input[..input.len().min(2)] {
        b"\r\n" => {
            let _ = input.split_to(2);
            Ok(true)
        }
        b"\r" | b"" => Ok(false),
        _ => Err(WireError::Chunk),
    }
}

/// One line of the trailers, which end with an empty one. They are dropped, as RFC 9112 section
/// 7.1.2 lets whoever forwards: what they say has passed no check of headers.
fn trailer(input: &mut BytesMut, before: usize) -> Result<Option<Decoder>, WireError> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return within(before + input.len(), TRAILERS_LIMIT).map(|()| None);
    };
    let length = end + 1;
    within(before + length, TRAILERS_LIMIT)?;
    let line = input.split_to(length);
    match &line[..] {
        b"\r\n" => Ok(Some(Decoder::DONE)),
        line if line.ends_with(b"\r\n") => {
            Ok(Some(Decoder::Chunks(Place::Trailers(before + length))))
        }
        _ => Err(WireError::Chunk),
    }
}

fn within(length: usize, limit: usize) -> Result<(), WireError> {
    if length > limit {
        return Err(WireError::Chunk);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `text` in pieces of these sizes; answers the data and whether the body is whole.
    fn decode(
        mut decoder: Decoder,
        text: &[u8],
        sizes: &[usize],
    ) -> Result<(Vec<u8>, bool, usize), WireError> {
        let (mut input, mut data) = (BytesMut::new(), Vec::new());
        let (mut rest, mut sizes) = (text, sizes.iter().cycle());
        loop {
            while let Some(piece) = decoder.decode(&mut input)? {
                assert!(!piece.is_empty());
                data.extend_from_slice(&piece);
            }
            if decoder.is_done() || rest.is_empty() {
                return Ok((data, decoder.is_done(), input.len() + rest.len()));
            }
            let size = (*sizes.next().expect("a cycle")).min(rest.len());
            input.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
        }
    }

    fn chunked(chunks: &[Vec<u8>], extension: &str, trailers: &str) -> Vec<u8> {
        let mut text = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            text.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(format!("0{extension}\r\n{trailers}\r\n").as_bytes());
        text
    }

    proptest! {
        /// However the bytes come, and whatever stands behind the body.
        #[test]
        fn chunks_are_taken_off_and_nothing_else_is(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            extension in prop::sample::select(&["", ";x", " ; x=\"y\""][..]),
            trailers in prop::sample::select(&["", "A: b\r\n", "A: b\r\nC: d\r\n"][..]),
            behind in prop::collection::vec(any::<u8>(), 0..5),
            sizes in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let mut text = chunked(&chunks, extension, trailers);
            text.extend_from_slice(&behind);
            let (data, whole, left) = decode(Decoder::CHUNKED, &text, &sizes).expect("a body");
            prop_assert_eq!(data, chunks.concat());
            prop_assert!(whole);
            prop_assert_eq!(left, behind.len());
        }

        #[test]
        fn a_body_that_breaks_off_anywhere_is_not_whole(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..4),
            cut in any::<prop::sample::Index>(),
            sizes in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let text = chunked(&chunks, "", "");
            let text = &text[..cut.index(text.len())];
            let (_, whole, _) = decode(Decoder::CHUNKED, text, &sizes).expect("a beginning");
            prop_assert!(!whole);
        }

        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, sizes in prop::collection::vec(1_usize..30, 1..20)) {
            let _ = decode(Decoder::CHUNKED, &bytes, &sizes);
        }
    }

    #[test]
    fn what_is_no_chunk_is_a_fault() {
        let long = format!("1;{}\r\nx\r\n", "y".repeat(LINE_LIMIT));
        let endless = format!("0\r\n{}", "A: b\r\n".repeat(TRAILERS_LIMIT));
        for text in [
            "cannot read\r\n",
            "g\r\n",
            "\r\n",
            " 1\r\nx\r\n0\r\n\r\n",
            "-1\r\nx\r\n0\r\n\r\n",
            "+1\r\nx\r\n0\r\n\r\n",
            "0x1\r\nx\r\n0\r\n\r\n",
            "1\nx\n0\n\n",
            "1\r\nxy\r\n0\r\n\r\n",
            "2\r\nlong\r\n0\r\n\r\n",
            "11112222333344445\r\nx",
            "1\r\nx\n0\r\n\r\n",
            "0\r\nA: b\n\r\n",
            &long,
            &endless,
        ] {
            for size in [1, 3, 10_000] {
                let outcome = decode(Decoder::CHUNKED, text.as_bytes(), &[size]);
                let shown = &text[..text.len().min(40)];
                match outcome {
                    Err(WireError::Chunk) => {}
                    other => panic!("{shown:?} in {size}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn only_an_end_that_was_told_is_one() {
        for (decoder, whole) in [
            (Decoder::DONE, true),
            (Decoder::UntilClose, true),
            (Decoder::Length(1), false),
            (Decoder::CHUNKED, false),
            (Decoder::Chunks(Place::Trailers(0)), false),
        ] {
            let mut decoder = decoder;
            assert_eq!(decoder.close().is_ok(), whole, "{decoder:?}");
        }
    }

    #[test]
    fn a_length_is_counted_down_and_what_is_behind_it_stays() {
        let (data, whole, left) = decode(Decoder::Length(4), b"data!", &[3]).expect("a body");
        assert_eq!((data.as_slice(), whole, left), (&b"data"[..], true, 1));
    }
}
