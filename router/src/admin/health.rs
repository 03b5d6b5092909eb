//! How a tenant's endpoints are, as this router sees them.

use std::{collections::BTreeMap, sync::Arc};

use ::health::{Availability, HealthSnapshot};
use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use tenant_store::model::{Revision, Signal, Status, TenantId};
use utoipa::ToSchema;

use super::{
    error::{ApiError, Problem},
    parameters::{IfNoneMatch, OfTenant},
    query::{Arguments, TenantPath},
    read,
};
use crate::{control::Control, proxy::route::DeploymentRoute};

/// The health of a tenant's deployments.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantHealth {
    tenant: TenantId,
    status: Status,
    revision: Revision,
    overall: Overall,
    /// By signal.
    #[schema(value_type = std::collections::HashMap<String, DeploymentHealth>)]
    deployments: BTreeMap<Signal, DeploymentHealth>,
}

/// The health of one deployment.
#[derive(Serialize, ToSchema)]
struct DeploymentHealth {
    overall: Overall,
    /// Why it can't be spoken to as configured, whatever its endpoints do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fault: Option<String>,
    endpoints: Vec<Endpoint>,
}

/// The health of one endpoint.
#[derive(Serialize, ToSchema)]
#[schema(as = EndpointHealth)]
struct Endpoint {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    zone: Option<String>,
    priority: u16,
    #[serde(flatten)]
    health: HealthSnapshot,
}

/// Several endpoints, or deployments, in one word. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Overall {
    /// All are up.
    Healthy,
    /// Some are not, but requests are served.
    Degraded,
    /// Requests of at least one signal find no endpoint that is up.
    Unhealthy,
}

/// Read a tenant's health
///
/// The state of each endpoint, as the router that is asked sees it.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/health",
    tag = "tenants",
    operation_id = "getTenantHealth",
    params(OfTenant, IfNoneMatch),
    responses(
        (status = 200, description = "Its health.", body = TenantHealth, headers(("ETag" = String, description = "Made of the answer."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn of_tenant(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
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
    let health = TenantHealth {
        tenant: id,
        status: entry.route().status(),
        revision: entry.revision(),
        overall: worst.unwrap_or(Overall::Healthy),
        deployments,
    };
    read::json(&headers, &health)
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
