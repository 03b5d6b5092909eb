//! Single values of `mirador.yaml` that serde has no type for. Each says what it expects.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    str::FromStr,
};

use http::{HeaderName, header};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use super::identify::{BaseDomain, ClaimPath, PathPrefix, TenantPattern};

/// A secret: compared and sent, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for comparing and sending.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret that stands in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) struct SecretText(pub(super) Secret);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// For people.
    Text,
}

/// An address with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(super) struct Address(pub(super) SocketAddr);

/// An address, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(super) struct AddressOrNone(pub(super) Option<SocketAddr>);

/// A number of bytes: `65536`, `64KiB`, `16MiB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Text")]
pub(super) struct ByteSize(pub(super) u64);

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

/// A log level, or a filter such as `info,router::proxy=debug`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(super) struct LogFilter(pub(super) String);

/// The name of a header that may carry a tenant's id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(super) struct TenantHeader(pub(super) HeaderName);

/// A network; a bare address is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(super) struct Network(pub(super) IpNet);

/// How many workers: a number, or one for each core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub(super) enum Workers {
    Auto,
    Count(NonZeroU16),
}

/// Workers at most.
const MAX_WORKERS: u16 = 256;

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "expected an address and a port such as 127.0.0.1:8427 or [::]:8427, not {text:?}"
            )
        })
    }
}

impl TryFrom<Text> for Address {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        text.parse()
    }
}

impl TryFrom<Text> for AddressOrNone {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let Address(address) = text
            .parse()
            .map_err(|fault| format!("{fault}; `none` opens no listener"))?;
        Ok(Self(Some(address)))
    }
}

impl TryFrom<Text> for ByteSize {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        const UNITS: [(&str, u64); 4] = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("", 1),
        ];
        UNITS
            .into_iter()
            .find_map(|(unit, bytes)| {
                let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
                number.checked_mul(bytes)
            })
            .map(Self)
            .ok_or_else(|| {
                format!("expected a number of bytes such as 65536, 64KiB or 16MiB, not {text:?}")
            })
    }
}

impl TryFrom<Text> for LogFilter {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        let fits = text.split(',').all(|directive| {
            let (target, level) = directive.rsplit_once('=').unwrap_or(("all", directive));
            // A misspelt level would pass for the name of a module.
            LEVELS.contains(&level)
                && !target.is_empty()
                && target
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
        });
        if fits {
            Ok(Self(text))
        } else {
            Err(format!(
                "expected one of {}, or a filter such as info,router::proxy=debug, not {text:?}",
                LEVELS.join(", ")
            ))
        }
    }
}

impl TenantHeader {
    pub(super) const fn new(lower_case: &'static str) -> Self {
        Self(HeaderName::from_static(lower_case))
    }
}

impl TryFrom<Text> for TenantHeader {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        let name: HeaderName = text
            .parse()
            .map_err(|_| format!("expected a header's name such as X-Tenant-ID, not {text:?}"))?;
        if NOT_FOR_TENANTS.contains(&name) {
            return Err(format!(
                "the header {text} has a meaning of its own, name another"
            ));
        }
        Ok(Self(name))
    }
}

/// Headers that HTTP itself, or the router's own authentication, gives a meaning.
const NOT_FOR_TENANTS: [HeaderName; 12] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl TryFrom<Text> for BaseDomain {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        let is_label = |label: &str| {
            let edges = [label.chars().next(), label.chars().last()];
            (1..=63).contains(&label.len())
                && !edges.contains(&Some('-'))
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        // Room for the longest tenant id and its dot (RFC 1035 section 2.3.4).
        let fits = text.len() <= 253 - 64 && text.split('.').all(is_label);
        if fits && text.parse::<IpAddr>().is_err() {
            return Ok(Self(text.into()));
        }
        Err(format!(
            "expected a domain in lower case such as obs.example.com, without a dot at either \
             end, not {text:?}"
        ))
    }
}

impl TryFrom<Text> for PathPrefix {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        let is_segment = |segment: &str| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let Some(segments) = text
            .strip_prefix('/')
            .filter(|s| s.split('/').all(is_segment))
        else {
            return Err(format!(
                "expected a path such as /t, of letters, digits, - and _, without a slash at its \
                 end, not {text:?}"
            ));
        };
        let first = segments.split('/').next().unwrap_or_default();
        if TAKEN_SEGMENTS.contains(&first) {
            return Err(format!(
                "expected a path of the router's own such as /t, not {text:?}: /{first} has a \
                 meaning without a tenant"
            ));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<Text> for ClaimPath {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        let mut names = Vec::new();
        let mut rest = text.as_str();
        loop {
            let (name, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or(("", "?")),
                None => rest.split_at(rest.find(['.', '"']).unwrap_or(rest.len())),
            };
            if name.is_empty() || name.starts_with('$') {
                break;
            }
            names.push(name.into());
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => return Ok(Self(names.into())),
                None => break,
            }
        }
        Err(format!(
            "expected a claim such as tenant, org.id or \"https://example.com/tenant\" (a name \
             with dots in double quotes), not {text:?}"
        ))
    }
}

impl TryFrom<Text> for TenantPattern {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        match text.split_once("{tenant}") {
            Some((before, after)) if !after.contains("{tenant}") => Ok(Self {
                before: before.into(),
                after: after.into(),
            }),
            _ => Err(format!(
                "expected a text with one {{tenant}} in it such as \
                 spiffe://example.com/tenant/{{tenant}}, not {text:?}"
            )),
        }
    }
}

/// First segments of paths that the router or the backends serve.
const TAKEN_SEGMENTS: [&str; 16] = [
    "-",
    "api",
    "federate",
    "graph",
    "graphite",
    "health",
    "insert",
    "metrics",
    "prometheus",
    "ready",
    "select",
    "tags",
    "vl",
    "vm",
    "vmui",
    "vt",
];

impl TryFrom<Text> for Network {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        let net = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let net: IpNet = net.map_err(|_| {
            format!("expected a network such as 10.0.0.0/8 or an address, not {text:?}")
        })?;
        if net.trunc() == net {
            Ok(Self(net))
        } else {
            Err(format!(
                "expected {}, not {text:?}: it has bits beyond its prefix",
                net.trunc()
            ))
        }
    }
}

impl TryFrom<Text> for Workers {
    type Error = String;

    fn try_from(Text(text): Text) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let count = text
            .parse()
            .ok()
            .filter(|count: &NonZeroU16| count.get() <= MAX_WORKERS);
        count
            .map(Self::Count)
            .ok_or_else(|| format!("expected auto or a number of 1 to {MAX_WORKERS}, not {text}"))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if (0.0..=1.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(de::Error::custom(format!(
                "expected a number of 0 to 1, not {number}"
            )))
        }
    }
}

/// What a value is read from: a text, or a number as it is written.
#[derive(Debug)]
pub(super) struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
}
