//! How endpoints are probed: what is asked, what a healthy answer is, and how often.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::{
    HumanDuration,
    deployment::positive,
    field::{at_least, between, checked_text},
};

/// How an endpoint's health is probed.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// Whether it is probed at all; passive ejection works either way.
    pub enabled: bool,
    /// The path asked, beginning with `/`.
    #[serde(deserialize_with = "absolute_path")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::probe_path, required = false))]
    pub path: String,
    /// Time between two probes of a steady endpoint, at least 100 ms. Default 30 s.
    #[serde(deserialize_with = "probe_interval")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::probe_interval, required = false))]
    pub interval: HumanDuration,
    /// Deadline for one probe, at least 1 ms. Default 5 s.
    #[serde(deserialize_with = "positive")]
    pub timeout: HumanDuration,
    /// Successes in a row that make it healthy, 1 to 100. Default 2.
    #[serde(deserialize_with = "threshold")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub healthy_after: u8,
    /// Failures in a row that make it unhealthy, 1 to 100. Default 3.
    #[serde(deserialize_with = "threshold")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub unhealthy_after: u8,
    /// The statuses of a healthy answer, at most 16 of them or ranges of them. Default 2xx.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "statuses")]
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    pub expect_status: Vec<StatusRange>,
    /// What the first 64 KiB of a healthy answer's body contain, 1 to 256 characters; without it,
    /// no body is read.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "expected_body"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::expected_body, required = false))]
    pub expect_body: Option<String>,
    /// Headers sent with each probe, at most 16. Credentials belong in the deployment's `auth`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "headers"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::probe_headers, required = false))]
    pub headers: BTreeMap<String, String>,
    /// For so long after a router first hears of it, and until its first good probe, failed probes
    /// don't make it unhealthy: it is starting. At most 1 day. Default none.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "start_grace"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::start_grace, required = false))]
    pub start_grace: Option<HumanDuration>,
    /// What is looked at less often, and more closely.
    #[serde(skip_serializing_if = "DeepCheck::is_default")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub deep: DeepCheck,
}

impl HealthCheck {
    /// Whether a healthy answer may have this status.
    pub fn accepts(&self, status: u16) -> bool {
        if self.expect_status.is_empty() {
            return (200..300).contains(&status);
        }
        let mut ranges = self.expect_status.iter();
        ranges.any(|range| range.statuses().contains(&status))
    }
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
            expect_status: Vec::new(),
            expect_body: None,
            headers: BTreeMap::new(),
            start_grace: None,
            deep: DeepCheck::default(),
        }
    }
}

/// What is looked at on a slower clock: whether it is the right product, answers a query, takes
/// data, has disk space, and keeps time. What is found makes an endpoint degraded, never unhealthy.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeepCheck {
    /// Whether this is done; only where endpoints are probed.
    pub enabled: bool,
    /// Time between two looks, at least 1 s. Default 5 min.
    #[serde(deserialize_with = "deep_interval")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::deep_interval, required = false))]
    pub interval: HumanDuration,
    /// Less free disk space than so many percent is a finding, 0 to 99; 0 for none. Default 10.
    #[serde(deserialize_with = "percent")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 99))]
    pub min_free_disk_percent: u8,
    /// A clock that is off by more is a finding, at least 1 s. Default 10 s.
    #[serde(deserialize_with = "at_least_a_second")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::deep_interval, required = false))]
    pub max_clock_skew: HumanDuration,
    /// The oldest version it may have, such as `v1.150`. Any by default.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "version")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::oldest_version, required = false))]
    pub min_version: Option<String>,
}

impl DeepCheck {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for DeepCheck {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: HumanDuration::from_secs(300),
            min_free_disk_percent: 10,
            max_clock_skew: HumanDuration::from_secs(10),
            min_version: None,
        }
    }
}

/// A status, or a range of them: `204`, `2xx`, `200-299`; of 200 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

/// Why a text is no range of statuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a status of 200 to 599 such as 204, 2xx or 200-299, not {0:?}")]
pub struct StatusRangeError(String);

