//! How tenants are, as this router sees them.

use std::{str::FromStr, sync::Arc};

use axum::{extract::State, http::HeaderMap, response::Response};
use tenant_store::model::{Signal, Tier};
use tokio::task::spawn_blocking;

use super::{
    error::{ApiError, Problem},
    parameters::{IfNoneMatch, OfTenant, PageLimit},
    query::{Arguments, TenantPath},
    read,
    schema::{Conditions, HealthCursor, TierNames},
};
use crate::{
    control::Control,
    standing::{Condition, Cursor, Filter, Order, Overview, TenantHealth},
};

/// Read the health of all tenants
///
/// The worst first. Of the tenants that the router that is asked knows: all of them, unless it was
/// started a moment ago or holds fewer than there are. How many are in which condition is told of
/// all that fit but for `condition`.
#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "health",
    operation_id = "getHealthOverview",
    params(
        ("condition" = inline(Option<Conditions>), Query, nullable = false, description = "Only tenants in this condition (`healthy`, `degraded`, `unhealthy`, `unknown`, `maintenance`, `provisioning`, `suspended`), or in one of several with commas between."),
        ("tier" = inline(Option<TierNames>), Query, nullable = false, description = "Only tenants of this tier, or of one of several with commas between."),
        ("signal" = Option<Signal>, Query, nullable = false, description = "Only tenants with a deployment for it, by whose condition they are then judged and ordered."),
        ("q" = inline(Option<String>), Query, nullable = false, description = "Only tenants with this in their id or display name, whatever the case."),
        ("cursor" = inline(Option<HealthCursor>), Query, nullable = false, description = "Only tenants after this place: the `next` of the page before."),
        PageLimit,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "A page of tenants, and how all of them do.", body = Overview, headers(("ETag" = String, description = "Made of the answer."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
    ),
)]
pub(super) async fn overview(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let filter = filter(&mut arguments);
    arguments.finish()?;
    let standing = control.standing().clone();
    // A look at all tenants; probes and other requests are not to wait for it.
    let overview = spawn_blocking(move || standing.overview(&filter)).await;
    let overview = overview.map_err(|_| ApiError::Broken("a look at all tenants ended early"))?;
    read::json(&headers, &overview)
}

fn filter(arguments: &mut Arguments) -> Filter {
    let conditions = arguments.take_with("condition", several::<Condition>);
    let tiers = arguments.take_with("tier", several::<Tier>);
    Filter {
        conditions: conditions.unwrap_or_default(),
        tiers: tiers.unwrap_or_default(),
        signal: arguments.take("signal"),
        search: arguments.take("q"),
        order: Order::Worst,
        limit: arguments.take_limit().into(),
        after: arguments.take::<Cursor>("cursor"),
    }
}

/// Reads one or more, with commas between.
fn several<T: FromStr<Err: ToString>>(text: &str) -> Result<Vec<T>, String> {
    text.split(',')
        .map(|one| one.parse().map_err(|error: T::Err| error.to_string()))
        .collect()
}

/// Read a tenant's health
///
/// Its deployments and each of their endpoints, as the router that is asked sees them.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/health",
    tag = "health",
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
    read::json(&headers, &control.standing().of_entry(&entry))
}
