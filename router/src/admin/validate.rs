//! Are a tenant's endpoints there, and are they what they should be? Asks each of them once, and
//! saves nothing.
//!
//! Operators only: the router opens connections to whatever the document names. What comes back is
//! told as product, version and timing alone, never as what an endpoint said.

mod probe;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use health::{Product, Resolver};
use rustls::RootCertStore;
use serde::Serialize;
use tenant_store::model::{Deployment, Endpoint, Signal, Tenant, TenantId};
use tokio::time::{self, Instant};
use utoipa::ToSchema;

use self::probe::Prober;
use super::{
    body::PerhapsTenantBody,
    error::{ApiError, Problem},
    parameters::{IdempotencyKey, OfTenant},
    query::{Arguments, TenantPath},
    tenants,
};
use crate::{control::Control, tls};

/// Endpoints asked at one time, for one request.
const AT_ONCE: usize = 8;

/// Requests of this kind worked on at one time, by the whole router.
const REQUESTS_AT_ONCE: usize = 4;

/// For one endpoint: connection, TLS and both questions.
const PER_ENDPOINT: Duration = Duration::from_secs(5);

/// For all endpoints: those not reached until then are told as such.
const ALTOGETHER: Duration = Duration::from_secs(20);

/// What asking a tenant's endpoints came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Validation {
    tenant: TenantId,
    /// Whether there is nothing wrong with any of them.
    ok: bool,
    /// By signal.
    #[schema(value_type = std::collections::HashMap<String, DeploymentCheck>)]
    deployments: BTreeMap<Signal, DeploymentCheck>,
}

/// What asking a deployment's endpoints came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeploymentCheck {
    /// Whether there is nothing wrong with any of them.
    ok: bool,
    /// Why none can be asked, if none can: a secret or certificate that can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fault: Option<String>,
    /// In the order of the document.
    endpoints: Vec<EndpointCheck>,
}

/// What asking one endpoint came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndpointCheck {
    /// Where it is.
    url: String,
    /// Whether there is nothing wrong with it.
    ok: bool,
    /// Whether a connection stood, TLS included.
    reachable: bool,
    /// What its health path answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    health_status: Option<u16>,
    /// What it is, going by its own metrics.
    product: Product,
    /// Its version, if it tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<String>,
    /// The TLS version spoken, if any is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tls: Option<String>,
    /// Until the connection stood, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    connect_ms: Option<f64>,
    /// From the health question to its answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    latency_ms: Option<f64>,
    /// What is wrong with it.
    problems: Vec<String>,
}

/// Ask a tenant's endpoints
///
/// Those of the document sent, or of the tenant that is stored if none is. Each endpoint is asked
/// for its health and for what it is; nothing is saved. Takes at most 20 seconds.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/deployments/validate",
    tag = "tenants",
    operation_id = "validateDeployments",
    params(OfTenant, IdempotencyKey),
    request_body(content(
        (Tenant = "application/json"),
        (Tenant = "application/yaml"),
    ), description = "The tenant to ask about, instead of the one that is stored."),
    responses(
        (status = 200, description = "What each endpoint is like.", body = Validation),
        (status = 404, description = "No document was sent, and none is stored.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn validate(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    PerhapsTenantBody(given): PerhapsTenantBody,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let tenant = match given {
        Some(tenant) if tenant.id == id => tenant,
        Some(tenant) => {
            let message = format!("expected {id}, as in the path");
            return Err(ApiError::fault("id", Some(tenant.id.to_string()), message));
        }
        None => tenants::living(&control, &id).await?.tenant,
    };
    let Ok(_permit) = REQUESTS.try_acquire() else {
        return Err(ApiError::Busy(
            "as many tenants' endpoints are being asked as may be at one time; try again",
        ));
    };
    let resolver = control.names().resolver.clone();
    Ok(axum::Json(of_tenant(tenant, &resolver).await).into_response())
}

static REQUESTS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(REQUESTS_AT_ONCE);

async fn of_tenant(tenant: Tenant, resolver: &Arc<Resolver>) -> Validation {
    let roots = Arc::new(system_roots(&tenant).await);
    let deadline = Instant::now() + ALTOGETHER;
    let mut deployments: BTreeMap<Signal, DeploymentCheck> = BTreeMap::new();
    let mut asked = Vec::new();
    for signal in Signal::ALL {
        let Some(deployment) = &tenant.deployments[signal] else {
            continue;
        };
        let (prober, fault) = match Prober::new(deployment, &roots, resolver.clone()) {
            Ok(prober) => (Some(Arc::new(prober)), None),
            Err(fault) => (None, Some(fault)),
        };
        let check = DeploymentCheck {
            ok: fault.is_none(),
            fault,
            endpoints: Vec::new(),
        };
        deployments.insert(signal, check);
        asked.extend(prober.iter().flat_map(|prober| {
            let endpoints = deployment.endpoints.iter();
            endpoints.map(|endpoint| (signal, Arc::clone(prober), endpoint.clone()))
        }));
    }
    let checks = stream::iter(asked)
        .map(|(signal, prober, endpoint)| async move {
            (signal, one(&prober, &endpoint, signal, deadline).await)
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    for (signal, check) in checks {
        if let Some(deployment) = deployments.get_mut(&signal) {
            deployment.ok &= check.ok;
            deployment.endpoints.push(check);
        }
    }
    Validation {
        ok: deployments.values().all(|deployment| deployment.ok),
        tenant: tenant.id,
        deployments,
    }
}

/// The system's authorities, which take a while to read, if any endpoint is verified by them.
async fn system_roots(tenant: &Tenant) -> RootCertStore {
    let verifies = |deployment: &Deployment| {
        let mut endpoints = deployment.endpoints.iter();
        endpoints.any(|endpoint| endpoint.url.is_https())
    };
    let mut deployments = Signal::ALL
        .iter()
        .filter_map(|signal| tenant.deployments[*signal].as_ref());
    if !deployments.any(verifies) {
        return RootCertStore::empty();
    }
    tokio::task::spawn_blocking(tls::system_roots)
        .await
        .unwrap_or_else(|_| RootCertStore::empty())
}

async fn one(
    prober: &Prober,
    endpoint: &Endpoint,
    signal: Signal,
    deadline: Instant,
) -> EndpointCheck {
    let mut check = EndpointCheck {
        url: endpoint.url.to_string(),
        ok: false,
        reachable: false,
        health_status: None,
        product: Product::Unknown,
        version: None,
        tls: None,
        connect_ms: None,
        latency_ms: None,
        problems: Vec::new(),
    };
    let limit = deadline.min(Instant::now() + PER_ENDPOINT);
    let asked = time::timeout_at(limit, prober.ask(endpoint, signal, &mut check)).await;
    if asked.is_err() {
        check
            .problems
            .push("it did not answer everything in time".into());
    }
    check.ok = check.problems.is_empty();
    check
}
