//! Notices requests that say in two ways where their body ends, which is how requests are smuggled.
//!
//! The HTTP parser resolves such heads (RFC 9112 section 6.3 lets it) and hides that it did: it
//! takes `Transfer-Encoding`, drops `Content-Length` and closes afterwards. Whoever stands in
//! front of us may have resolved it the other way, so we refuse instead. That takes a look at the
//! raw bytes: heads line by line; bodies are skipped, for another head may stand right behind.

/// Beginning of a line that matters: `Transfer-Encoding: chunked` or a length, and some room.
const LOOKED_AT: usize = 48;

/// Follows the raw bytes of one HTTP/1 connection as they come.
#[derive(Debug, Default)]
pub struct Framing {
    place: Place,
    /// The beginning of the line that is not complete yet.
    line: Line,
    head: Head,
    /// Heads that came whole and clear, and have not been taken.
    clear: u32,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    /// A body, or a chunk and its line end, of which so many bytes are still to come.
    Skipped {
        left: u64,
        then: After,
    },
    ChunkSize,
    Trailers,
    /// Unknown: what came can't be told apart any more.
    Lost,
}

/// What stands behind something skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Head,
    ChunkSize,
}

/// What has been seen of a head.
#[derive(Debug, Default)]
struct Head {
    lengths: u8,
    encodings: u8,
    length: u64,
    /// Whether a value is not as simple as it must be.
    odd: bool,
    /// Whether a line with something in it has come: empty ones before the request line are let
    /// through by the parser too.
    begun: bool,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    bytes: [u8; LOOKED_AT],
    /// How long it is, however much of it is kept.
    length: usize,
}

impl Framing {
    /// Takes the head that came first of those not taken yet: whether it says clearly, and once,
    /// where its body ends.
    pub fn take_head(&mut self) -> bool {
        let clear = self.clear > 0;
        self.clear = self.clear.saturating_sub(1);
        clear
    }

    /// Whether a part of a head has come, and the rest not yet.
    pub fn is_within_head(&self) -> bool {
        self.place == Place::Head && (self.head.begun || self.line.length > 0)
    }

    /// Whether all that came has been taken, so that the next byte begins a head.
    pub fn is_between_messages(&self) -> bool {
        self.place == Place::Head && !self.is_within_head() && self.clear == 0
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Lost => return,
                Place::Skipped { left, then } => self.skip(bytes, left, then),
                Place::Head | Place::ChunkSize | Place::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.line.append(bytes);
                        return;
                    };
                    self.place = self.end_line(&bytes[..end]);
                    self.line.length = 0;
                    &bytes[end + 1..]
                }
            };
        }
    }

    fn skip<'b>(&mut self, bytes: &'b [u8], left: u64, then: After) -> &'b [u8] {
        let skipped = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.place = skipping(left - skipped as u64, then);
        &bytes[skipped..]
    }

    /// What stands behind the line that ends with `last`, which is all of it as a rule.
    fn end_line(&mut self, last: &[u8]) -> Place {
        if self.line.length > 0 {
            self.line.append(last);
            let line = self.line;
            return self.follow(line.kept(), line.is_cut());
        }
        self.follow(&last[..last.len().min(LOOKED_AT)], last.len() > LOOKED_AT)
    }

    /// What stands behind a line that begins with `line`, and may go on.
    fn follow(&mut self, line: &[u8], is_cut: bool) -> Place {
        let is_empty = matches!(line.first(), None | Some(b'\r'));
        match self.place {
            Place::Head if is_empty && !self.head.begun => Place::Head,
            Place::Head if is_empty => self.end_head(),
            Place::Head => {
                self.head.take(line, is_cut);
                Place::Head
            }
            Place::ChunkSize => match chunk_size(line) {
                Some(0) => Place::Trailers,
                // The chunk's own line end is skipped with it.
                Some(size) => skipping(size.saturating_add(2), After::ChunkSize),
                None => Place::Lost,
            },
            Place::Trailers if is_empty => Place::Head,
            place @ (Place::Trailers | Place::Skipped { .. } | Place::Lost) => place,
        }
    }

    fn end_head(&mut self) -> Place {
        let head = std::mem::take(&mut self.head);
        if head.odd || head.lengths + head.encodings > 1 {
            return Place::Lost;
        }
        self.clear += 1;
        if head.encodings > 0 {
            Place::ChunkSize
        } else {
            skipping(head.length, After::Head)
        }
    }
}

