//! A tenant's status, changed by itself: what is most often done in a hurry needs no document.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tenant_store::{
    model::{Status, Tenant, TenantRecord},
    repository::{Expect, Outcome, Written},
};

use super::{
    caller::By,
    error::{ApiError, Problem},
    parameters::{DryRun, IdempotencyKey, IfMatch, OfTenant},
    precondition::Match,
    query::{Arguments, TenantPath},
    tenants,
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
/// It comes back as it was when it was deleted, and active. Its revisions go on.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/restore",
    tag = "tenants",
    operation_id = "restoreTenant",
    params(OfTenant, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "There is one, and it was never deleted: it stays as it is.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`unchanged`."))),
        (status = 201, description = "Restored.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`created`."), ("Location" = String, description = "Its path."))),
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
    if record.tenant.status != Status::Deleted {
        return Ok(tenants::answer(Written {
            record,
            outcome: Outcome::Unchanged,
        }));
    }
    let tenant = with_status(&record.tenant, Status::Active);
    let expect = Expect::Revision(record.revision);
    let written = tenants::store(&control, dry_run, &tenant, expect, &author).await??;
    Ok(tenants::answer(written))
}

fn with_status(tenant: &Tenant, status: Status) -> Tenant {
    Tenant {
        status,
        ..tenant.clone()
    }
}
