//! The tenant itself: what operators write down ([`Tenant`]), and what the store makes of it
//! ([`TenantRecord`]).

use std::{collections::BTreeMap, fmt, ops::Index};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Deployment, Email, HealthSettings, Limits, Maintenance, Retention, Signal, TenantId, Tier,
    field::{labels, one_line, switches},
};

/// A tenant as operators describe it, in a file or an API body.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The immutable id clients send.
    pub id: TenantId,
    /// A short name for machines, where it differs from the id; 1 to 256 characters on one line.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "one_line"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::one_line, required = false))]
    pub name: Option<String>,
    /// The name people read; 1 to 256 characters on one line.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "one_line"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::one_line, required = false))]
    pub display_name: Option<String>,
    /// Whom to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<Email>,
    /// Whether requests are served. Default `active`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::writable_status, required = false))]
    pub status: Status,
    /// What kind of customer this is. Default `free`.
    #[serde(default)]
    pub tier: Tier,
    /// Free-form labels for people and selectors: keys of 1 to 63 characters, values of at most 63.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "labels"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::labels, required = false))]
    pub labels: BTreeMap<String, String>,
    /// Feature switches by name, of 1 to 63 characters.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "switches"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::switches, required = false))]
    pub features: BTreeMap<String, bool>,
    /// What the tenant has bought, where that is not what its tier says.
    #[serde(default, skip_serializing_if = "Quotas::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub quotas: Quotas,
    /// What its requests may ask for, where that is not what its tier says.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub limits: Limits,
    /// How long its data is kept, where that is not what its tier says.
    #[serde(default, skip_serializing_if = "Retention::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub retention: Retention,
    /// How its endpoints are probed, where neither a deployment nor its tier says.
    #[serde(default, skip_serializing_if = "HealthSettings::is_empty")]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub health: HealthSettings,
    /// That its backends are being worked on, and since when nobody is to be woken over them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// The backends, by signal.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub deployments: Deployments,
}

/// Whether a tenant's requests are served.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Known, not ready yet: senders are told to try again.
    Provisioning,
    /// Served.
    #[default]
    Active,
    /// Refused until it is active again.
    Suspended,
    /// A tombstone: to clients as if it had never been.
    Deleted,
}

impl Status {
    /// The lower-case name, as in files and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

/// What a tenant has bought. Absent means what the tier says, and no quota if it says nothing.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Requests per second, all signals together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 4_294_967_295_u32))]
    pub requests_per_second: Option<u32>,
    /// Requests in flight at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 4_294_967_295_u32))]
    pub concurrent_requests: Option<u32>,
    /// Bytes written per day, all signals together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)
    )]
    pub ingest_bytes_per_day: Option<u64>,
    /// Bytes kept in storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)
    )]
    pub storage_bytes: Option<u64>,
}

impl Quotas {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A tenant's deployments, at most one for each signal.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deployments {
    /// Its `VictoriaMetrics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Deployment>,
    /// Its `VictoriaLogs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Deployment>,
    /// Its `VictoriaTraces`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<Deployment>,
}

impl Index<Signal> for Deployments {
    type Output = Option<Deployment>;

    fn index(&self, signal: Signal) -> &Self::Output {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
            Signal::Traces => &self.traces,
        }
    }
}

/// How often a tenant has been written: 1 when it is created, one more with each write that
/// changes it. What `ETag` and `If-Match` carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A tenant as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRecord {
    /// What the operator wrote.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// How often it has been written.
    pub revision: Revision,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}