impl StatusRange {
    /// The statuses in it.
    pub fn statuses(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    fn new(first: u16, last: u16) -> Option<Self> {
        let fits = first <= last && first >= 200 && last <= 599;
        fits.then_some(Self { first, last })
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            let first = 100 * status(class, 1)?;
            return Self::new(first, first + 99);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(status(first, 3)?, status(last, 3)?)
    }
}

/// A number of so many digits and nothing else.
fn status(text: &str, digits: usize) -> Option<u16> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl FromStr for StatusRange {
    type Err = StatusRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| StatusRangeError(text.into()))
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = *self;
        if first == last {
            write!(f, "{first}")
        } else if first % 100 == 0 && last == first + 99 {
            write!(f, "{}xx", first / 100)
        } else {
            write!(f, "{first}-{last}")
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText)
    }
}

/// A single status is a number to YAML.
struct NumberOrText;

impl de::Visitor<'_> for NumberOrText {
    type Value = StatusRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as 204, 2xx or 200-299")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<StatusRange, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusRange, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusRange, E> {
        text.parse().map_err(E::custom)
    }
}

fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StatusRange>, D::Error> {
    let statuses = Vec::deserialize(deserializer)?;
    if statuses.len() <= MOST_ITEMS {
        Ok(statuses)
    } else {
        let found = statuses.len();
        Err(de::Error::custom(format!(
            "expected at most {MOST_ITEMS} statuses or ranges, not {found}"
        )))
    }
}

fn expected_body<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let body = Option::<ExpectedBody>::deserialize(deserializer)?;
    Ok(body.map(|ExpectedBody(body)| body))
}

struct ExpectedBody(String);

impl<'de> Deserialize<'de> for ExpectedBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked_text(deserializer, "1 to 256 characters", |text| {
            (1..=256).contains(&text.chars().count())
        })
        .map(Self)
    }
}

fn headers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let read = BTreeMap::<HeaderName, HeaderText>::deserialize(deserializer)?;
    if read.len() > MOST_ITEMS {
        let found = read.len();
        return Err(de::Error::custom(format!(
            "expected at most {MOST_ITEMS} headers, not {found}"
        )));
    }
    Ok(read
        .into_iter()
        .map(|(HeaderName(name), HeaderText(value))| (name, value))
        .collect())
}

/// The name of a header that is a probe's own to choose, in lower case.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct HeaderName(String);

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "the name of a header, in lower case, of 1 to 63 characters; no credentials \
                        (they belong in `auth`), and none that frames a message or names its host";
        let name = checked_text(deserializer, expected, |name| {
            let of_token = |byte: u8| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || b"!#$%&'*+-.^_`|~".contains(&byte)
            };
            (1..=63).contains(&name.len())
                && name.bytes().all(of_token)
                && !NOT_FOR_PROBES.contains(&name)
        });
        name.map(Self)
    }
}

struct HeaderText(String);

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "1 to 256 printable ASCII characters, with a space at neither end";
        checked_text(deserializer, expected, |text| {
            (1..=256).contains(&text.len())
                && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
                && text.trim() == text
        })
        .map(Self)
    }
}

fn start_grace<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HumanDuration>, D::Error> {
    let longest = HumanDuration::from_secs(24 * 3600);
    match Option::<HumanDuration>::deserialize(deserializer)? {
        Some(grace) if grace > longest => Err(de::Error::custom(format!(
            "expected at most {longest}, not {grace}"
        ))),
        grace => Ok(grace.filter(|grace| *grace > HumanDuration::default())),
    }
}

fn probe_interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_millis(100))
}

fn deep_interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_secs(1))
}

fn at_least_a_second<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_secs(1))
}

fn threshold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    between(deserializer, 1, 100)
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    between(deserializer, 0, 99)
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let version = Option::<Version>::deserialize(deserializer)?;
    Ok(version.map(|Version(version)| version))
}

