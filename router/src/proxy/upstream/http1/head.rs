//! The head of an answer (RFC 9112): read by `httparse`, and what it says of body and connection.

use std::{mem::MaybeUninit, ops::Range};

use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header, response::Parts,
};
use httparse::{ParserConfig, Status};
use hyper::ext::ReasonPhrase;
use smallvec::SmallVec;

use super::{WireError, decode::Decoder};
use crate::proxy::rewrite;

/// Largest head, in bytes.
const HEAD_LIMIT: usize = 128 << 10;
/// Most headers in a head.
const HEADERS_LIMIT: usize = 128;

/// An answer's head, and what follows from it.
#[derive(Debug)]
pub(super) struct Head {
    /// Without the headers that are not for clients.
    pub(super) parts: Parts,
    /// What is to come behind it.
    pub(super) body: Decoder,
    /// Whether the connection takes another request afterwards.
    pub(super) keep_alive: bool,
}

/// What the headers say about body and connection.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    /// What `Connection` names beside these.
    declared: SmallVec<[HeaderName; 2]>,
}

/// Takes a whole head off `input`; `None` if it has not come whole. `bodiless` tells that the
/// answer has no body whatever it says, as one to HEAD.
///
/// # Errors
/// What came is no head, or too large a one.
pub(super) fn take(input: &mut BytesMut, bodiless: bool) -> Result<Option<Head>, WireError> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_LIMIT];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut answer,
        input,
        &mut headers,
    )?;
    let Status::Complete(length) = parsed else {
        if input.len() > HEAD_LIMIT {
            return Err(WireError::HeadTooLarge);
        }
        return Ok(None);
    };
    if length > HEAD_LIMIT {
        return Err(WireError::HeadTooLarge);
    }
    let status = answer
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(WireError::Framing("a status code out of range"))?;
    let reason = answer
        .reason
        .filter(|reason| Some(*reason) != status.canonical_reason())
        .and_then(|reason| ReasonPhrase::try_from(reason.as_bytes()).ok());
    let is_http10 = answer.version == Some(0);
    let mut fields = SmallVec::<[(HeaderName, Range<usize>); 12]>::new();
    let start = input.as_ptr().addr();
    for field in answer.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| WireError::Framing("a header's name out of the ordinary"))?;
        // By their place: they will be cut out of the same bytes.
        let at = field.value.as_ptr().addr() - start;
        fields.push((name, at..at + field.value.len()));
    }

    let block = input.split_to(length).freeze();
    let mut map = HeaderMap::with_capacity(fields.len());
    let mut framing = Framing::default();
    for (name, value) in fields {
        let value = HeaderValue::from_maybe_shared(block.slice(value))
            .map_err(|_| WireError::Framing("a header with control characters"))?;
        framing.note(&name, &value)?;
        if rewrite::is_for_clients(&name) {
            map.append(name, value);
        }
    }
    for name in &framing.declared {
        map.remove(name);
    }
    if framing.chunked {
        // With both, the length is a lie (RFC 9112 section 6.3).
        map.remove(header::CONTENT_LENGTH);
    }
    let body = framing.body(status, bodiless, is_http10)?;
    let keep_alive = body != Decoder::UntilClose
        && !framing.close
        && (!is_http10 || framing.keep_alive)
        && status != StatusCode::SWITCHING_PROTOCOLS;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = Version::HTTP_11;
    parts.headers = map;
    if let Some(reason) = reason {
        parts.extensions.insert(reason);
    }
    Ok(Some(Head {
        parts,
        body,
        keep_alive,
    }))
}

impl Framing {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), WireError> {
        if name == header::CONTENT_LENGTH {
            self.note_length(value)?;
        } else if name == header::TRANSFER_ENCODING {
            // Of others the client would not learn: their name ends here.
            if self.chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(WireError::Framing("a transfer coding other than chunked"));
            }
            self.chunked = true;
        } else if name == header::CONNECTION {
            for option in value.as_bytes().split(|byte| *byte == b',') {
                self.note_option(option.trim_ascii());
            }
        }
        Ok(())
    }

    /// Several lengths are one if they agree (RFC 9110 section 8.6).
    fn note_length(&mut self, value: &HeaderValue) -> Result<(), WireError> {
        for length in value.as_bytes().split(|byte| *byte == b',') {
            let length = decimal(length.trim_ascii())
                .filter(|length| self.length.is_none_or(|before| before == *length))
                .ok_or(WireError::Framing("a content length that is none"))?;
            self.length = Some(length);
        }
        Ok(())
    }

    fn note_option(&mut self, option: &[u8]) {
        if option.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if let Ok(name) = HeaderName::from_bytes(option) {
            self.declared.push(name);
        }
    }

    fn body(
        &self,
        status: StatusCode,
        bodiless: bool,
        is_http10: bool,
    ) -> Result<Decoder, WireError> {
        let never = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || never || status.is_informational() {
            return Ok(Decoder::DONE);
        }
        Ok(match (self.chunked, self.length) {
            (true, _) if is_http10 => {
                return Err(WireError::Framing("chunks in HTTP/1.0"));
            }
            (true, _) => Decoder::CHUNKED,
            (false, Some(length)) => Decoder::Length(length),
            (false, None) => Decoder::UntilClose,
        })
    }
}

