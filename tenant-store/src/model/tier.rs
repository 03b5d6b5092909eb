//! Tiers: what kinds of customers there are, and what each is given unless a tenant says otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Hosting, HumanDuration, Objective, Quotas, Signal, Slo, Tier,
    field::{at_least, between, one_line, switches},
};

/// A tier as operators define it. Whatever it leaves out, it has no opinion on.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierDefinition {
    /// Its immutable name, which tenants refer to.
    pub name: Tier,
    /// What it is for; 1 to 256 characters on one line.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "one_line"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::one_line, required = false))]
    pub description: Option<String>,
    /// How its tenants' deployments are hosted. `dedicated` leaves room for `external` ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosting: Option<Hosting>,
    /// What its tenants have bought.
    #[serde(default, skip_serializing_if = "Quotas::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub quotas: Quotas,
    /// What their requests may ask for.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub limits: Limits,
    /// How long their data is kept.
    #[serde(default, skip_serializing_if = "Retention::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub retention: Retention,
    /// Feature switches by name, of 1 to 63 characters.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "switches"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::switches, required = false))]
    pub features: BTreeMap<String, bool>,
    /// What service they are promised.
    #[serde(default, skip_serializing_if = "Slo::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub slo: Slo,
    /// How their endpoints are probed.
    #[serde(default, skip_serializing_if = "HealthSettings::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub health: HealthSettings,
}

/// What requests may ask for. Absent means what the tier says, and no limit if it says nothing.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How far back a query may look from now, at least 1 ms.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub max_query_lookback: Option<HumanDuration>,
    /// How much time a query may span, at least 1 ms.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub max_query_range: Option<HumanDuration>,
    /// How long a query may take, at least 1 ms.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub max_query_duration: Option<HumanDuration>,
    /// Bytes of a request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)
    )]
    pub max_request_bytes: Option<u64>,
    /// Bytes of an answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)
    )]
    pub max_response_bytes: Option<u64>,
    /// Live tails and other endless answers at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 4_294_967_295_u32))]
    pub max_concurrent_tails: Option<u32>,
}

/// How long data is kept, by signal: each at least 1 ms. Absent means what the tier says, and as
/// the backends are set up if it says nothing.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Of metrics.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub metrics: Option<HumanDuration>,
    /// Of logs.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub logs: Option<HumanDuration>,
    /// Of traces.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub traces: Option<HumanDuration>,
}

/// How endpoints are probed, where a deployment does not say. The fields are those of
/// [`super::HealthCheck`].
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Time between two probes, at least 100 ms.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_interval"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::perhaps_probe_interval, required = false))]
    pub interval: Option<HumanDuration>,
    /// Deadline for one probe, at least 1 ms.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_positive"
    )]
    pub timeout: Option<HumanDuration>,
    /// Successes in a row that make an endpoint healthy, 1 to 100.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_threshold"
    )]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub healthy_after: Option<u8>,
    /// Failures in a row that make it unhealthy, 1 to 100.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_threshold"
    )]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub unhealthy_after: Option<u8>,
}

impl TierDefinition {
    /// A tier that has no opinion on anything.
    pub fn plain(name: Tier) -> Self {
        Self {
            name,
            description: None,
            hosting: None,
            quotas: Quotas::default(),
            limits: Limits::default(),
            retention: Retention::default(),
            features: BTreeMap::new(),
            slo: Slo::default(),
            health: HealthSettings::default(),
        }
    }

    /// The tier of that name that is there without anybody defining it.
    pub fn built_in(name: &Tier) -> Option<Self> {
        Self::all_built_in()
            .into_iter()
            .find(|tier| tier.name == *name)
    }

    /// `enterprise`, `free` and `pro`.
    pub fn all_built_in() -> Vec<Self> {
        let free = Self {
            description: Some("To try it out, on a shared pool".into()),
            hosting: Some(Hosting::Shared),
            quotas: Quotas {
                requests_per_second: Some(50),
                concurrent_requests: Some(10),
                ingest_bytes_per_day: Some(1 << 30),
                storage_bytes: Some(10 << 30),
            },
            limits: Limits {
                max_query_lookback: Some(days(7)),
                max_query_range: Some(days(1)),
                max_query_duration: Some(HumanDuration::from_secs(30)),
                max_concurrent_tails: Some(2),
                ..Limits::default()
            },
            retention: retention(7, 3, 3),
            ..Self::named("free")
        };
        let pro = Self {
            description: Some("For teams, shared or dedicated".into()),
            quotas: Quotas {
                requests_per_second: Some(500),
                concurrent_requests: Some(100),
                ingest_bytes_per_day: Some(50 << 30),
                storage_bytes: Some(500 << 30),
            },
            limits: Limits {
                max_query_lookback: Some(days(90)),
                max_query_range: Some(days(31)),
                max_query_duration: Some(HumanDuration::from_secs(60)),
                max_concurrent_tails: Some(20),
                ..Limits::default()
            },
            retention: retention(90, 30, 14),
            slo: promised(995),
            ..Self::named("pro")
        };
        let enterprise = Self {
            description: Some("For companies, on backends of their own".into()),
            hosting: Some(Hosting::Dedicated),
            retention: retention(395, 90, 30),
            slo: promised(999),
            ..Self::named("enterprise")
        };
        vec![enterprise, free, pro]
    }

    fn named(name: &'static str) -> Self {
        Self::plain(Tier::built_in(name))
    }
}

impl Limits {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Retention {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// That of one signal.
    pub const fn of(&self, signal: Signal) -> Option<HumanDuration> {
        match signal {
            Signal::Metrics => self.metrics,
            Signal::Logs => self.logs,
            Signal::Traces => self.traces,
        }
    }
}

impl HealthSettings {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn days(count: u64) -> HumanDuration {
    HumanDuration::from_secs(count * 24 * 3600)
}

fn retention(metrics: u64, logs: u64, traces: u64) -> Retention {
    Retention {
        metrics: Some(days(metrics)),
        logs: Some(days(logs)),
        traces: Some(days(traces)),
    }
}

fn promised(thousandths: u32) -> Slo {
    Slo {
        availability: Some(Objective::thousandths(thousandths)),
    }
}

struct Positive(HumanDuration);

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::deployment::positive(deserializer).map(Self)
    }
}

fn perhaps_positive<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HumanDuration>, D::Error> {
    let span = Option::<Positive>::deserialize(deserializer)?;
    Ok(span.map(|Positive(span)| span))
}

struct Interval(HumanDuration);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        at_least(deserializer, HumanDuration::from_millis(100)).map(Self)
    }
}

fn perhaps_interval<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HumanDuration>, D::Error> {
    let span = Option::<Interval>::deserialize(deserializer)?;
    Ok(span.map(|Interval(span)| span))
}

struct Threshold(u8);

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        between(deserializer, 1, 100).map(Self)
    }
}

fn perhaps_threshold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let count = Option::<Threshold>::deserialize(deserializer)?;
    Ok(count.map(|Threshold(count)| count))
}
