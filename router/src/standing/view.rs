//! What people and programs are shown of health: plain values, built when asked for.

use std::{collections::BTreeMap, net::SocketAddr};

use health::{Cause, Finding, HealthSnapshot, NameSnapshot};
use jiff::Timestamp;
use serde::Serialize;
use tenant_store::model::{Maintenance, Revision, Signal, Status, TenantId, Tier};
use utoipa::ToSchema;

use super::condition::{Condition, EndpointCondition};

/// The health of all tenants this router knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HealthOverview)]
pub struct Overview {
    /// How many tenants are in which condition; of all that fit the filter but for its conditions.
    pub counts: Counts,
    /// One page of those that fit, the worst first, equals by id.
    pub tenants: Vec<TenantSummary>,
    /// What to send as `cursor` for the page after this one; `null` on the last.
    pub next: Option<String>,
}

/// How many tenants are in which condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HealthCounts)]
pub struct Counts {
    /// All their endpoints serve.
    pub healthy: usize,
    /// Requests are served, but not by all that should.
    pub degraded: usize,
    /// Requests of at least one signal find no endpoint.
    pub unhealthy: usize,
    /// Nothing was heard of them yet.
    pub unknown: usize,
    /// Worked on.
    pub maintenance: usize,
    /// Being set up.
    pub provisioning: usize,
    /// Switched off.
    pub suspended: usize,
}

impl Counts {
    pub(super) fn count(&mut self, condition: Condition) {
        *match condition {
            Condition::Healthy => &mut self.healthy,
            Condition::Degraded => &mut self.degraded,
            Condition::Unhealthy => &mut self.unhealthy,
            Condition::Unknown => &mut self.unknown,
            Condition::Maintenance => &mut self.maintenance,
            Condition::Provisioning => &mut self.provisioning,
            Condition::Suspended => &mut self.suspended,
        } += 1;
    }

    /// All of them.
    pub const fn total(&self) -> usize {
        let served = self.healthy + self.degraded + self.unhealthy + self.unknown;
        served + self.maintenance + self.provisioning + self.suspended
    }
}

/// The health of one tenant in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TenantHealthSummary)]
pub struct TenantSummary {
    /// Its id.
    pub tenant: TenantId,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub display_name: Option<String>,
    /// What kind of customer it is.
    pub tier: Tier,
    /// Whether it is served at all.
    pub status: Status,
    /// The worst of its signals, or `maintenance`, `provisioning` or `suspended`.
    pub condition: Condition,
    /// The lowest of its signals, 0 to 100; `null` if nothing was heard of it yet.
    #[schema(minimum = 0, maximum = 100)]
    pub score: Option<u8>,
    /// The same for people.
    pub sentence: String,
    /// Since when it is in this condition; not there if it has been since it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub since: Option<Timestamp>,
    /// Its deployments, by signal.
    #[schema(value_type = std::collections::HashMap<String, SignalSummary>)]
    pub signals: BTreeMap<Signal, SignalSummary>,
    /// How many endpoints it has.
    pub endpoints: EndpointCounts,
}

/// The health of one deployment in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SignalHealthSummary)]
pub struct SignalSummary {
    /// How it is.
    pub condition: Condition,
    /// 0 to 100; `null` if nothing was heard of it yet.
    #[schema(minimum = 0, maximum = 100)]
    pub score: Option<u8>,
}

/// How many endpoints there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EndpointCounts {
    /// All of them.
    pub total: usize,
    /// Those that are healthy.
    pub healthy: usize,
}

