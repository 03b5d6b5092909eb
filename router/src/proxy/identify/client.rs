//! Where a request comes from, past the proxies in between that are trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// Proxies believed in a row at most.
const HOPS: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer's or, where it is a trusted proxy, the first of those that the
/// proxies tell, from the last on, that is none. `None` if a trusted proxy tells something that
/// is no address: then nobody can say.
///
/// Where all that are told are trusted, the first in the chain is the client.
pub fn address(
    headers: &HeaderMap,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    if !trusts(peer) {
        return Some(peer);
    }
    let mut client = peer;
    let lines = headers.get_all(&X_FORWARDED_FOR).iter().rev();
    let told = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for (hop, told) in told.enumerate() {
        if hop == HOPS {
            return None;
        }
        client = parse(told)?;
        if !trusts(client) {
            break;
        }
    }
    Some(client)
}

/// An address, perhaps with its port, as some proxies have it.
fn parse(told: &[u8]) -> Option<IpAddr> {
    let told = std::str::from_utf8(told).ok()?.trim_ascii();
    let bare = || told.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let ip = told
        .parse()
        .ok()
        .or_else(|| told.parse().ok().map(|at: SocketAddr| at.ip()))
        .or_else(bare);
    ip.map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, lines: &[&str]) -> Option<IpAddr> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_str(line).expect("a value");
            headers.append(X_FORWARDED_FOR, line);
        }
        address(&headers, peer.parse().expect("an address"), trusts)
    }

    fn trusts(ip: IpAddr) -> bool {
        let net: IpNet = "10.0.0.0/8".parse().expect("a network");
        net.contains(&ip)
    }

    #[test]
    fn the_first_from_the_right_that_is_no_proxy_of_ours_is_the_client() {
        for (peer, lines, expected) in [
            ("203.0.113.9", &["192.0.2.1"][..], Some("203.0.113.9")),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["192.0.2.1"], Some("192.0.2.1")),
            ("10.0.0.1", &["10.9.9.9, 192.0.2.1"], Some("192.0.2.1")),
            ("10.0.0.1", &["192.0.2.1, 10.0.0.2"], Some("192.0.2.1")),
            (
                "10.0.0.1",
                &["192.0.2.1", "10.0.0.2,10.0.0.3"],
                Some("192.0.2.1"),
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            ("10.0.0.1", &["192.0.2.1:4711"], Some("192.0.2.1")),
            ("10.0.0.1", &["[2001:db8::1]:4711"], Some("2001:db8::1")),
            ("10.0.0.1", &["[2001:db8::1]"], Some("2001:db8::1")),
            ("10.0.0.1", &["::ffff:192.0.2.1"], Some("192.0.2.1")),
            ("10.0.0.1", &["10.9.9.9, unknown"], None),
            ("10.0.0.1", &["garbage, 192.0.2.1"], Some("192.0.2.1")),
            ("10.0.0.1", &["garbage, 10.0.0.2"], None),
            ("10.0.0.1", &[""], None),
        ] {
            let expected = expected.map(|ip| ip.parse().expect("an address"));
            assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
        }
        let long = ["10.0.0.1"; 40].join(",");
        assert_eq!(client("10.0.0.1", &[&long]), None, "a chain without end");
    }

    proptest! {
        /// Whatever a client writes itself, to the left of what our proxies tell, is not believed.
        #[test]
        fn a_client_does_not_choose_its_own_address(claim in "[ -~]{0,60}") {
            let line = format!("{claim}, 203.0.113.9, 10.0.0.2");
            let expected = "203.0.113.9".parse().ok();
            prop_assert_eq!(client("10.0.0.1", &[&line]), expected);
            prop_assert_eq!(client("10.0.0.1", &[&claim, "203.0.113.9, 10.0.0.2"]), expected);
        }
    }
}
