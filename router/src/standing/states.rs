//! How tenants are, as metrics tell it.

use std::collections::BTreeMap;

use health::Availability;
use jiff::Timestamp;
use tenant_store::cache::Entry;

use super::{
    Standing,
    condition::{Condition, EndpointCondition},
    sight::{self, Sight},
};
use crate::{
    proxy::route::{DeploymentRoute, TenantRoute},
    telemetry::{DeploymentState, EndpointState, TenantState},
};

impl Standing {
    /// The tenants that metrics tell of.
    pub(crate) fn states(&self) -> Vec<TenantState> {
        let now = Timestamp::now();
        let told = self.telemetry.told(&self.tenants);
        told.iter().map(|entry| of_tenant(entry, now)).collect()
    }
}

fn of_tenant(entry: &Entry<TenantRoute>, now: Timestamp) -> TenantState {
    let route = entry.route();
    TenantState {
        tenant: entry.id().clone(),
        tier: route.tier().name.clone(),
        status: route.status(),
        in_maintenance: sight::maintenance(route, now).is_some(),
        deployments: route
            .deployments()
            .map(|deployment| of_deployment(deployment, sight::out_of_use(route).is_some()))
            .collect(),
    }
}

fn of_deployment(deployment: &DeploymentRoute, is_out_of_use: bool) -> DeploymentState {
    let sight = Sight::of(deployment);
    // Endpoints on one port are one to metrics: as well as the best of them.
    let mut ports: BTreeMap<&str, (EndpointCondition, EndpointState)> = BTreeMap::new();
    for (endpoint, condition) in deployment.endpoints().iter().zip(&sight.endpoints) {
        let health = endpoint.health();
        let state = EndpointState {
            endpoint: endpoint.name().to_owned(),
            up: health.availability() == Availability::Up,
            condition: condition.as_str(),
            findings: health
                .findings()
                .iter()
                .map(health::Finding::as_str)
                .collect(),
        };
        let best = ports
            .entry(endpoint.name())
            .or_insert_with(|| (*condition, state.clone()));
        if *condition < best.0 {
            *best = (*condition, state);
        }
    }
    DeploymentState {
        signal: deployment.signal(),
        health: match sight.condition {
            _ if is_out_of_use => None,
            Condition::Healthy => Some(1.0),
            Condition::Degraded => Some(0.5),
            Condition::Unhealthy => Some(0.0),
            Condition::Unknown
            | Condition::Maintenance
            | Condition::Suspended
            | Condition::Provisioning => None,
        },
        endpoints: ports.into_values().map(|(_, state)| state).collect(),
    }
}