/// A number in digits and nothing else.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, WireError> {
        take(&mut BytesMut::from(text), false)
    }

    fn whole(text: &str) -> Head {
        let head = head(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        head.unwrap_or_else(|| panic!("{text:?} is not whole"))
    }

    #[test]
    fn the_body_is_where_the_rfc_says() {
        let cases = [
            ("200 OK\r\nContent-Length: 5", Decoder::Length(5), true),
            ("200 OK\r\nContent-Length: 5, 5", Decoder::Length(5), true),
            (
                "200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
                Decoder::Length(5),
                true,
            ),
            (
                "200 OK\r\nTransfer-Encoding: Chunked",
                Decoder::CHUNKED,
                true,
            ),
            (
                "200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
                Decoder::CHUNKED,
                true,
            ),
            ("200 OK", Decoder::UntilClose, false),
            (
                "200 OK\r\nContent-Length: 5\r\nConnection: close",
                Decoder::Length(5),
                false,
            ),
            (
                "200 OK\r\nContent-Length: 5\r\nConnection: x, Close",
                Decoder::Length(5),
                false,
            ),
            ("204 No Content", Decoder::DONE, true),
            ("304 Not Modified\r\nContent-Length: 5", Decoder::DONE, true),
            ("101 Switching Protocols", Decoder::DONE, false),
        ];
        for (text, body, keep_alive) in cases {
            let head = whole(&format!("HTTP/1.1 {text}\r\n\r\n"));
            assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{text}");
        }
        let old = whole("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n");
        assert_eq!((old.body, old.keep_alive), (Decoder::Length(5), false));
        let old = whole("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n");
        assert!(old.keep_alive);
        let to_head = take(
            &mut BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            true,
        );
        let to_head = to_head.expect("a head").expect("a whole one");
        assert_eq!(to_head.body, Decoder::DONE);
        assert_eq!(to_head.parts.headers["content-length"], "5");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for text in [
            "200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
            "200 OK\r\nContent-Length: 5, 6",
            "200 OK\r\nContent-Length: +5",
            "200 OK\r\nContent-Length: 0x5",
            "200 OK\r\nContent-Length:",
            "200 OK\r\nContent-Length: 99999999999999999999",
            "200 OK\r\nTransfer-Encoding: gzip, chunked",
            "200 OK\r\nTransfer-Encoding: identity",
            "200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "200 OK\r\nContent-Length : 5",
            "200 OK\r\nA: b\r\n folded: c",
            "099 Low",
        ] {
            let outcome = head(&format!("HTTP/1.1 {text}\r\n\r\n"));
            let error = outcome.expect_err(text);
            assert!(error.is_parse(), "{text}: {error}");
        }
        let old = head("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(old.expect_err("chunks in HTTP/1.0").is_parse());
        assert!(head("SSH-2.0-OpenSSH_9\r\n").is_err());
    }

    #[test]
    fn what_is_the_connections_own_stays_there() {
        let head = whole(
            "HTTP/1.1 200 OK\r\nConnection: X-Own, keep-alive\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\n\
             X-Server-Hostname: db-1\r\nX-Kept: a\r\nX-Kept: b\r\nContent-Length: 0\r\n\r\n",
        );
        let mut names: Vec<&str> = head.parts.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "x-kept"]);
        assert_eq!(head.parts.headers.get_all("x-kept").iter().count(), 2);
    }

    #[test]
    fn a_head_is_taken_when_it_is_whole_and_not_before() {
        let text = "HTTP/1.1 299 Rather Fine\r\nA: b\r\nContent-Length: 3\r\n\r\nabc";
        let end = text.len() - 3;
        for cut in 0..end {
            assert!(head(&text[..cut]).expect("a beginning").is_none(), "{cut}");
        }
        let mut input = BytesMut::from(text);
        let head = take(&mut input, false)
            .expect("a head")
            .expect("a whole one");
        assert_eq!(&input[..], b"abc");
        assert_eq!(head.parts.status, 299);
        let reason = head.parts.extensions.get::<ReasonPhrase>();
        assert_eq!(
            reason.map(ReasonPhrase::as_bytes),
            Some(&b"Rather Fine"[..])
        );
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(HEAD_LIMIT));
        assert!(matches!(head(&endless), Err(WireError::HeadTooLarge)));
        let many = "A: b\r\n".repeat(HEADERS_LIMIT + 1);
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).is_err());
    }
}
