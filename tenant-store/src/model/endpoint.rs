//! One address of a deployment, and how it is written: as a URL, or as a map with more to say.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use url::Url;

use super::{field::between, identity::parse_text};

/// One URL of a deployment. A bare URL in a file stands for one with defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Where it is; a path in it is put in front of every request's path.
    pub url: EndpointUrl,
    /// The failure domain it stands in: for people, and for `nearest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Lower is preferred; equals share by policy. Default 0.
    pub priority: u16,
    /// Share among equals under `round_robin`, `least_loaded` and `nearest`, 1 to 1000. Default 1.
    pub weight: u16,
    /// How it is spoken to.
    pub protocol: EndpointProtocol,
    /// Whether it is taken out of use: requests in flight there finish, no further ones are sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// How an endpoint is spoken to.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointProtocol {
    /// HTTP/1.1 with keep-alive: right for everything but gRPC.
    #[default]
    Http1,
    /// HTTP/2: by ALPN on `https`, with prior knowledge (h2c) on `http`. OTLP/gRPC needs it.
    Http2,
}

/// An endpoint's address: `http` or `https`, a host, perhaps a port and a path; nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// The URL itself, with a host and a known port by construction.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether connections are encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The service whose SRV records say where it is, as in `http://srv+_http._tcp.vm-acme/`;
    /// `None` if the URL names a host.
    pub fn service(&self) -> Option<&str> {
        self.0.host_str()?.strip_prefix(SERVICE)
    }

    /// `host:port`, the port always given: what metrics and logs call the endpoint. A service has
    /// no port of its own.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        if self.service().is_some() {
            return host.to_owned();
        }
        format!(
            "{host}:{}",
            self.0.port_or_known_default().unwrap_or_default()
        )
    }

    /// The path put in front of a request's, without a trailing slash; mostly empty.
    pub fn base_path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

/// What stands before the name of a service, in the place of a host.
const SERVICE: &str = "srv+";

/// Whether this can be looked up as the name of a service: labels of letters, digits, `-` and `_`.
fn is_service(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(is_inner);
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Why a text is not an endpoint's URL.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// Not a URL at all.
    #[error("expected a URL such as http://10.0.0.1:8428, not {value:?}: {source}")]
    Syntax {
        /// What stood there.
        value: String,
        /// What the parser says.
        #[source]
        source: url::ParseError,
    },
    /// Neither `http` nor `https`, or no host.
    #[error("expected an http:// or https:// URL with a host, not {0:?}")]
    Scheme(String),
    /// Credentials in the URL.
    #[error(
        "an endpoint's URL must not carry a user or password; put them under `auth`, from a file or the environment"
    )]
    Credentials,
    /// A service without a name that could be looked up.
    #[error(
        "expected the name of an SRV record after srv+, as in http://srv+_http._tcp.vm-acme.prod.svc/, not {0:?}"
    )]
    Service(String),
    /// A service with a port.
    #[error("the port of a service is in its SRV records: leave :{port} out of {url:?}")]
    ServicePort {
        /// The port.
        port: u16,
        /// What stood there.
        url: String,
    },
    /// A query or fragment, or a path with dot segments.
    #[error("an endpoint's URL ends with its path, without `?`, `#`: {0:?}")]
    Trailing(String),
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|source| EndpointUrlError::Syntax {
            value: text.into(),
            source,
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointUrlError::Credentials);
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(EndpointUrlError::Scheme(text.into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointUrlError::Trailing(text.into()));
        }
        let url = Self(url);
        if let Some(service) = url.service() {
            if !is_service(service) {
                return Err(EndpointUrlError::Service(text.into()));
            }
            if let Some(port) = url.0.port() {
                let url = text.into();
                return Err(EndpointUrlError::ServicePort { port, url });
            }
        }
        Ok(url)
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Serialize for EndpointUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlOrEndpoint)
    }
}

/// The long form of an endpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongEndpoint {
    url: EndpointUrl,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    priority: u16,
    #[serde(default = "one", deserialize_with = "weight")]
    weight: u16,
    #[serde(default)]
    protocol: EndpointProtocol,
    #[serde(default)]
    drain: bool,
}

