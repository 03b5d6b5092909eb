//! Maintenance of a tenant, begun and ended by itself.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use tenant_store::model::{Maintenance, Tenant, TenantRecord};

use super::{
    body::JsonBody,
    caller::By,
    error::{ApiError, Fault, Problem},
    parameters::{DryRun, IfMatch, OfTenant},
    precondition::Match,
    query::{Arguments, TenantPath},
    tenants,
};
use crate::control::Control;

/// Begin maintenance of a tenant
///
/// Or change its reason or end. Requests flow on; what happens to its health is not announced until
/// the maintenance is over.
#[utoipa::path(
    put,
    path = "/api/v1/tenants/{id}/maintenance",
    tag = "tenants",
    operation_id = "beginMaintenance",
    request_body(content = Maintenance, content_type = "application/json"),
    params(OfTenant, DryRun, IfMatch),
    responses(
        (status = 200, description = "In maintenance.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It would be over already.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn begin(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
    JsonBody(maintenance): JsonBody<Maintenance>,
) -> Result<Response, ApiError> {
    let dry_run = tenants::only_dry_run(arguments)?;
    if !maintenance.is_on(Timestamp::now()) {
        let until = maintenance.until.map(|until| until.to_string());
        let fault = Fault::new("until", until, "is past; name a time to come");
        return Err(ApiError::Unprocessable(vec![fault]));
    }
    let edit = |tenant: &Tenant| Ok(with(tenant, Some(maintenance.clone())));
    let written = tenants::change(&control, &id, condition, dry_run, &author, edit).await?;
    control.standing().nudge();
    Ok(tenants::answer(written))
}

/// End maintenance of a tenant
///
/// What is not well about it then is announced.
#[utoipa::path(
    delete,
    path = "/api/v1/tenants/{id}/maintenance",
    tag = "tenants",
    operation_id = "endMaintenance",
    params(OfTenant, DryRun, IfMatch),
    responses(
        (status = 200, description = "Not in maintenance, or not to begin with.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn end(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = tenants::only_dry_run(arguments)?;
    let edit = |tenant: &Tenant| Ok(with(tenant, None));
    let written = tenants::change(&control, &id, condition, dry_run, &author, edit).await?;
    control.standing().nudge();
    Ok(tenants::answer(written))
}

fn with(tenant: &Tenant, maintenance: Option<Maintenance>) -> Tenant {
    Tenant {
        maintenance,
        ..tenant.clone()
    }
}
