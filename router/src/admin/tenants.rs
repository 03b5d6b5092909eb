//! Reading and changing tenants. What is written here takes effect on this router at once; other
//! routers hear of it from the store.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Serialize,
    de::{self, IntoDeserializer},
};
use serde_json::json;
use tenant_store::{
    model::{Status, Tenant, TenantId, TenantRecord},
    repository::{Author, Expect, ListQuery, Outcome, RepositoryError, TenantRepository, Written},
};

use super::{
    body::TenantBody,
    caller::By,
    error::ApiError,
    precondition::{Precondition, etag},
    query::{Arguments, TenantPath},
    rehearsal,
};
use crate::control::Control;

/// Says what a write did, where the status alone can't: `created`, `updated`, `unchanged` or
/// `deleted`.
const OUTCOME: HeaderName = HeaderName::from_static("x-mirador-outcome");

/// One page of tenants.
#[derive(Serialize)]
pub(super) struct TenantPage {
    tenants: Vec<TenantRecord>,
    /// What to send as `after` for the page after this one; `null` on the last.
    next: Option<TenantId>,
}

/// `GET /api/v1/tenants?status=&after=&limit=`
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    mut arguments: Arguments,
) -> Result<Json<TenantPage>, ApiError> {
    let query = ListQuery {
        after: arguments.take("after"),
        limit: arguments.take_limit(),
        status: arguments.take_with("status", read_status),
        ..ListQuery::default()
    };
    arguments.finish()?;
    let page = control.repository().list(&query).await?;
    Ok(Json(TenantPage {
        tenants: page.records,
        next: page.next,
    }))
}

/// `GET /api/v1/tenants/{id}`
pub(super) async fn get(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let record = match control.repository().get(&id).await? {
        None => return Err(ApiError::UnknownTenant(id)),
        Some(record) if record.tenant.status == Status::Deleted => {
            return Err(ApiError::Deleted(id));
        }
        Some(record) => record,
    };
    let tag = etag(record.revision);
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(record)).into_response())
}

/// `PUT /api/v1/tenants/{id}?dry_run=`
pub(super) async fn put(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    arguments: Arguments,
    precondition: Precondition,
    By(author): By,
    TenantBody(tenant): TenantBody,
) -> Result<Response, ApiError> {
    if tenant.id != id {
        let message = format!("expected {id}, as in the path: a tenant's id can't change");
        return Err(ApiError::fault("id", Some(tenant.id.to_string()), message));
    }
    let expect = precondition.resolve(&**control.repository(), &id).await?;
    let written = store(&control, arguments, &tenant, expect, &author).await??;
    Ok(answer(written))
}

/// `POST /api/v1/tenants?dry_run=`
pub(super) async fn create(
    State(control): State<Arc<Control>>,
    arguments: Arguments,
    By(author): By,
    TenantBody(tenant): TenantBody,
) -> Result<Response, ApiError> {
    match store(&control, arguments, &tenant, Expect::Absent, &author).await? {
        Ok(written) => Ok(answer(written)),
        Err(RepositoryError::Conflict { .. }) => Err(ApiError::Exists(tenant.id)),
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /api/v1/tenants/{id}?dry_run=`
pub(super) async fn delete(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    mut arguments: Arguments,
    precondition: Precondition,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = arguments.take_dry_run();
    arguments.finish()?;
    let repository = &**control.repository();
    let expect = precondition.resolve(repository, &id).await?;
    if dry_run {
        return Ok(answer(rehearsal::delete(repository, &id, expect).await?));
    }
    let written = repository.delete(&id, expect, &author).await?;
    control.tenants().store(&written.record);
    Ok(answer(written))
}

/// `POST /api/v1/tenants/{id}/cache/invalidate`
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

/// Puts a tenant, or tells what that would do. The outer error is the request's, the inner one the
/// store's.
async fn store(
    control: &Control,
    mut arguments: Arguments,
    tenant: &Tenant,
    expect: Expect,
    author: &Author,
) -> Result<Result<Written, RepositoryError>, ApiError> {
    let dry_run = arguments.take_dry_run();
    arguments.finish()?;
    if tenant.status == Status::Deleted {
        let message = "a tenant is deleted by DELETE, not by its status";
        return Err(ApiError::fault("status", Some("deleted".into()), message));
    }
    let repository = &**control.repository();
    if dry_run {
        return Ok(rehearsal::put(repository, tenant, expect).await);
    }
    let written = repository.put(tenant, expect, author).await;
    if let Ok(written) = &written {
        control.tenants().store(&written.record);
    }
    Ok(written)
}

fn answer(Written { record, outcome }: Written) -> Response {
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

fn read_status(text: &str) -> Result<Status, String> {
    Status::deserialize(text.into_deserializer())
        .map_err(|error: de::value::Error| error.to_string())
}
