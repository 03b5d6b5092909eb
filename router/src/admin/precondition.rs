//! `If-Match` and `If-None-Match`: what a client believes a tenant to be before it changes it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use tenant_store::{
    model::{Revision, Status, TenantId},
    repository::{Expect, TenantRepository},
};

use super::error::ApiError;

/// The condition a request puts on the tenant it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precondition {
    /// No such header.
    None,
    /// `If-Match: *`: it must be there, at whatever revision.
    Present,
    /// `If-Match: "3"`.
    Revision(Revision),
    /// `If-None-Match: *`: it must not be there.
    Absent,
}

impl Precondition {
    /// What the repository is told to expect. `Present` is pinned to the revision found now, so
    /// that the write fails if the tenant goes away in between.
    pub(super) async fn resolve(
        self,
        repository: &dyn TenantRepository,
        id: &TenantId,
    ) -> Result<Expect, ApiError> {
        match self {
            Self::None => Ok(Expect::Anything),
            Self::Absent => Ok(Expect::Absent),
            Self::Revision(revision) => Ok(Expect::Revision(revision)),
            Self::Present => match repository.get(id).await? {
                Some(record) if record.tenant.status != Status::Deleted => {
                    Ok(Expect::Revision(record.revision))
                }
                _ => Err(ApiError::PreconditionFailed(format!(
                    "there is no tenant {id}, and `If-Match: *` asks for one"
                ))),
            },
        }
    }
}

/// The `ETag` of a revision.
pub(super) fn etag(revision: Revision) -> HeaderValue {
    // Digits in quotes are a header value whatever the number.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

impl<S: Sync> FromRequestParts<S> for Precondition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let if_match = single(&parts.headers, &header::IF_MATCH)?;
        let if_none_match = single(&parts.headers, &header::IF_NONE_MATCH)?;
        match (if_match, if_none_match) {
            (None, None) => Ok(Self::None),
            (Some("*"), None) => Ok(Self::Present),
            (Some(tag), None) => revision(tag).map(Self::Revision),
            (None, Some("*")) => Ok(Self::Absent),
            (None, Some(tag)) => Err(ApiError::fault(
                "If-None-Match",
                Some(tag.into()),
                "on a change only `*` is understood: create it if it is not there",
            )),
            (Some(tag), Some(_)) => Err(ApiError::fault(
                "If-Match",
                Some(tag.into()),
                "If-Match and If-None-Match exclude each other; send one of them",
            )),
        }
    }
}

fn revision(tag: &str) -> Result<Revision, ApiError> {
    let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    number
        .and_then(|number| number.parse().ok())
        .map(Revision)
        .ok_or_else(|| {
            let message =
                "expected `*` or the one ETag that reading the tenant answered, such as \"3\"";
            ApiError::fault("If-Match", Some(tag.into()), message)
        })
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::fault(
            name.as_str(),
            None,
            "stands more than once; send it once",
        ));
    }
    let text = value
        .to_str()
        .map_err(|_| ApiError::fault(name.as_str(), None, "is not ASCII"))?;
    Ok(Some(text.trim()))
}