impl Head {
    fn take(&mut self, line: &[u8], is_cut: bool) {
        self.begun = true;
        // Most lines are neither, which their first letter tells.
        if !matches!(line.first(), Some(b'C' | b'c' | b'T' | b't')) {
            return;
        }
        if let Some(value) = field(line, b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
            self.length = length.unwrap_or(0);
            self.odd |= length.is_none() || is_cut;
            self.lengths = self.lengths.saturating_add(1);
        } else if let Some(value) = field(line, b"transfer-encoding") {
            // Others would have to be decoded here: their name ends here, so their bytes would
            // reach the backend without it.
            self.odd |= !value.eq_ignore_ascii_case(b"chunked") || is_cut;
            self.encodings = self.encodings.saturating_add(1);
        }
    }
}

impl Line {
    fn append(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..) {
            let taken = bytes.len().min(room.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
        }
        self.length = self.length.saturating_add(bytes.len());
    }

    fn kept(&self) -> &[u8] {
        &self.bytes[..self.length.min(LOOKED_AT)]
    }

    fn is_cut(&self) -> bool {
        self.length > LOOKED_AT
    }
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; LOOKED_AT],
            length: 0,
        }
    }
}

fn skipping(left: u64, then: After) -> Place {
    match (left, then) {
        (0, After::Head) => Place::Head,
        (0, After::ChunkSize) => Place::ChunkSize,
        (left, then) => Place::Skipped { left, then },
    }
}

/// The value of a field, if the line is of that name.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii())
}

/// The size at the beginning of a chunk's line; what stands behind it are extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    // More digits than are kept could mean anything.
    let digits = line
        .get(..digits)
        .filter(|digits| digits.len() < LOOKED_AT)?;
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Framing;

    const CLEAR: [&str; 7] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\nHost: a\n\n",
        "POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length:0\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n1\r\n\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n\
         14;x=y\r\nContent-Length: 3\r\n\n\r\n00\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length-X: 3\r\nX-Transfer-Encoding: x\r\n\r\n",
    ];
    const AMBIGUOUS: [&str; 9] = [
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\nX: y\r\ncontent-length:3\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: chunked\n\n",
        "\r\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked                                      , x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length : 3\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n",
    ];

    /// Feeds a text in pieces of these sizes, over and over.
    fn follow(text: &str, sizes: &[usize]) -> Framing {
        let mut framing = Framing::default();
        let (mut rest, mut sizes) = (text.as_bytes(), sizes.iter().cycle());
        while !rest.is_empty() {
            let size = (*sizes.next().expect("a cycle")).min(rest.len());
            framing.feed(&rest[..size]);
            rest = &rest[size..];
        }
        framing
    }

    #[test]
    fn a_head_that_has_begun_is_known_to_have() {
        for (text, within) in [
            ("", false),
            ("GE", true),
            ("GET / HTTP/1.1\r\n", true),
            (CLEAR[0], false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcP", true),
        ] {
            assert_eq!(follow(text, &[9]).is_within_head(), within, "{text:?}");
        }
    }

    #[test]
    fn between_messages_is_where_nothing_waits_to_be_taken_or_to_come() {
        for (text, taken, between) in [
            ("", 0, true),
            ("\r\n", 0, true),
            ("\r", 0, false),
            ("G", 0, false),
            (CLEAR[0], 0, false),
            (CLEAR[0], 1, true),
            (CLEAR[2], 1, true),
            (CLEAR[4], 1, true),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", 1, false),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                1,
                false,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n",
                1,
                true,
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcP", 1, false),
            (&CLEAR[0].repeat(2), 1, false),
            (&CLEAR[0].repeat(2), 2, true),
            (AMBIGUOUS[0], 1, false),
        ] {
            let mut framing = follow(text, &[9]);
            for _ in 0..taken {
                framing.take_head();
            }
            assert_eq!(framing.is_between_messages(), between, "{text:?}");
        }
    }

    proptest! {
        /// However the bytes come, and whatever came before.
        #[test]
        fn heads_are_found_behind_bodies_and_ambiguous_ones_are_told_from_clear_ones(
            before in prop::collection::vec(prop::sample::select(&CLEAR[..]), 0..4),
            last in prop::sample::select(&AMBIGUOUS[..]),
            behind in prop::sample::select(&CLEAR[..]),
            sizes in prop::collection::vec(1_usize..60, 1..40),
        ) {
            let text = before.concat() + last + behind;
            let mut framing = follow(&text, &sizes);
            for _ in &before {
                prop_assert!(framing.take_head());
            }
            prop_assert!(!framing.take_head());
            prop_assert!(!framing.take_head(), "what follows ambiguity is no clearer");
        }

        #[test]
        fn nothing_confuses_it_beyond_being_lost(bytes: Vec<u8>) {
            Framing::default().feed(&bytes);
        }
    }
}
