//! The form of a path that the backends match on.

use std::borrow::Cow;

/// Decodes percent-encoding once and collapses repeated slashes, as the backends do before they
/// look up a handler.
///
/// `None` if the path does not begin with `/`, has a broken escape, decodes to something that is
/// not UTF-8, or has a `.` or `..` segment after decoding: no client sends these in earnest, and
/// whatever resolves them between here and a handler would see another path than we judged.
pub(in crate::proxy) fn canonical(raw: &str) -> Option<Cow<'_, str>> {
    let raw = if raw.is_empty() { "/" } else { raw };
    if !raw.starts_with('/') {
        return None;
    }
    let decoded = decode(raw)?;
    let collapsed = collapse(decoded);
    let has_dot_segment = || collapsed.split('/').any(|part| matches!(part, "." | ".."));
    let dotted = collapsed.contains('.') && has_dot_segment();
    (!dotted).then_some(collapsed)
}

fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains('%') {
        return Some(Cow::Borrowed(raw));
    }
    let whole_escapes = raw
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    if !whole_escapes {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(raw)
        .decode_utf8()
        .ok()?;
    Some(decoded)
}

fn collapse(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.contains("//") {
        return path;
    }
    let mut collapsed = String::with_capacity(path.len());
    for c in path.chars() {
        if !(c == '/' && collapsed.ends_with('/')) {
            collapsed.push(c);
        }
    }
    Cow::Owned(collapsed)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn plain_paths_are_borrowed_as_they_are() {
        let path = canonical("/api/v1/query").expect("canonical");
        assert!(matches!(path, std::borrow::Cow::Borrowed("/api/v1/query")));
    }

    #[test]
    fn escapes_are_decoded_once_and_slashes_collapse() {
        let cases = [
            ("", "/"),
            ("//internal///force_flush", "/internal/force_flush"),
            ("/internal%2Fforce_flush", "/internal/force_flush"),
            ("/%69nternal%2f%2fforce_flush", "/internal/force_flush"),
            ("/a%252Fb", "/a%2Fb"),
            ("/label/%C3%A4/values", "/label/ä/values"),
        ];
        for (raw, expected) in cases {
            assert_eq!(canonical(raw).as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let cases = [
            "*",
            "api",
            "/a/../b",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/.%2E",
            "/..",
            "/%2e",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/a%2F..%2Fb",
        ];
        for raw in cases {
            assert_eq!(canonical(raw), None, "{raw}");
        }
    }
}
