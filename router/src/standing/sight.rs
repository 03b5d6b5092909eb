//! How a deployment is this moment, seen with atomic loads only: what lists, metrics and events
//! are made of.

use health::{Availability, EndpointHealth};
use jiff::Timestamp;
use smallvec::SmallVec;
use tenant_store::model::{Maintenance, Status};

use super::condition::{Condition, EndpointCondition};
use crate::proxy::{
    pick::Tried,
    route::{DeploymentRoute, EndpointRoute, RequestKind, TenantRoute},
};

/// One deployment at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) condition: Condition,
    pub(crate) score: Option<u8>,
    /// In the order of the tenant's document.
    pub(crate) endpoints: SmallVec<[EndpointCondition; 4]>,
    /// The requests that no endpoint takes, other than for want of any.
    pub(crate) left_out: Option<RequestKind>,
    pub(crate) serving: Serving,
}

impl Sight {
    pub(crate) fn of(deployment: &DeploymentRoute) -> Self {
        let availability = |endpoint: &EndpointRoute| endpoint.health().availability();
        Self::judged(deployment, availability, EndpointCondition::at)
    }

    /// As it would be if nothing were the matter with any of its endpoints.
    pub(crate) fn ideal(deployment: &DeploymentRoute) -> Self {
        Self::judged(
            deployment,
            |_| Availability::Up,
            |_, _, draining| {
                if draining {
                    EndpointCondition::Draining
                } else {
                    EndpointCondition::Healthy
                }
            },
        )
    }

    fn judged(
        deployment: &DeploymentRoute,
        availability: impl Fn(&EndpointRoute) -> Availability,
        condition: impl Fn(Availability, &EndpointHealth, bool) -> EndpointCondition,
    ) -> Self {
        // Asked once, so that what is said of them fits together.
        let endpoints = deployment.endpoints();
        let available: SmallVec<[Availability; 4]> = endpoints
            .iter()
            .map(|endpoint| {
                if endpoint.is_draining() {
                    Availability::Down
                } else {
                    availability(endpoint)
                }
            })
            .collect();
        let endpoints: SmallVec<[EndpointCondition; 4]> = endpoints
            .iter()
            .zip(&available)
            .map(|(one, available)| condition(*available, one.health(), one.is_draining()))
            .collect();
        let left_out = left_out(deployment, &endpoints);
        let condition = Condition::of_deployment(&endpoints, left_out.is_some());
        let serving = if deployment.fault().is_some() {
            Serving::default()
        } else {
            Serving(deployment.serving(|position| available[position]))
        };
        Self {
            condition,
            score: condition.score(&endpoints),
            endpoints,
            left_out,
            serving,
        }
    }
}

/// Which endpoints of a deployment requests go to, ejected ones that they go to for want of others
/// included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Serving(Tried);

impl Serving {
    /// The names of those endpoints, each once.
    pub(crate) fn names(self, deployment: &DeploymentRoute) -> Vec<&str> {
        let mut names = Vec::new();
        for (position, endpoint) in deployment.endpoints().iter().enumerate() {
            if self.0.contains(position) && !names.contains(&endpoint.name()) {
                names.push(endpoint.name());
            }
        }
        names
    }
}

/// The requests that none of a deployment's endpoints takes as a matter of course, if there are any.
fn left_out(deployment: &DeploymentRoute, endpoints: &[EndpointCondition]) -> Option<RequestKind> {
    if deployment.fault().is_some() || !endpoints.iter().any(|endpoint| endpoint.serves()) {
        return Some(RequestKind::Any);
    }
    let takes = |unfit: Tried| {
        let mut fit = endpoints.iter().enumerate();
        fit.any(|(position, endpoint)| !unfit.contains(position) && endpoint.serves())
    };
    let mut kinds = deployment.kinds();
    kinds.find_map(|(kind, unfit)| (!takes(unfit)).then_some(kind))
}

/// The condition and score of a deployment; who serves it takes longer to find out.
pub(crate) fn of_deployment(deployment: &DeploymentRoute) -> (Condition, Option<u8>) {
    let endpoints: SmallVec<[EndpointCondition; 4]> = deployment
        .endpoints()
        .iter()
        .map(|endpoint| EndpointCondition::of(endpoint.health(), endpoint.is_draining()))
        .collect();
    let left_out = left_out(deployment, &endpoints);
    let condition = Condition::of_deployment(&endpoints, left_out.is_some());
    (condition, condition.score(&endpoints))
}

/// The deployments of a tenant in one condition and one score.
pub(crate) fn of_tenant(route: &TenantRoute) -> (Condition, Option<u8>) {
    let (mut worst, mut lowest) = (Condition::Unknown, None);
    for (condition, score) in route.deployments().map(of_deployment) {
        worst = worst.max(condition);
        lowest = worse(lowest, score);
    }
    (worst, lowest)
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

/// What a tenant that is out of use is: switched off, or still being set up.
pub(crate) fn out_of_use(route: &TenantRoute) -> Option<Condition> {
    match route.status() {
        Status::Active => None,
        Status::Provisioning => Some(Condition::Provisioning),
        // Routes of deleted ones are on their way out.
        Status::Suspended | Status::Deleted => Some(Condition::Suspended),
    }
}

/// What a tenant is whatever its deployments are, if it is: out of use, or worked on.
pub(crate) fn set_by_operators(route: &TenantRoute, now: Timestamp) -> Option<Condition> {
    out_of_use(route).or_else(|| maintenance(route, now).map(|_| Condition::Maintenance))
}

/// Whether there is nothing to tell of a tenant: nearly always so, and therefore cheap to find.
pub(crate) fn is_calm(route: &TenantRoute) -> bool {
    route.maintenance().is_none()
        && out_of_use(route).is_none()
        && route.deployments().all(|deployment| {
            deployment.fault().is_none()
                && deployment.endpoints().iter().all(|endpoint| {
                    EndpointCondition::of(endpoint.health(), endpoint.is_draining()).is_calm()
                })
        })
}
