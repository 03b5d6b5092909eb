//! A tenant's backends for one signal: where they are, how to reach them, how to judge them.

use std::{collections::BTreeSet, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;
use url::Url;

use super::{HumanDuration, identity::parse_text};

/// The backends that serve one signal of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Who runs it, and whether others share it.
    #[serde(default)]
    pub hosting: Hosting,
    /// The endpoints, at least one, each URL once.
    #[serde(deserialize_with = "endpoints")]
    pub endpoints: Vec<Endpoint>,
    /// Deadline for a whole answer of an ordinary request, from admission. Streams are bound by
    /// idleness instead. Default 30 s, at least 1 ms.
    #[serde(default = "default_timeout", deserialize_with = "positive")]
    pub timeout: HumanDuration,
    /// Which healthy endpoint gets the next request.
    #[serde(default)]
    pub policy: BalancingPolicy,
    /// The Kubernetes namespace it lives in, where it lives in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How its endpoints are probed.
    #[serde(default)]
    pub health_check: HealthCheck,
    /// What the router presents to the endpoints; clients' credentials never get through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<UpstreamAuth>,
    /// How HTTPS endpoints are verified, and with which certificate the router shows itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
}

/// Who runs a deployment, and whether others share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hosting {
    /// This tenant's own.
    #[default]
    Dedicated,
    /// A pool that several tenants share.
    Shared,
    /// Run by somebody else.
    External,
}

/// One URL of a deployment. A bare URL in a file stands for one with defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Where it is; a path in it is put in front of every request's path.
    pub url: EndpointUrl,
    /// The failure domain it stands in, for people and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Lower is preferred; equals share by policy. Default 0.
    pub priority: u16,
    /// Share among equals under `round_robin`, 1 to 1000. Default 1.
    pub weight: u16,
    /// How it is spoken to.
    pub protocol: EndpointProtocol,
}

/// How an endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointProtocol {
    /// HTTP/1.1 with keep-alive: right for everything but gRPC.
    #[default]
    Http1,
    /// HTTP/2: by ALPN on `https`, with prior knowledge (h2c) on `http`. OTLP/gRPC needs it.
    Http2,
}

/// Which of the healthy endpoints gets the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancingPolicy {
    /// The lowest priority that is healthy; the others stand by.
    #[default]
    FirstAvailable,
    /// The less busy of two drawn at random.
    LeastLoaded,
    /// In turn, by weight.
    RoundRobin,
}

/// How an endpoint's health is probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// Whether it is probed at all; passive ejection works either way.
    pub enabled: bool,
    /// The path asked, beginning with `/`; 2xx is healthy.
    #[serde(deserialize_with = "absolute_path")]
    pub path: String,
    /// Time between two probes of a steady endpoint, at least 100 ms. Default 30 s.
    #[serde(deserialize_with = "probe_interval")]
    pub interval: HumanDuration,
    /// Deadline for one probe, at least 1 ms. Default 5 s.
    #[serde(deserialize_with = "positive")]
    pub timeout: HumanDuration,
    /// Successes in a row that make it healthy, 1 to 100. Default 2.
    #[serde(deserialize_with = "threshold")]
    pub healthy_after: u8,
    /// Failures in a row that make it unhealthy, 1 to 100. Default 3.
    #[serde(deserialize_with = "threshold")]
    pub unhealthy_after: u8,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            enabled: true,
            path: "/health".into(),
            interval: HumanDuration::from_secs(30),
            timeout: HumanDuration::from_secs(5),
            healthy_after: 2,
            unhealthy_after: 3,
        }
    }
}

/// What the router presents to endpoints. The secret itself never stands beside the tenant: only
/// where it is found, on the router's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum UpstreamAuth {
    /// `Authorization: Basic`.
    Basic {
        /// The user name, without `:`.
        username: String,
        /// Where the password is found.
        password: SecretSource,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// Where the token is found.
        token: SecretSource,
    },
}

/// Where a secret is found on the router's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// A file; one trailing line end is not part of the secret.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// TLS towards HTTPS endpoints. Verification can't be switched off.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTls {
    /// PEM file of the authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client certificate chain; goes with `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name to verify (and to send as SNI) instead of the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// An endpoint's address: `http` or `https`, a host, perhaps a port and a path; nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
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

    /// `host:port`, the port always given: what metrics and logs call the endpoint.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
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
        Ok(Self(url))
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
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
}

impl From<LongEndpoint> for Endpoint {
    fn from(long: LongEndpoint) -> Self {
        let LongEndpoint {
            url,
            zone,
            priority,
            weight,
            protocol,
        } = long;
        Self {
            url,
            zone,
            priority,
            weight,
            protocol,
        }
    }
}

struct UrlOrEndpoint;

impl<'de> de::Visitor<'de> for UrlOrEndpoint {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or a map with `url` and perhaps zone, priority, weight, protocol")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Endpoint, E> {
        let url = text.parse().map_err(E::custom)?;
        Ok(LongEndpoint {
            url,
            zone: None,
            priority: 0,
            weight: 1,
            protocol: EndpointProtocol::Http1,
        }
        .into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Endpoint, A::Error> {
        LongEndpoint::deserialize(de::value::MapAccessDeserializer::new(map)).map(Into::into)
    }
}

fn endpoints<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Endpoint>, D::Error> {
    let endpoints = Vec::<Endpoint>::deserialize(deserializer)?;
    if endpoints.is_empty() {
        return Err(de::Error::custom(
            "a deployment needs at least one endpoint, this list is empty",
        ));
    }
    let mut seen = BTreeSet::new();
    match endpoints
        .iter()
        .find(|endpoint| !seen.insert(&endpoint.url))
    {
        Some(twice) => Err(de::Error::custom(format!(
            "the endpoint {} stands here twice",
            twice.url
        ))),
        None => Ok(endpoints),
    }
}

fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_millis(1))
}

fn probe_interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_millis(100))
}

fn at_least<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: HumanDuration,
) -> Result<HumanDuration, D::Error> {
    let span = HumanDuration::deserialize(deserializer)?;
    if span >= least {
        Ok(span)
    } else {
        Err(de::Error::custom(format!(
            "expected at least {least}, not {span}"
        )))
    }
}

fn threshold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let count = u64::deserialize(deserializer)?;
    u8::try_from(count)
        .ok()
        .filter(|count| (1..=100).contains(count))
        .ok_or_else(|| de::Error::custom(format!("expected 1 to 100, not {count}")))
}

fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let weight = u64::deserialize(deserializer)?;
    u16::try_from(weight)
        .ok()
        .filter(|weight| (1..=1000).contains(weight))
        .ok_or_else(|| de::Error::custom(format!("expected a weight of 1 to 1000, not {weight}")))
}

fn absolute_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    let fits = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic() && c != '#');
    if fits {
        Ok(path)
    } else {
        Err(de::Error::custom(format!(
            "expected a path such as /health, not {path:?}"
        )))
    }
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn one() -> u16 {
    1
}
