//! A tenant's backends for one signal: where they are, how to reach them, how to judge them.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Endpoint, HumanDuration, UpstreamAuth, UpstreamTls,
    endpoint::endpoints,
    field::{at_least, between, checked_text, dns_label},
};

/// The backends that serve one signal of one tenant.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Who runs it, and whether others share it; without it, as the tenant's tier says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosting: Option<Hosting>,
    /// The endpoints, at least one, each URL once.
    #[serde(deserialize_with = "endpoints")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 64))]
    pub endpoints: Vec<Endpoint>,
    /// Deadline for a whole answer of an ordinary request, from admission. Streams are bound by
    /// idleness instead. Default 30 s, at least 1 ms.
    #[serde(default = "default_timeout", deserialize_with = "positive")]
    pub timeout: HumanDuration,
    /// Which healthy endpoint gets the next request.
    #[serde(default)]
    pub policy: BalancingPolicy,
    /// The Kubernetes namespace it lives in, where it lives in one: a DNS label.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "dns_label"
    )]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::dns_label, required = false))]
    pub namespace: Option<String>,
    /// How its endpoints are probed.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable))]
    pub health_check: HealthCheck,
    /// What the router presents to the endpoints; clients' credentials never get through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<UpstreamAuth>,
    /// How HTTPS endpoints are verified, and with which certificate the router shows itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
}

/// Who runs a deployment, and whether others share it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

impl Hosting {
    /// The lower-case name, as in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dedicated => "dedicated",
            Self::Shared => "shared",
            Self::External => "external",
        }
    }
}

/// Which of the healthy endpoints gets the next request.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancingPolicy {
    /// The lowest priority that is healthy; the others stand by.
    #[default]
    FirstAvailable,
    /// The less busy of two drawn at random.
    LeastLoaded,
    /// In the router's own zone before others; of two drawn at random the one that is likely to
    /// answer sooner.
    Nearest,
    /// In turn, by weight.
    RoundRobin,
}

/// How an endpoint's health is probed.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// Whether it is probed at all; passive ejection works either way.
    pub enabled: bool,
    /// The path asked, beginning with `/`; 2xx is healthy.
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

pub(super) fn positive<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_millis(1))
}

fn probe_interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_millis(100))
}

fn threshold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    between(deserializer, 1, 100)
}

fn absolute_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    checked_text(deserializer, "a path such as /health", |path| {
        path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic() && c != '#')
    })
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}