impl From<LongEndpoint> for Endpoint {
    fn from(long: LongEndpoint) -> Self {
        let LongEndpoint {
            url,
            zone,
            priority,
            weight,
            protocol,
            drain,
        } = long;
        Self {
            url,
            zone,
            priority,
            weight,
            protocol,
            drain,
        }
    }
}

struct UrlOrEndpoint;

impl<'de> de::Visitor<'de> for UrlOrEndpoint {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a URL, or a map with `url` and perhaps zone, priority, weight, protocol, drain",
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Endpoint, E> {
        let url = text.parse().map_err(E::custom)?;
        Ok(LongEndpoint {
            url,
            zone: None,
            priority: 0,
            weight: 1,
            protocol: EndpointProtocol::Http1,
            drain: false,
        }
        .into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        LongEndpoint::deserialize(de::value::MapAccessDeserializer::new(map)).map(Into::into)
    }
}

/// Reads a list of endpoints: at least one, at most [`MOST_ENDPOINTS`], each URL once.
pub(super) fn endpoints<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Endpoint>, D::Error> {
    deserializer.deserialize_seq(EndpointList)
}

/// A request remembers in one machine word which endpoints it has tried.
const MOST_ENDPOINTS: usize = 64;

struct EndpointList;

impl<'de> de::Visitor<'de> for EndpointList {
    type Value = Vec<Endpoint>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of endpoints")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Endpoint>, A::Error> {
        let mut urls = BTreeSet::new();
        let mut endpoints = Vec::new();
        while let Some(endpoint) = list.next_element_seed(Unseen(&mut urls))? {
            endpoints.push(endpoint);
            if endpoints.len() > MOST_ENDPOINTS {
                return Err(de::Error::custom(format!(
                    "a deployment has at most {MOST_ENDPOINTS} endpoints, this list is longer"
                )));
            }
        }
        if endpoints.is_empty() {
            return Err(de::Error::custom(
                "a deployment needs at least one endpoint, this list is empty",
            ));
        }
        Ok(endpoints)
    }
}

/// An endpoint whose URL is not among those seen. Checked element by element, so that the error is
/// that of the second one and not of the list.
struct Unseen<'s>(&'s mut BTreeSet<EndpointUrl>);

impl<'de> de::DeserializeSeed<'de> for Unseen<'_> {
    type Value = Endpoint;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Endpoint, D::Error> {
        let endpoint = Endpoint::deserialize(deserializer)?;
        if self.0.insert(endpoint.url.clone()) {
            Ok(endpoint)
        } else {
            let url = &endpoint.url;
            Err(de::Error::custom(format!(
                "the endpoint {url} stands in this list twice"
            )))
        }
    }
}

fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    between(deserializer, 1, 1000)
}

fn one() -> u16 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> EndpointUrl {
        text.parse().expect("an endpoint's URL")
    }

    #[test]
    fn a_service_stands_in_the_place_of_a_host() {
        let service = url("http://srv+_http._tcp.vm-acme.prod.svc/select/0/");
        assert_eq!(service.service(), Some("_http._tcp.vm-acme.prod.svc"));
        assert_eq!(service.authority(), "srv+_http._tcp.vm-acme.prod.svc");
        assert_eq!(service.base_path(), "/select/0");
        assert_eq!(
            service.to_string(),
            "http://srv+_http._tcp.vm-acme.prod.svc/select/0"
        );
        assert_eq!(url("https://srv+vm.").service(), Some("vm."));
        assert_eq!(url("http://vm-acme:8428").service(), None);
        assert_eq!(
            url("http://srv.example.com").authority(),
            "srv.example.com:80"
        );
    }

    #[test]
    fn what_is_wrong_with_a_service_is_told() {
        let fault = |text: &str| text.parse::<EndpointUrl>().unwrap_err().to_string();
        for text in [
            "http://srv+",
            "http://srv+/api",
            "http://srv+a..b",
            "http://srv+a$b",
        ] {
            let fault = fault(text);
            assert!(
                fault.contains("expected the name of an SRV record"),
                "{fault}"
            );
            assert!(fault.contains(text), "{fault}");
        }
        let fault = fault("http://srv+_http._tcp.vm:8428/");
        assert!(fault.contains("leave :8428 out"), "{fault}");
    }
}
