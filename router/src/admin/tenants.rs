//! Reading and changing tenants. What is written here takes effect on this router at once; other
//! routers hear of it from the store.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use tenant_store::{
    model::{RuleError, Status, Tenant, TenantId, TenantRecord, Tier, effective},
    repository::{Author, Expect, Outcome, Repository, RepositoryError, TenantRepository, Written},
};
use utoipa::ToSchema;

use super::{
    auth::Caller,
    body::{MergePatch, TenantBody},
    caller::By,
    error::{ApiError, Fault, Problem},
    history, keys,
    parameters::{
        DryRun, IdempotencyKey, IfMatch, IfMatchOrNone, IfNoneMatch, OfTenant, PageLimit,
    },
    precondition::{Condition, Match, etag},
    query::{Arguments, TenantPath},
    read, rehearsal,
    schema::{Selector, TenantPatch},
    select::Selection,
};
use crate::{config::Role, control::Control};

/// Says what a write did, where the status alone can't: `created`, `updated`, `unchanged`, `deleted`,
/// `restored` or `purged`.
pub(super) const OUTCOME: HeaderName = HeaderName::from_static("x-mirador-outcome");

/// How often a change with `If-Match: *` is tried on what others have just made of the tenant.
const ATTEMPTS: usize = 8;

/// One page of tenants.
#[derive(Serialize, ToSchema)]
pub(super) struct TenantPage {
    /// In the order of their ids.
    tenants: Vec<TenantRecord>,
    /// What to send as `after` for the page after this one; `null` on the last.
    next: Option<TenantId>,
}

/// What was asked of the cache.
#[derive(Serialize, ToSchema)]
pub(super) struct Invalidation {
    /// Always `accepted`: it is done in the background.
    status: &'static str,
    /// Of which tenant.
    tenant: TenantId,
}

/// List tenants
///
/// In the order of their ids, tombstones only if they are asked for. A page may be shorter than its
/// limit, and not the last: `next` tells.
#[utoipa::path(
    get,
    path = "/api/v1/tenants",
    tag = "tenants",
    operation_id = "listTenants",
    params(
        ("status" = inline(Option<Status>), Query, description = "Only tenants of this status."),
        ("tier" = Option<Tier>, Query, nullable = false, description = "Only tenants of this tier."),
        ("label" = inline(Option<Selector>), Query, nullable = false, description = "Only tenants with these labels: `key`, `key=value`, or several with commas between."),
        ("after" = Option<TenantId>, Query, description = "Only ids after this one: the `next` of the page before."),
        PageLimit,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "A page of tenants.", body = TenantPage, headers(("ETag" = String, description = "Made of the page."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
    ),
)]
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let selection = Selection::take(&mut arguments);
    let after = arguments.take("after");
    let limit = arguments.take_limit();
    arguments.finish()?;
    let (tenants, next) = selection.page(&control, after, limit).await?;
    read::json(&headers, &TenantPage { tenants, next })
}

