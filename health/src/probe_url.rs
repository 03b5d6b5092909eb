//! Where an endpoint is probed, kept small.

use std::{net::IpAddr, str::FromStr};

use url::{Host, ParseError, Url};

/// The URL of a probe, as its text: a parsed one takes 70 bytes more, of each of a hundred thousand
/// endpoints, and is wanted once in half a minute.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProbeUrl(Box<str>);

/// The port that a probe goes to.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct ProbePort {
    is_https: bool,
    host: Host<String>,
    port: Option<u16>,
}

impl ProbeUrl {
    /// The URL, parsed.
    ///
    /// # Panics
    /// Never: the text is a URL's, and that [parses to the same](https://url.spec.whatwg.org/#url-serializing).
    #[must_use]
    #[expect(clippy::expect_used, reason = "the text of a URL is one")]
    pub fn to_url(&self) -> Url {
        Url::parse(&self.0).expect("a URL's text is a URL")
    }

    /// Its port, at the address it is known to have: names may share one.
    pub(crate) fn port(&self, address: Option<IpAddr>) -> ProbePort {
        let url = self.to_url();
        let host = match address {
            Some(IpAddr::V4(address)) => Host::Ipv4(address),
            Some(IpAddr::V6(address)) => Host::Ipv6(address),
            None => url
                .host()
                .map_or_else(|| Host::Domain(String::new()), |host| host.to_owned()),
        };
        ProbePort {
            is_https: url.scheme() == "https",
            host,
            port: url.port_or_known_default(),
        }
    }
}

impl From<Url> for ProbeUrl {
    fn from(url: Url) -> Self {
        Self(String::from(url).into())
    }
}

impl FromStr for ProbeUrl {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Url::parse(text).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_url_it_was_made_of() {
        for text in [
            "http://10.0.0.1:8428/health",
            "https://user:s3cret@[2001:db8::1]/a%20b/health?deep=1",
            "http://vm.example.:80/",
        ] {
            let url: Url = text.parse().expect("a URL");
            assert_eq!(ProbeUrl::from(url.clone()).to_url(), url);
        }
    }

    #[test]
    fn a_port_is_that_of_an_address_if_there_is_one() {
        let port = |url: &str, address: Option<&str>| {
            let url: ProbeUrl = url.parse().expect("a URL");
            url.port(address.map(|address| address.parse().expect("an address")))
        };
        let is_one = |one: ProbePort, other: ProbePort| one == other;
        let there = || port("http://10.0.0.1/health", None);
        assert!(is_one(there(), port("http://10.0.0.1:80/other?x", None)));
        assert!(is_one(there(), port("http://vm/", Some("10.0.0.1"))));
        for other in ["https://10.0.0.1:80/", "http://10.0.0.1:81/", "http://vm/"] {
            assert!(!is_one(there(), port(other, None)), "{other}");
        }
        assert!(is_one(port("http://vm/", None), port("http://VM:80", None)));
        assert!(is_one(
            port("http://[::1]:8428/", None),
            port("http://vm:8428/", Some("::1"))
        ));
    }
}
