//! What is written of API keys.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use tenant_store::{
    model::{ApiKey, ApiKeyId, KeyHash, TenantId},
    repository::{Author, Expect, KeptWritten, Kind, Outcome, RecordQuery, Repository, Stored},
};

use super::record::{KeyRecord, MintedKey};
use crate::{
    admin::{error::ApiError, precondition::etag, query::KeyPath, rehearsal, tenants::OUTCOME},
    control::Control,
    keys::{KeySecret, new_token},
};

/// Makes a key with this id, of which there is none yet.
pub(super) async fn mint(
    control: &Control,
    secret: &KeySecret,
    id: ApiKeyId,
    draft: impl FnOnce(ApiKeyId, KeyHash) -> ApiKey,
    dry_run: bool,
    author: &Author,
) -> Result<Response, ApiError> {
    let token = new_token(&id);
    let key = draft(id, secret.hash(&token));
    // Fields that only parsing checks.
    let form = serde_json::to_value(&key).and_then(serde_json::from_value::<ApiKey>);
    form.map_err(|error| ApiError::fault("name", Some(key.name.clone()), error.to_string()))?;
    let written = write(control, &key, Expect::Absent, dry_run, author).await?;
    let minted = MintedKey {
        token: if dry_run { String::new() } else { token },
        key: KeyRecord::of(written.record, Timestamp::now()),
    };
    let outcome = HeaderValue::from_static(Outcome::Created.as_str());
    let tag = etag(minted.key.revision);
    let place = format!(
        "/api/v1/tenants/{}/keys/{}",
        minted.key.tenant, minted.key.id
    );
    let headers = [(header::ETAG, tag), (OUTCOME, outcome)];
    let location = [(header::LOCATION, place)];
    Ok((StatusCode::CREATED, headers, location, Json(minted)).into_response())
}

/// Writes a key, or tells what that would do. What was written is so for requests at once.
pub(super) async fn write(
    control: &Control,
    key: &ApiKey,
    expect: Expect,
    dry_run: bool,
    author: &Author,
) -> Result<KeptWritten<ApiKey>, ApiError> {
    let repository = control.repository();
    if dry_run {
        return Ok(rehearsal::put(repository, key, expect).await?);
    }
    let written = repository.store_as(key, expect, author).await?;
    control.keys().take_in(&written);
    Ok(written)
}

/// Forgets all keys of a tenant that is to be no more: whoever comes to have its id must not
/// inherit them.
pub(in crate::admin) async fn forget_all(
    control: &Control,
    tenant: &TenantId,
    author: &Author,
) -> Result<(), ApiError> {
    let repository = control.repository();
    let mut query = RecordQuery {
        tenant: Some(tenant.clone()),
        ..RecordQuery::all(Kind::Key)
    };
    loop {
        let page = repository.page::<ApiKey>(query.clone()).await?;
        for stored in page.records {
            let id = stored.value.id.as_str();
            let forgotten = repository.forget::<ApiKey>(id, true, Expect::Anything, author);
            control.keys().take_in(&forgotten.await?);
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

/// A key of the tenant the path names: another tenant's is not there.
pub(super) async fn find(
    repository: &Repository,
    path: &KeyPath,
) -> Result<Stored<ApiKey>, ApiError> {
    let stored = repository.find::<ApiKey>(path.key.as_str()).await?;
    stored
        .filter(|stored| !stored.deleted && stored.value.tenant == path.tenant)
        .ok_or_else(|| ApiError::UnknownKey {
            tenant: path.tenant.clone(),
            key: path.key.clone(),
        })
}

pub(super) fn secret(control: &Control) -> Result<KeySecret, ApiError> {
    let settings = control.settings();
    settings.key_secret.clone().ok_or(ApiError::NoKeySecret)
}