/// Read a tenant
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}",
    tag = "tenants",
    operation_id = "getTenant",
    params(OfTenant, IfNoneMatch),
    responses(
        (status = 200, description = "The tenant.", body = TenantRecord, headers(("ETag" = String, description = "Its revision: what `If-Match` takes."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    read::record(&headers, &living(&control, &id).await?)
}

/// Create or replace a tenant
#[utoipa::path(
    put,
    path = "/api/v1/tenants/{id}",
    tag = "tenants",
    operation_id = "putTenant",
    params(OfTenant, DryRun, IfMatchOrNone),
    request_body(content(
        (Tenant = "application/json"),
        (Tenant = "application/yaml"),
    ), description = "The whole tenant. What reading it answered is taken as it is."),
    responses(
        (status = 200, description = "Replaced, or equal already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 201, description = "Created.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`created`."), ("Location" = String, description = "Its path."))),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no such tier, or it contradicts the tenant.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Condition,
    By(author): By,
    TenantBody(tenant): TenantBody,
) -> Result<Response, ApiError> {
    if tenant.id != id {
        let message = format!("expected {id}, as in the path: a tenant's id can't change");
        return Err(ApiError::fault("id", Some(tenant.id.to_string()), message));
    }
    let dry_run = only_dry_run(arguments)?;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let expect = condition.resolve(&**control.repository(), &id).await?;
        match store(&control, dry_run, &tenant, expect, &author).await? {
            Err(RepositoryError::Conflict { .. })
                if condition == Condition::Match(Match::Present) && attempts < ATTEMPTS => {}
            written => return Ok(answer(written?)),
        }
    }
}

/// Change some fields of a tenant
///
/// By a JSON merge patch (RFC 7396): maps are merged, `null` removes a field, all else replaces.
#[utoipa::path(
    patch,
    path = "/api/v1/tenants/{id}",
    tag = "tenants",
    operation_id = "patchTenant",
    params(OfTenant, DryRun, IfMatch),
    request_body(content(
        (TenantPatch = "application/merge-patch+json"),
    ), description = "The fields that change."),
    responses(
        (status = 200, description = "Changed, or so already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What it makes of the tenant is none.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not `application/merge-patch+json`.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn patch(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let dry_run = only_dry_run(arguments)?;
    let edit = |tenant: &Tenant| {
        let patched = patch.clone().apply(tenant)?;
        if patched.id == tenant.id {
            return Ok(patched);
        }
        let message = format!("expected {}: a tenant's id can't change", tenant.id);
        let fault = Fault::new("id", Some(patched.id.to_string()), message);
        Err(ApiError::Unprocessable(vec![fault]))
    };
    let written = change(&control, &id, condition, dry_run, &author, edit).await?;
    Ok(answer(written))
}

/// Create a tenant
#[utoipa::path(
    post,
    path = "/api/v1/tenants",
    tag = "tenants",
    operation_id = "createTenant",
    params(DryRun, IdempotencyKey),
    request_body(content(
        (Tenant = "application/json"),
        (Tenant = "application/yaml"),
    ), description = "The whole tenant."),
    responses(
        (status = 201, description = "Created.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`created`."), ("Location" = String, description = "Its path."))),
        (status = 409, description = "There is one of this id, or a request of this key is in flight.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no such tier, or it contradicts the tenant; or the key was used for another request.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(control): State<Arc<Control>>,
    arguments: Arguments,
    By(author): By,
    TenantBody(tenant): TenantBody,
) -> Result<Response, ApiError> {
    let dry_run = only_dry_run(arguments)?;
    match store(&control, dry_run, &tenant, Expect::Absent, &author).await? {
        Ok(written) => Ok(answer(written)),
        Err(RepositoryError::Conflict { .. }) => Err(ApiError::Exists(tenant.id)),
        Err(error) => Err(error.into()),
    }
}

/// Delete a tenant
///
/// Its record stays as a tombstone, or with `purge` nothing of it but its revision; clients are
/// refused at once. Purging needs the role `admin`.
#[utoipa::path(
    delete,
    path = "/api/v1/tenants/{id}",
    tag = "tenants",
    operation_id = "deleteTenant",
    params(
        OfTenant,
        ("purge" = inline(Option<bool>), Query, nullable = false, description = "Forget it for good, whether it was deleted before or not."),
        DryRun,
        IfMatch,
    ),
    responses(
        (status = 200, description = "Deleted, or a tombstone already.", body = TenantRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`deleted`, `purged` or `unchanged`."))),
        (status = 404, description = "There never was one.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(control): State<Arc<Control>>,
    Extension(caller): Extension<Caller>,
    TenantPath(id): TenantPath,
    mut arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let purge = arguments.take_flag("purge");
    let dry_run = only_dry_run(arguments)?;
    if purge {
        caller.require(Role::Admin)?;
    }
    let repository = control.repository();
    if repository.get(&id).await?.is_none() {
        return Err(ApiError::UnknownTenant(id));
    }
    let expect = match condition {
        Match::Present => Expect::Anything,
        Match::Among(_) => condition.resolve(&**repository, &id).await?,
    };
    if dry_run {
        let foretold = if purge {
            rehearsal::forget::<Tenant>(repository, id.as_str(), expect).await?
        } else {
            rehearsal::remove::<Tenant>(repository, id.as_str(), expect).await?
        };
        return Ok(answer(foretold.into()));
    }
    let written = if purge {
        // As it would be refused: its keys are not given up for nothing.
        rehearsal::forget::<Tenant>(repository, id.as_str(), expect).await?;
        keys::forget_all(&control, &id, &author).await?;
        let purged = repository.purge(&id, true, expect, &author).await?;
        history::forget(&control, &id).await;
        purged
    } else {
        repository.delete(&id, expect, &author).await?
    };
    control.tenants().store(&written.record);
    Ok(answer(written))
}

/// Read a tenant again
///
/// Its record, and the secrets and certificates it names, are read in the background by the router
/// that is asked.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/cache/invalidate",
    tag = "tenants",
    operation_id = "invalidateTenant",
    params(OfTenant, IdempotencyKey),
    responses(
        (status = 202, description = "It will be.", body = Invalidation),
    ),
)]
pub(super) async fn invalidate(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    control.tenants().rebuild(&id);
    let told = Json(json!({ "status": "accepted", "tenant": id }));
    Ok((StatusCode::ACCEPTED, told).into_response())
}

/// A tenant that is not deleted.
pub(super) async fn living(control: &Control, id: &TenantId) -> Result<TenantRecord, ApiError> {
    match control.repository().get(id).await? {
        None => Err(ApiError::UnknownTenant(id.clone())),
        Some(record) if record.tenant.status == Status::Deleted => {
            Err(ApiError::Deleted(id.clone()))
        }
        Some(record) => Ok(record),
    }
}

/// Changes what is there, or tells what that would do. Where any revision will do, a change that
/// somebody else made in between is changed in turn.
pub(super) async fn change(
    control: &Control,
    id: &TenantId,
    condition: Match,
    dry_run: bool,
    author: &Author,
    edit: impl Fn(&Tenant) -> Result<Tenant, ApiError>,
) -> Result<Written, ApiError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let record = living(control, id).await?;
        condition.check(&record)?;
        let tenant = edit(&record.tenant)?;
        let expect = Expect::Revision(record.revision);
        match store(control, dry_run, &tenant, expect, author).await? {
            Err(RepositoryError::Conflict { .. })
                if condition == Match::Present && attempts < ATTEMPTS => {}
            written => return Ok(written?),
        }
    }
}

/// Puts a tenant, or tells what that would do. The outer error is the request's, the inner one the
/// store's.
pub(super) async fn store(
    control: &Control,
    dry_run: bool,
    tenant: &Tenant,
    expect: Expect,
    author: &Author,
) -> Result<Result<Written, RepositoryError>, ApiError> {
    if tenant.status == Status::Deleted {
        let message = "a tenant is deleted by DELETE, not by its status";
        return Err(ApiError::fault("status", Some("deleted".into()), message));
    }
    let repository = control.repository();
    check_tier(repository, tenant).await?;
    if dry_run {
        let foretold = rehearsal::put(repository, tenant, expect).await;
        return Ok(foretold.map(Into::into));
    }
    forget_predecessor(control, tenant, expect, author).await?;
    let written = repository.put(tenant, expect, author).await;
    if let Ok(written) = &written {
        control.tenants().store(&written.record);
    }
    Ok(written)
}

/// Forgets the keys of the one who had this id, if it was deleted and another is to be made.
async fn forget_predecessor(
    control: &Control,
    tenant: &Tenant,
    expect: Expect,
    author: &Author,
) -> Result<(), ApiError> {
    let Some(found) = control.repository().get(&tenant.id).await? else {
        return Ok(());
    };
    let is_replaced = match expect {
        Expect::Absent | Expect::Anything => true,
        Expect::Revision(revision) => revision == found.revision,
    };
    if is_replaced && found.tenant.status == Status::Deleted {
        keys::forget_all(control, &tenant.id, author).await?;
    }
    Ok(())
}

/// A tenant is of a tier that there is, and does not contradict it.
async fn check_tier(repository: &Repository, tenant: &Tenant) -> Result<(), ApiError> {
    let fault = |field: &str, value: Option<String>, message: String| {
        Err(ApiError::Unprocessable(vec![Fault::new(
            field, value, message,
        )]))
    };
    let named = Some(tenant.tier.to_string());
    let Some(tier) = repository.tier(&tenant.tier).await? else {
        let message = "there is no such tier; define it first, or name another";
        return fault("tier", named, message.into());
    };
    match effective(tenant, &tier) {
        Ok(_) => Ok(()),
        Err(error @ RuleError::NoEndpoints { .. }) => {
            let status = tenant.status.as_str().to_owned();
            fault("status", Some(status), error.to_string())
        }
        Err(error) => match &error {
            RuleError::Hosting { signal, found, .. } => {
                let field = format!("deployments.{signal}.hosting");
                fault(&field, Some((*found).to_owned()), error.to_string())
            }
            _ => fault("tier", named, error.to_string()),
        },
    }
}

/// Takes `dry_run`, and refuses whatever else is there.
pub(super) fn only_dry_run(mut arguments: Arguments) -> Result<bool, ApiError> {
    let dry_run = arguments.take_dry_run();
    arguments.finish()?;
    Ok(dry_run)
}

/// What a write came to.
pub(super) fn answer(Written { record, outcome }: Written) -> Response {
    let status = match outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated
        | Outcome::Unchanged
        | Outcome::Deleted
        | Outcome::Restored
        | Outcome::Purged => StatusCode::OK,
    };
    let outcome = HeaderValue::from_static(outcome.as_str());
    let headers = [(header::ETAG, etag(record.revision)), (OUTCOME, outcome)];
    let place = format!("/api/v1/tenants/{}", record.tenant.id);
    let location = (status == StatusCode::CREATED).then_some([(header::LOCATION, place)]);
    (status, headers, location, Json(record)).into_response()
}
