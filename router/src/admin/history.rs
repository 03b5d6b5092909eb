//! What is remembered of a tenant: how its health changed, and how many requests were served.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use serde::Serialize;
use tenant_store::{
    history::{HistoryCursor, HistoryEntry, HistoryQuery},
    model::{Signal, TenantId},
};
use utoipa::ToSchema;

use super::{
    error::{ApiError, Problem},
    parameters::{IfNoneMatch, OfTenant, PageLimit},
    query::{Arguments, TenantPath},
    read,
    schema::Moment,
};
use crate::{control::Control, history::Availability, standing::Kind};

/// One page of a tenant's changes of health.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangesPage {
    /// Newest first.
    changes: Vec<HistoryEntry>,
    /// What to send as `before` for the page after this one; `null` on the last.
    #[schema(value_type = Option<String>)]
    next: Option<HistoryCursor>,
}

/// Read how a tenant's health changed
///
/// Every change, newest first, as the routers saw it that share the store. The last
/// `history.max_changes_per_tenant` of the last `history.keep_for` are kept.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/health/history",
    tag = "tenants",
    operation_id = "listHealthChanges",
    params(
        OfTenant,
        ("kind" = inline(Option<Kind>), Query, nullable = false, description = "Only changes of this kind."),
        ("signal" = inline(Option<Signal>), Query, nullable = false, description = "Only changes of this deployment and its endpoints."),
        ("since" = inline(Option<Moment>), Query, nullable = false, description = "Only changes at or after this time."),
        ("until" = inline(Option<Moment>), Query, nullable = false, description = "Only changes before this time."),
        ("before" = inline(Option<String>), Query, nullable = false, pattern = "^[0-9]{1,18}-[0-9]{1,18}$", description = "Only changes before this one: the `next` of the page before."),
        PageLimit,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "A page of changes.", body = ChangesPage, headers(("ETag" = String, description = "Made of the page."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn changes(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let query = HistoryQuery {
        kind: arguments.take_with("kind", read_kind),
        signal: arguments.take("signal"),
        since: arguments.take_with("since", read_time),
        until: arguments.take_with("until", read_time),
        before: arguments.take::<HistoryCursor>("before"),
        limit: arguments.take_limit(),
        tenant: id.clone(),
    };
    arguments.finish()?;
    if control.tenants().get(&id).await?.is_none() {
        return Err(ApiError::UnknownTenant(id));
    }
    let page = control.history().changes(&query).await?;
    let answer = ChangesPage {
        changes: page.entries,
        next: page.next,
    };
    read::json(&headers, &answer)
}

/// Read how many of a tenant's requests were served
///
/// By signal, in windows that end now, of all routers that share the store; what came in the last
/// `history.write_interval` is missing. What does not count: requests that were refused for what
/// they were, that their clients gave up on within ten seconds, and all during maintenance.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/availability",
    tag = "tenants",
    operation_id = "getAvailability",
    params(OfTenant, IfNoneMatch),
    responses(
        (status = 200, description = "What was served, and what is left of the error budget.", body = Availability, headers(("ETag" = String, description = "Made of the answer."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn availability(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let Some(entry) = control.tenants().get(&id).await? else {
        return Err(ApiError::UnknownTenant(id));
    };
    let objective = entry.route().objective();
    let availability = control.history().availability(&id, objective).await?;
    read::json(&headers, &availability)
}

/// Forgets what is remembered of a tenant that was purged. That it was is certain by now, so a store
/// that fails here is no reason to say otherwise: what is left is forgotten with age.
pub(super) async fn forget(control: &Control, tenant: &TenantId) {
    if let Err(error) = control.history().forget(tenant).await {
        tracing::warn!(%tenant, %error, "what is remembered of a purged tenant is forgotten with age");
    }
}

fn read_kind(text: &str) -> Result<String, String> {
    const KINDS: [Kind; 6] = [
        Kind::Endpoint,
        Kind::Findings,
        Kind::Failover,
        Kind::Deployment,
        Kind::Tenant,
        Kind::Maintenance,
    ];
    one_of(text, KINDS.map(Kind::as_str)).map(Into::into)
}

fn one_of<'t, const N: usize>(text: &'t str, names: [&str; N]) -> Result<&'t str, String> {
    if names.contains(&text) {
        return Ok(text);
    }
    Err(format!("expected one of {}", names.join(", ")))
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "expected a time such as 2026-11-22T05:00:00Z".into())
}