/// The health of a tenant's deployments, as the router that is asked sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TenantHealth {
    /// Its id.
    pub tenant: TenantId,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub display_name: Option<String>,
    /// Whether it is served at all.
    pub status: Status,
    /// What kind of customer it is.
    pub tier: Tier,
    /// Which revision of its document this router goes by.
    pub revision: Revision,
    /// Whether its endpoints are up, whatever else is known of them.
    pub overall: Overall,
    /// The worst of its signals, or `maintenance`, `provisioning` or `suspended`.
    pub condition: Condition,
    /// The lowest of its signals, 0 to 100; `null` if nothing was heard of it yet.
    #[schema(minimum = 0, maximum = 100)]
    pub score: Option<u8>,
    /// The same for people.
    pub sentence: String,
    /// Since when it is in this condition; not there if it has been since it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub since: Option<Timestamp>,
    /// What is being done to it, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub maintenance: Option<Maintenance>,
    /// By signal.
    #[schema(value_type = std::collections::HashMap<String, DeploymentHealth>)]
    pub deployments: BTreeMap<Signal, DeploymentHealth>,
}

/// The health of one deployment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeploymentHealth {
    /// Whether its endpoints are up, whatever else is known of them.
    pub overall: Overall,
    /// How it is.
    pub condition: Condition,
    /// 0 to 100; `null` if nothing was heard of it yet.
    #[schema(minimum = 0, maximum = 100)]
    pub score: Option<u8>,
    /// The same for people.
    pub sentence: String,
    /// Why it can't be spoken to as configured, whatever its endpoints do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fault: Option<String>,
    /// The endpoints that requests go to now, as `host:port`. Ejected ones are among them where they
    /// are used for want of others.
    pub served_by: Vec<String>,
    /// Its endpoints, in the order of the tenant's document.
    pub endpoints: Vec<EndpointView>,
    /// The names that some of them stand for, and what is known of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub names: Vec<NameView>,
    /// When other endpoints began to serve than before, last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_failover: Option<Failover>,
}

/// A change of the endpoints that serve a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failover {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Which served before, as `host:port` with commas between.
    pub from: String,
    /// Which serve since.
    pub to: String,
    /// Why, in one of a few words.
    pub cause: super::Cause,
}

/// A name in a deployment's document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EndpointName)]
pub struct NameView {
    /// What is known of it. Those left out include those that the deployment has no room for.
    #[serde(flatten)]
    pub known: NameSnapshot,
    /// The same for people, if something is the matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sentence: Option<String>,
}

/// The health of one endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
pub struct EndpointView {
    /// What the document calls it, as `host:port`: the endpoint is one of several addresses of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<String>,
    /// Where it was found to be, if the document has a name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "10.0.0.3:8428")]
    pub address: Option<SocketAddr>,
    /// The failure domain it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub zone: Option<String>,
    /// Lower is preferred.
    pub priority: u16,
    /// How it is.
    pub condition: EndpointCondition,
    /// Why, in one of a few words; not there if nothing is the matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::Cause>, nullable = false)]
    pub cause: Option<super::Cause>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sentence: Option<String>,
    /// What deep checks found wrong.
    pub findings: Vec<Finding>,
    /// What it was judged by.
    #[serde(flatten)]
    pub health: HealthSnapshot,
}

impl EndpointView {
    /// What live requests or probes say of it.
    pub(super) fn reason(&self) -> Cause {
        self.health.why.cause()
    }
}

/// Several endpoints, or deployments, in one word: by whether they are up, and by nothing else.
/// Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// All are up.
    Healthy,
    /// Some are not, but requests are served.
    Degraded,
    /// Requests of at least one signal find no endpoint that is up.
    Unhealthy,
}

impl Overall {
    /// What it is where `up` of `all` endpoints are up.
    pub(super) const fn of(up: usize, all: usize) -> Self {
        match up {
            _ if up == all => Self::Healthy,
            0 => Self::Unhealthy,
            _ => Self::Degraded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_tells_whether_requests_are_served() {
        for (up, all, expected) in [
            (2, 2, Overall::Healthy),
            (1, 2, Overall::Degraded),
            (0, 2, Overall::Unhealthy),
            (0, 0, Overall::Healthy),
        ] {
            assert_eq!(Overall::of(up, all), expected, "{up} of {all}");
        }
    }
}
