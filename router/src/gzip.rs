//! Answers of the router's own in fewer bytes, for clients that say they can read them. What
//! backends answer is passed on as it is.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};

/// From here on the time it takes outweighs the bytes it saves.
const LEVEL: u32 = 4;

/// What is shorter fits into one packet anyway, in bytes.
pub(crate) const WORTH_IT: u64 = 1_024;

/// Whether a client can read `gzip` (RFC 9110, 12.5.3).
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(coding);
    let (mut by_name, mut by_star) = (None, None);
    for (name, is_wanted) in codings {
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            by_name = Some(is_wanted);
        } else if name == "*" {
            by_star = Some(is_wanted);
        }
    }
    by_name.or(by_star).unwrap_or(false)
}

/// A coding's name, and whether it is wanted at all.
fn coding(text: &str) -> (&str, bool) {
    let (name, weight) = text.split_once(';').unwrap_or((text, "q=1"));
    let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start();
    let weight = weight.strip_prefix('=').map(str::trim);
    let weight = weight.and_then(|weight| weight.parse::<f32>().ok());
    (name.trim(), weight.is_some_and(|weight| weight > 0.0))
}

/// The same as `gzip`; `None` if it gets no smaller.
pub(crate) fn smaller(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    // Nothing fails that writes to memory.
    encoder.write_all(body).ok()?;
    let coded = encoder.finish().ok()?;
    (coded.len() < body.len()).then(|| coded.into())
}

/// Says in the head of an answer that it would be another for clients that read other codings.
pub(crate) fn say_it_varies(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

/// Says in the head of an answer that its body is coded.
pub(crate) fn say_it_is_coded(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn it_is_sent_to_those_who_want_it_only() {
        for (sent, expected) in [
            (&["gzip"][..], true),
            (&["gzip, deflate, br, zstd"], true),
            (&["br", "x-gzip"], true),
            (&["deflate, GZIP;q=0.5"], true),
            (&["*"], true),
            (&["br;q=1.0, *;q=0.1"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000, *"], false),
            (&["gzip;q=nonsense"], false),
            (&["*;q=0"], false),
            (&["br, identity"], false),
            (&[""], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                let value = HeaderValue::from_static(value);
                headers.append(header::ACCEPT_ENCODING, value);
            }
            assert_eq!(is_accepted(&headers), expected, "{sent:?}");
        }
    }

    #[test]
    fn what_was_made_smaller_reads_as_before() {
        let text = "all tenants are healthy; ".repeat(1_000);
        let coded = smaller(text.as_bytes()).expect("it repeats itself");
        assert!(coded.len() < text.len() / 20, "{}", coded.len());
        let mut read = String::new();
        let mut decoder = GzDecoder::new(&*coded);
        decoder.read_to_string(&mut read).expect("what was coded");
        assert_eq!(read, text);
        assert_eq!(smaller(b"short"), None);
    }
}
