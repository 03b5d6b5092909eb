//! API keys: made, listed, replaced, revoked. A token is answered once, when it is made.

mod record;
mod write;

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use tenant_store::{
    model::{ApiKey, ApiKeyId, HumanDuration, KeyState},
    repository::{Expect, KeptWritten, Kind, RecordQuery},
};

use self::{
    record::{KeyPage, KeyRecord, MintedKey, NewKey, name_of},
    write::{find, mint, secret, write},
};
use super::{
    body::JsonOrYamlBody,
    caller::By,
    error::{ApiError, Fault, Problem},
    parameters::{DryRun, IdempotencyKey, IfMatch, IfNoneMatch, OfKey, OfTenant, PageLimit},
    precondition::{Match, etag},
    query::{Arguments, KeyPath, TenantPath},
    read, rehearsal,
    schema::Overlap,
    tenants::{OUTCOME, living, only_dry_run},
};
use crate::{control::Control, keys::new_id};

pub(super) use write::forget_all;

/// How long a replaced key is accepted at most.
const LONGEST_OVERLAP: HumanDuration = HumanDuration::from_secs(30 * 24 * 3600);

/// How long it is where nothing is said.
const OVERLAP: HumanDuration = HumanDuration::from_secs(24 * 3600);

/// List a tenant's keys
///
/// Revoked ones included, and what became of each; never a token.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/keys",
    tag = "keys",
    operation_id = "listKeys",
    params(
        OfTenant,
        ("after" = Option<ApiKeyId>, Query, nullable = false, description = "Only ids after this one: the `next` of the page before."),
        PageLimit,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "A page of keys.", body = KeyPage, headers(("ETag" = String, description = "Made of the page."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is no such tenant.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    TenantPath(tenant): TenantPath,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let after: Option<ApiKeyId> = arguments.take("after");
    let limit = arguments.take_limit();
    arguments.finish()?;
    living(&control, &tenant).await?;
    let query = RecordQuery {
        after: after.map(|id| id.as_str().into()),
        limit,
        tenant: Some(tenant),
        ..RecordQuery::all(Kind::Key)
    };
    let page = control.repository().page::<ApiKey>(query).await?;
    let now = Timestamp::now();
    let keys = page.records.into_iter();
    let page = KeyPage {
        keys: keys.map(|stored| KeyRecord::of(stored, now)).collect(),
        next: page.next.map(|next| next.to_string()),
    };
    read::json(&headers, &page)
}

/// Read a key
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/keys/{key}",
    tag = "keys",
    operation_id = "getKey",
    params(OfKey, IfNoneMatch),
    responses(
        (status = 200, description = "The key, without its token.", body = KeyRecord, headers(("ETag" = String, description = "Its revision: what `If-Match` takes."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "The tenant has no such key.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(control): State<Arc<Control>>,
    path: KeyPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let stored = find(control.repository(), &path).await?;
    let record = KeyRecord::of(stored, Timestamp::now());
    // How it is used is no revision of it, so the tag is made of what is said.
    let tag = etag(record.revision);
    read::tagged_json(&headers, tag, &record)
}

/// Make a key
///
/// The answer has its token, which is kept nowhere: only a keyed hash of it is.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/keys",
    tag = "keys",
    operation_id = "createKey",
    params(OfTenant, DryRun, IdempotencyKey),
    request_body(content(
        (NewKey = "application/json"),
        (NewKey = "application/yaml"),
    ), description = "What it is to be."),
    responses(
        (status = 201, description = "Made.", body = MintedKey, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`created`."), ("Location" = String, description = "Its path."))),
        (status = 404, description = "There is no such tenant.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "This router has no `keys.secret_file`, or a request of this key is in flight.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`expires_at` is over, or the idempotency key was used for another request.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    State(control): State<Arc<Control>>,
    TenantPath(tenant): TenantPath,
    arguments: Arguments,
    By(author): By,
    JsonOrYamlBody(new): JsonOrYamlBody<NewKey>,
) -> Result<Response, ApiError> {
    let dry_run = only_dry_run(arguments)?;
    let secret = secret(&control)?;
    living(&control, &tenant).await?;
    let NewKey {
        name,
        allowed,
        scopes,
        expires_at,
    } = new;
    if expires_at.is_some_and(|end| end <= Timestamp::now()) {
        let value = expires_at.map(|end| end.to_string());
        let fault = Fault::new("expires_at", value, "expected a time to come");
        return Err(ApiError::Unprocessable(vec![fault]));
    }
    let draft = |id, hash| ApiKey {
        id,
        name,
        tenant,
        allowed,
        scopes,
        expires_at,
        replaced_by: None,
        retires_at: None,
        revoked_at: None,
        hash,
    };
    mint(&control, &secret, new_id(), draft, dry_run, &author).await
}

/// Replace a key
///
/// Another one of the same tenant, name and scopes takes its place. The one that is replaced is
/// accepted beside it for a while, so that those who have it can change over.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/keys/{key}/rotate",
    tag = "keys",
    operation_id = "rotateKey",
    params(
        OfKey,
        DryRun,
        IfMatch,
        IdempotencyKey,
        ("overlap" = inline(Option<Overlap>), Query, nullable = false, description = "How long the one that is replaced is accepted: `24h` where nothing is said, at most 30 days."),
    ),
    responses(
        (status = 201, description = "The key that takes its place.", body = MintedKey, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`created`."), ("Location" = String, description = "Its path."))),
        (status = 404, description = "The tenant has no such key.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was revoked, replaced or is over.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rotate(
    State(control): State<Arc<Control>>,
    path: KeyPath,
    mut arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let overlap = arguments.take_with("overlap", |text| {
        let overlap: HumanDuration = text
            .parse()
            .map_err(|error: tenant_store::model::DurationError| error.to_string())?;
        let fits = overlap <= LONGEST_OVERLAP;
        fits.then_some(overlap)
            .ok_or_else(|| format!("expected at most {LONGEST_OVERLAP}"))
    });
    let dry_run = only_dry_run(arguments)?;
    let secret = secret(&control)?;
    let repository = control.repository();
    let old = find(repository, &path).await?;
    condition.check_revision(&format!("API key {}", path.key), old.revision)?;
    let now = Timestamp::now();
    let state = old.value.state_at(now);
    if state != KeyState::Usable || old.value.replaced_by.is_some() {
        let state = match state {
            KeyState::Usable => "replaced already",
            state => name_of(state),
        };
        return Err(ApiError::InUse(format!(
            "API key {} is {state}, so nothing takes its place; make another one",
            path.key
        )));
    }
    let retires_at = now
        .checked_add(overlap.unwrap_or(OVERLAP).0)
        .map_err(|_| ApiError::Broken("a time can't be told"))?;
    let successor = new_id();
    let replaced = ApiKey {
        replaced_by: Some(successor.clone()),
        retires_at: Some(retires_at),
        ..old.value.clone()
    };
    let draft = |_, hash| ApiKey {
        id: successor.clone(),
        hash,
        ..old.value.clone()
    };
    // First the old one: if somebody changed it meanwhile, nothing is made. If the new one can't be
    // written then, the old one is given back its time.
    let expect = Expect::Revision(old.revision);
    if dry_run {
        rehearsal::put(repository, &replaced, expect).await?;
        return mint(&control, &secret, successor.clone(), draft, true, &author).await;
    }
    let marked = write(&control, &replaced, expect, false, &author).await?;
    let minted = mint(&control, &secret, successor.clone(), draft, false, &author).await;
    if minted.is_err() {
        let expect = Expect::Revision(marked.record.revision);
        write(&control, &old.value, expect, false, &author).await?;
    }
    minted
}

/// Revoke a key
///
/// It is refused for good. Its record stays, so that it can be told what it was.
#[utoipa::path(
    post,
    path = "/api/v1/tenants/{id}/keys/{key}/revoke",
    tag = "keys",
    operation_id = "revokeKey",
    params(OfKey, DryRun, IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "Revoked, or so already.", body = KeyRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 404, description = "The tenant has no such key.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn revoke(
    State(control): State<Arc<Control>>,
    path: KeyPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = only_dry_run(arguments)?;
    let repository = control.repository();
    let stored = find(repository, &path).await?;
    condition.check_revision(&format!("API key {}", path.key), stored.revision)?;
    let expect = Expect::Revision(stored.revision);
    let revoked = ApiKey {
        revoked_at: stored.value.revoked_at.or_else(|| Some(Timestamp::now())),
        ..stored.value
    };
    let written = write(&control, &revoked, expect, dry_run, &author).await?;
    Ok(answer(written))
}

/// Delete a key
///
/// It is refused for good, and no list has it any more.
#[utoipa::path(
    delete,
    path = "/api/v1/tenants/{id}/keys/{key}",
    tag = "keys",
    operation_id = "deleteKey",
    params(OfKey, DryRun, IfMatch),
    responses(
        (status = 200, description = "Deleted.", body = KeyRecord, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`deleted`."))),
        (status = 404, description = "The tenant has no such key.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(control): State<Arc<Control>>,
    path: KeyPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = only_dry_run(arguments)?;
    let repository = control.repository();
    let stored = find(repository, &path).await?;
    condition.check_revision(&format!("API key {}", path.key), stored.revision)?;
    let (id, expect) = (path.key.as_str(), Expect::Revision(stored.revision));
    let written = if dry_run {
        rehearsal::remove::<ApiKey>(repository, id, expect).await?
    } else {
        let written = repository.remove::<ApiKey>(id, expect, &author).await?;
        control.keys().take_in(&written);
        written
    };
    Ok(answer(written))
}

fn answer(written: KeptWritten<ApiKey>) -> Response {
    let outcome = HeaderValue::from_static(written.outcome.as_str());
    let record = KeyRecord::of(written.record, Timestamp::now());
    let headers = [(header::ETAG, etag(record.revision)), (OUTCOME, outcome)];
    (headers, Json(record)).into_response()
}
