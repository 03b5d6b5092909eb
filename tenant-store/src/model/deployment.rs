//! A tenant's backends for one signal: where they are and how to reach them.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Endpoint, HealthCheck, HumanDuration, UpstreamAuth, UpstreamTls,
    endpoint::endpoints,
    field::{at_least, dns_label},
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

pub(super) fn positive<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HumanDuration, D::Error> {
    at_least(deserializer, HumanDuration::from_millis(1))
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}
