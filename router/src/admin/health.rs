//! How a tenant's endpoints are, as this router sees them.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};

use super::{
    error::{ApiError, Problem},
    parameters::{IfNoneMatch, OfTenant},
    query::{Arguments, TenantPath},
    read,
};
use crate::{control::Control, standing::TenantHealth};

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
    read::json(&headers, &control.standing().of_entry(&entry))
}
