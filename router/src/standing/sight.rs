//! How a deployment is this moment, seen with atomic loads only: what lists, metrics and events
//! are made of.

use jiff::Timestamp;
use smallvec::SmallVec;
use tenant_store::model::{BalancingPolicy, EndpointProtocol, Maintenance};

use super::condition::{Condition, EndpointCondition};
use crate::proxy::route::{DeploymentRoute, EndpointRoute, TenantRoute};

/// One deployment at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) condition: Condition,
    pub(crate) score: Option<u8>,
    /// In the order of the tenant's document.
    pub(crate) endpoints: SmallVec<[EndpointCondition; 4]>,
    pub(crate) serving: Serving,
}

impl Sight {
    pub(crate) fn of(deployment: &DeploymentRoute) -> Self {
        let endpoints: SmallVec<[_; 4]> = deployment
            .endpoints()
            .iter()
            .map(|endpoint| EndpointCondition::of(endpoint.health(), endpoint.is_draining()))
            .collect();
        Self::judged(deployment, endpoints)
    }

    /// As it would be if nothing were the matter with any of its endpoints.
    pub(crate) fn ideal(deployment: &DeploymentRoute) -> Self {
        let calm = |endpoint: &EndpointRoute| {
            if endpoint.is_draining() {
                EndpointCondition::Draining
            } else {
                EndpointCondition::Healthy
            }
        };
        Self::judged(
            deployment,
            deployment.endpoints().iter().map(calm).collect(),
        )
    }

    fn judged(deployment: &DeploymentRoute, endpoints: SmallVec<[EndpointCondition; 4]>) -> Self {
        let serving = match deployment.fault() {
            Some(_) => Serving::default(),
            None => Serving::of(deployment, &endpoints),
        };
        let condition = Condition::of_deployment(&endpoints, !serving.is_empty());
        Self {
            condition,
            score: condition.score(&endpoints),
            endpoints,
            serving,
        }
    }
}

/// Which endpoints of a deployment requests go to, by position: at most 64.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Serving(u64);

impl Serving {
    fn of(deployment: &DeploymentRoute, conditions: &[EndpointCondition]) -> Self {
        let mut serving = Self::default();
        // gRPC goes to other endpoints than the rest, where there are both.
        for protocol in [EndpointProtocol::Http1, EndpointProtocol::Http2] {
            let up = || {
                let endpoints = deployment.endpoints().iter().zip(conditions).enumerate();
                endpoints.filter(|(_, (endpoint, condition))| {
                    condition.serves() && endpoint.upstream().protocol() == protocol
                })
            };
            let by_zone = deployment.policy() == BalancingPolicy::Nearest;
            let rank =
                |endpoint: &EndpointRoute| (endpoint.priority(), by_zone && !endpoint.is_near());
            let best = up().map(|(_, (endpoint, _))| rank(endpoint)).min();
            let equals = up().filter(|(_, (endpoint, _))| Some(rank(endpoint)) == best);
            let several = deployment.policy() != BalancingPolicy::FirstAvailable;
            let most = if several { usize::MAX } else { 1 };
            for (position, _) in equals.take(most) {
                serving.0 |= 1 << position;
            }
        }
        serving
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, position: usize) -> bool {
        self.0 & (1 << position) != 0
    }

    /// The names of those endpoints, each once.
    pub(crate) fn names(self, deployment: &DeploymentRoute) -> Vec<&str> {
        let mut names = Vec::new();
        for (position, endpoint) in deployment.endpoints().iter().enumerate() {
            if self.contains(position) && !names.contains(&endpoint.name()) {
                names.push(endpoint.name());
            }
        }
        names
    }
}

/// The deployments of a tenant in one condition and one score.
pub(crate) fn of_tenant(route: &TenantRoute) -> (Condition, Option<u8>) {
    let (mut condition, mut score) = (Condition::Unknown, None);
    for sight in route.deployments().map(Sight::of) {
        condition = condition.max(sight.condition);
        score = worse(score, sight.score);
    }
    (condition, score)
}

/// The lower of two scores; one that is not there says nothing.
pub(crate) fn worse(one: Option<u8>, other: Option<u8>) -> Option<u8> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What is being done to a tenant, if anything is.
pub(crate) fn maintenance(route: &TenantRoute, now: Timestamp) -> Option<&Maintenance> {
    route
        .maintenance()
        .filter(|maintenance| maintenance.is_on(now))
}

/// Whether there is nothing to tell of a tenant: nearly always so, and therefore cheap to find.
pub(crate) fn is_calm(route: &TenantRoute) -> bool {
    route.maintenance().is_none()
        && route.deployments().all(|deployment| {
            deployment.fault().is_none()
                && deployment.endpoints().iter().all(|endpoint| {
                    EndpointCondition::of(endpoint.health(), endpoint.is_draining()).is_calm()
                })
        })
}
