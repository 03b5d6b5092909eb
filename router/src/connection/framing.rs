//! Notices heads that say in two ways where their body ends, which is how requests are smuggled.
//!
//! The HTTP parser resolves such heads (RFC 9112 section 6.3 lets it) and hides that it did: it
//! takes `Transfer-Encoding`, drops `Content-Length` and closes afterwards. Whoever stands in
//! front of us may have resolved it the other way, so we refuse instead. That takes a look at the
//! raw bytes, line by line, in the first head of what has come.

/// Longest line beginning that matters: `transfer-encoding:` and some room.
const LOOKED_AT: usize = 24;

/// Looks at the raw bytes of one head as they come.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// The beginning of the line that is not complete yet.
    line: [u8; LOOKED_AT],
    length: usize,
    lengths: u8,
    encodings: u8,
    /// Whether a line with something in it has come: empty ones before the request line are let
    /// through by the parser too.
    begun: bool,
    done: bool,
}

impl HeadScan {
    /// Whether the head has a `Content-Length` more than once, or beside a `Transfer-Encoding`.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.lengths > 1 || (self.lengths > 0 && self.encodings > 0)
    }

    /// Takes the next bytes of the head; what follows its end is not looked at.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.done && !bytes.is_empty() {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.append(bytes);
                return;
            };
            self.append(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = &mut self.line[self.length..];
        let taken = bytes.len().min(room.len());
        room[..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }

    fn end_line(&mut self) {
        let line = &self.line[..self.length];
        match line.first() {
            None | Some(b'\r') => self.done = self.begun,
            Some(b'c' | b'C') => self.lengths += u8::from(is_field(line, b"content-length")),
            Some(b't' | b'T') => self.encodings += u8::from(is_field(line, b"transfer-encoding")),
            Some(_) => {}
        }
        self.begun |= !matches!(line.first(), None | Some(b'\r'));
        self.length = 0;
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.len() > name.len()
        && line[..name.len()].eq_ignore_ascii_case(name)
        && matches!(line[name.len()], b':' | b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::HeadScan;

    const HEADS: [(&str, bool); 8] = [
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            false,
        ),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\nX: y\r\ncontent-length:3\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            true,
        ),
        (
            "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\n\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\nContent-Length: 3\nTransfer-Encoding: x\n\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n",
            false,
        ),
    ];

    #[test]
    fn two_ways_to_end_a_body_are_noticed_and_bodies_are_not_looked_at() {
        for (head, ambiguous) in HEADS {
            let mut scan = HeadScan::default();
            scan.feed(head.as_bytes());
            assert_eq!(scan.is_ambiguous(), ambiguous, "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_how_the_bytes_come(
            (head, ambiguous) in prop::sample::select(&HEADS[..]),
            cuts in prop::collection::vec(1_usize..9, 1..40),
        ) {
            let mut scan = HeadScan::default();
            let (mut rest, mut sizes) = (head.as_bytes(), cuts.iter().cycle());
            while !rest.is_empty() {
                let size = (*sizes.next().expect("a cycle")).min(rest.len());
                scan.feed(&rest[..size]);
                rest = &rest[size..];
            }
            prop_assert_eq!(scan.is_ambiguous(), ambiguous);
        }
    }
}
