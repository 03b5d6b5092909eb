//! Endpoints taken out of use and back into it, by themselves: what is done before a machine is
//! worked on needs no document.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tenant_store::{
    model::{Endpoint, EndpointProtocol, Signal, Tenant, TenantId, TenantRecord},
    repository::Author,
};
use utoipa::ToSchema;

use super::{
    body::JsonBody,
    caller::By,
    error::{ApiError, Fault, Problem},
    parameters::{DryRun, IdempotencyKey, IfMatch, OfDeployment},
    precondition::Match,
    query::{Arguments, DeploymentPath},
    tenants,
};
use crate::{
    control::Control,
    standing::{DeploymentHealth, EndpointView},
};

/// Which endpoint is meant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainBody {
    /// Its URL, as the tenant's document has it, or its `host:port`.
    #[schema(example = "http://10.0.0.2:8428")]
    endpoint: String,
    /// Drain it even if nothing would serve the signal any more.
    #[serde(default)]
    #[schema(required = false)]
    force: bool,
}

/// Drain an endpoint
///
/// Requests in flight there finish; no further ones are sent. Written to the tenant's document, so
/// it holds for every router. 409 if no other endpoint of the deployment would serve, unless `force`
/// is set.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/deployments/{signal}/endpoints/drain",
    tag = "tenants",
    operation_id = "drainEndpoint",
    request_body(content = DrainBody, content_type = "application/json"),
    params(OfDeployment, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "Drained, or so already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "No endpoint would be left.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The tenant has no such endpoint.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn begin(
    State(control): State<Arc<Control>>,
    of: DeploymentPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
    JsonBody(body): JsonBody<DrainBody>,
) -> Result<Response, ApiError> {
    change(
        &control,
        Use::Drained,
        of,
        arguments,
        condition,
        author,
        body,
    )
    .await
}

/// Take an endpoint back into use
///
/// Requests are sent there again.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/deployments/{signal}/endpoints/undrain",
    tag = "tenants",
    operation_id = "undrainEndpoint",
    request_body(content = DrainBody, content_type = "application/json"),
    params(OfDeployment, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "In use, or so already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The tenant has no such endpoint.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end(
    State(control): State<Arc<Control>>,
    of: DeploymentPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
    JsonBody(body): JsonBody<DrainBody>,
) -> Result<Response, ApiError> {
    change(&control, Use::InUse, of, arguments, condition, author, body).await
}

/// What an endpoint is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Drained,
    InUse,
}

async fn change(
    control: &Control,
    to: Use,
    DeploymentPath { tenant: id, signal }: DeploymentPath,
    arguments: Arguments,
    condition: Match,
    author: Author,
    body: DrainBody,
) -> Result<Response, ApiError> {
    let dry_run = tenants::only_dry_run(arguments)?;
    let is_guarded = to == Use::Drained && !body.force;
    let seen = if is_guarded {
        see(control, &id, signal).await?
    } else {
        None
    };
    let edit = |tenant: &Tenant| {
        let mut tenant = tenant.clone();
        let meant = find(&mut tenant, signal, &body.endpoint)?;
        let is_news = !std::mem::replace(&mut meant.drain, to == Use::Drained);
        let protocol = meant.protocol;
        if is_guarded && is_news {
            check_others(&tenant, signal, (&body.endpoint, protocol), seen.as_ref())?;
        }
        Ok(tenant)
    };
    let written = tenants::change(control, &id, condition, dry_run, &author, edit).await?;
    control.standing().nudge();
    Ok(tenants::answer(written))
}

/// How the deployment is, as this router sees it.
async fn see(
    control: &Control,
    id: &TenantId,
    signal: Signal,
) -> Result<Option<DeploymentHealth>, ApiError> {
    let Some(entry) = control.tenants().get(id).await? else {
        return Ok(None);
    };
    let mut health = control.standing().of_entry(&entry);
    Ok(health.deployments.remove(&signal))
}

/// The endpoint that is meant: by its URL, or by `host:port` if only one is there.
fn find<'t>(
    tenant: &'t mut Tenant,
    signal: Signal,
    named: &str,
) -> Result<&'t mut Endpoint, ApiError> {
    let fault = |message: String| {
        let named = Some(named.to_owned());
        ApiError::Unprocessable(vec![Fault::new("endpoint", named, message)])
    };
    let id = tenant.id.clone();
    let deployment = match signal {
        Signal::Metrics => &mut tenant.deployments.metrics,
        Signal::Logs => &mut tenant.deployments.logs,
        Signal::Traces => &mut tenant.deployments.traces,
    };
    let Some(deployment) = deployment else {
        let signal = signal.as_str();
        return Err(fault(format!("tenant {id} has no deployment for {signal}")));
    };
    let urls: Vec<String> = deployment
        .endpoints
        .iter()
        .map(|endpoint| endpoint.url.to_string())
        .collect();
    let by_url = named.trim_end_matches('/');
    let mut meant = deployment
        .endpoints
        .iter_mut()
        .filter(|endpoint| endpoint.url.to_string() == by_url || endpoint.url.authority() == named);
    match (meant.next(), meant.next()) {
        (Some(endpoint), None) => Ok(endpoint),
        (Some(_), Some(_)) => Err(fault("more than one is there; name its URL".into())),
        (None, _) => Err(fault(format!("expected one of {}", urls.join(", ")))),
    }
}

/// Whether another endpoint serves what this one does: going by the document, and by what this router
/// sees of those that are not drained. Where protocols are mixed, none takes the requests of another
/// protocol's.
fn check_others(
    tenant: &Tenant,
    signal: Signal,
    (endpoint, protocol): (&str, EndpointProtocol),
    seen: Option<&DeploymentHealth>,
) -> Result<(), ApiError> {
    let endpoints = tenant.deployments[signal].iter().flat_map(|d| &d.endpoints);
    let others: Vec<String> = endpoints
        .filter(|endpoint| !endpoint.drain && endpoint.protocol == protocol)
        .map(|endpoint| endpoint.url.authority())
        .collect();
    let views = |name: &str| -> Vec<&EndpointView> {
        let views = seen.iter().flat_map(|seen| &seen.endpoints);
        views
            .filter(|view| view.from.as_deref().unwrap_or(&view.health.endpoint) == name)
            .collect()
    };
    // One that this router does not know yet is believed.
    let serves = |name: &String| {
        let views = views(name);
        views.is_empty() || views.iter().any(|view| view.condition.serves())
    };
    if others.iter().any(serves) {
        return Ok(());
    }
    let told = match others.as_slice() {
        [] => "all others that take its requests are drained, or there are none".to_owned(),
        others => {
            let told = others.iter().flat_map(|name| {
                views(name)
                    .into_iter()
                    .filter_map(|view| view.sentence.clone())
            });
            told.collect::<Vec<_>>().join(", ")
        }
    };
    Err(ApiError::LastEndpoint {
        tenant: tenant.id.clone(),
        signal,
        endpoint: endpoint.to_owned(),
        others: told,
    })
}
