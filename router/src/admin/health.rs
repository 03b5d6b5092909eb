//! How a tenant's endpoints are, as this router sees them.

use std::{collections::BTreeMap, sync::Arc};

use ::health::{Availability, HealthSnapshot};
use axum::{Json, extract::State};
use serde::Serialize;
use tenant_store::model::{Revision, Signal, Status, TenantId};

use super::{
    error::ApiError,
    query::{Arguments, TenantPath},
};
use crate::{control::Control, proxy::route::DeploymentRoute};

/// The health of a tenant's deployments.
#[derive(Serialize)]
pub(super) struct TenantHealth {
    tenant: TenantId,
    status: Status,
    revision: Revision,
    overall: Overall,
    deployments: BTreeMap<Signal, DeploymentHealth>,
}

#[derive(Serialize)]
struct DeploymentHealth {
    overall: Overall,
    /// Why it can't be spoken to as configured, whatever its endpoints do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    priority: u16,
    #[serde(flatten)]
    health: HealthSnapshot,
}

/// Several endpoints, or deployments, in one word. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Overall {
    /// All are up.
    Healthy,
    /// Some are not, but requests are served.
    Degraded,
    /// Requests of at least one signal find no endpoint that is up.
    Unhealthy,
}

/// `GET /api/v1/tenants/{id}/health`
pub(super) async fn of_tenant(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
) -> Result<Json<TenantHealth>, ApiError> {
    arguments.finish()?;
    let Some(entry) = control.tenants().get(&id).await? else {
        return Err(ApiError::UnknownTenant(id));
    };
    let deployments: BTreeMap<_, _> = entry
        .route()
        .deployments()
        .map(|deployment| (deployment.signal(), of_deployment(deployment)))
        .collect();
    let worst = deployments
        .values()
        .map(|deployment| deployment.overall)
        .max();
    Ok(Json(TenantHealth {
        tenant: id,
        status: entry.route().status(),
        revision: entry.revision(),
        overall: worst.unwrap_or(Overall::Healthy),
        deployments,
    }))
}

fn of_deployment(deployment: &DeploymentRoute) -> DeploymentHealth {
    let endpoints: Vec<_> = deployment
        .endpoints()
        .iter()
        .map(|endpoint| Endpoint {
            zone: endpoint.zone().map(Into::into),
            priority: endpoint.priority(),
            health: endpoint.health().snapshot(),
        })
        .collect();
    let fault = deployment.fault().map(ToString::to_string);
    let overall = match fault {
        Some(_) => Overall::Unhealthy,
        None => overall(endpoints.iter().map(|endpoint| endpoint.health.state)),
    };
    DeploymentHealth {
        overall,
        fault,
        endpoints,
    }
}

fn overall(states: impl Iterator<Item = Availability>) -> Overall {
    let (mut up, mut all) = (0_usize, 0_usize);
    for state in states {
        up += usize::from(state == Availability::Up);
        all += 1;
    }
    match up {
        _ if up == all => Overall::Healthy,
        0 => Overall::Unhealthy,
        _ => Overall::Degraded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_tells_whether_requests_are_served() {
        use Availability::{Down, Ejected, HalfOpen, Up};
        for (states, expected) in [
            (&[Up, Up][..], Overall::Healthy),
            (&[Up, Down], Overall::Degraded),
            (&[Ejected, Up], Overall::Degraded),
            (&[Down, HalfOpen], Overall::Unhealthy),
        ] {
            assert_eq!(overall(states.iter().copied()), expected, "{states:?}");
        }
    }
}