struct Version(String);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        checked_text(deserializer, "a version such as v1.150", |text| {
            let numbers: Vec<_> = text.strip_prefix('v').unwrap_or(text).split('.').collect();
            let is_number = |number: &&str| {
                (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
            };
            (2..=3).contains(&numbers.len()) && numbers.iter().all(is_number)
        })
        .map(Self)
    }
}

fn absolute_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked_text(deserializer, "a path such as /health", |path| {
        path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic() && c != '#')
    })
}

/// Statuses and headers of one health check: more are a slip of the pen.
const MOST_ITEMS: usize = 16;

/// Credentials belong where secrets are read from files; the others belong to the protocol.
const NOT_FOR_PROBES: [&str; 13] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<HealthCheck, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_built_in_is_not_written_down() {
        let written = serde_json::to_value(HealthCheck::default()).unwrap();
        let expected = json!({
            "enabled": true, "path": "/health", "interval": "30s", "timeout": "5s",
            "healthy_after": 2, "unhealthy_after": 3,
        });
        assert_eq!(written, expected);
        assert_eq!(read(json!({})), Ok(HealthCheck::default()));
    }

    #[test]
    fn all_that_is_said_is_written_back() {
        let whole = json!({
            "enabled": true, "path": "/ready?full=1", "interval": "10s", "timeout": "1s",
            "healthy_after": 1, "unhealthy_after": 5,
            "expect_status": ["204", "3xx", "200-206"],
            "expect_body": "all \"well\"", "headers": {"x-probe": "a b"}, "start_grace": "2m",
            "deep": {"enabled": false, "interval": "1m", "min_free_disk_percent": 0,
                     "max_clock_skew": "1s", "min_version": "v1.150"},
        });
        let check = read(whole.clone()).unwrap();
        assert_eq!(serde_json::to_value(&check).unwrap(), whole);
        let ranges: Vec<_> = check.expect_status.iter().map(|s| s.statuses()).collect();
        assert_eq!(ranges, [204..=204, 300..=399, 200..=206]);
        let accepted = [200, 207, 302, 404].map(|status| check.accepts(status));
        assert_eq!(accepted, [true, false, true, false]);
        let usual = HealthCheck::default();
        assert_eq!([204, 302].map(|s| usual.accepts(s)), [true, false]);
        let numbers = read(json!({"expect_status": [204]})).unwrap();
        assert_eq!(numbers.expect_status, ["204".parse().unwrap()]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (value, told) in [
            (json!({"expect_status": ["6xx"]}), "not \"6xx\""),
            (json!({"expect_status": ["100"]}), "not \"100\""),
            (json!({"expect_status": ["299-200"]}), "not \"299-200\""),
            (json!({"expect_status": ["+20"]}), "not \"+20\""),
            (json!({"expect_status": ["20x"]}), "not \"20x\""),
            (json!({"expect_status": [1200]}), "not \"1200\""),
            (json!({"expect_status": vec!["2xx"; 17]}), "at most 16"),
            (json!({"expect_body": ""}), "1 to 256 characters"),
            (json!({"headers": {"Authorization": "x"}}), "lower case"),
            (json!({"headers": {"authorization": "x"}}), "`auth`"),
            (json!({"headers": {"host": "x"}}), "not \"host\""),
            (json!({"headers": {"x-a": "b\nc: d"}}), "printable"),
            (json!({"headers": {"x-a": " b"}}), "neither end"),
            (json!({"start_grace": "25h"}), "at most 1d, not 1d1h"),
            (json!({"deep": {"interval": "10ms"}}), "at least 1s"),
            (json!({"deep": {"min_free_disk_percent": 100}}), "0 to 99"),
            (json!({"deep": {"max_clock_skew": "1ms"}}), "at least 1s"),
            (json!({"deep": {"min_version": "150"}}), "such as v1.150"),
            (json!({"deep": {"depth": 1}}), "unknown field"),
        ] {
            let fault = read(value.clone()).unwrap_err();
            assert!(fault.contains(told), "{value}: {fault}");
        }
    }
}
