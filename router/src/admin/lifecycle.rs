//! A tenant's status, changed by itself: what is most often done in a hurry needs no document.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tenant_store::{
    model::{Status, Tenant, TenantRecord},
    repository::{Expect, TenantRepository},
};

use super::{
    caller::By,
    error::{ApiError, Problem},
    parameters::{DryRun, IdempotencyKey, IfMatch, OfTenant},
    precondition::Match,
    query::{Arguments, TenantPath},
    rehearsal, tenants,
};
use crate::control::Control;

/// Suspend a tenant
///
/// Its requests are refused until it is activated; those in flight are broken off.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/suspend",
    tag = "tenants",
    operation_id = "suspendTenant",
    params(OfTenant, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "Suspended, or so already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn suspend(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = tenants::only_dry_run(arguments)?;
    let edit = |tenant: &Tenant| Ok(with_status(tenant, Status::Suspended));
    let written = tenants::change(&control, &id, condition, dry_run, &author, edit).await?;
    Ok(tenants::answer(written))
}

/// Activate a tenant
///
/// One that is being provisioned, or was suspended.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/activate",
    tag = "tenants",
    operation_id = "activateTenant",
    params(OfTenant, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "Active, or so already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn activate(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = tenants::only_dry_run(arguments)?;
    let edit = |tenant: &Tenant| Ok(with_status(tenant, Status::Active));
    let written = tenants::change(&control, &id, condition, dry_run, &author, edit).await?;
    Ok(tenants::answer(written))
}

/// Restore a deleted tenant
///
/// It comes back as it was before it was deleted, its status included. Its revisions go on.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/restore",
    tag = "tenants",
    operation_id = "restoreTenant",
    params(OfTenant, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "Restored, or not deleted at all.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`restored` or `unchanged`."))),
        (status = 404, description = "There never was one.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn restore(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = tenants::only_dry_run(arguments)?;
    let Some(record) = control.repository().get(&id).await? else {
        return Err(ApiError::UnknownTenant(id));
    };
    condition.check(&record)?;
    let expect = Expect::Revision(record.revision);
    let repository = control.repository();
    if dry_run {
        let foretold = rehearsal::revive::<Tenant>(repository, id.as_str(), expect).await?;
        return Ok(tenants::answer(foretold.into()));
    }
    let written = repository.restore(&id, expect, &author).await?;
    control.tenants().store(&written.record);
    Ok(tenants::answer(written))
}

fn with_status(tenant: &Tenant, status: Status) -> Tenant {
    Tenant {
        status,
        ..tenant.clone()
    }
}
