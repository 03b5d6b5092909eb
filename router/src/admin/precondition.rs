//! `If-Match` and `If-None-Match`: what a client believes something to be before it changes it.
//! Without one of them nothing that is there is changed, so that no operator undoes unawares what
//! another has just done.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use tenant_store::{
    model::{Revision, Status, TenantId, TenantRecord},
    repository::{Expect, TenantRepository},
};

use super::error::ApiError;

/// The condition of a request that changes what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// `If-Match: *`: it must be there, at whatever revision.
    Present,
    /// `If-Match: "3"`.
    Revision(Revision),
}

/// The condition of a request that creates, or changes what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// It must be there, as this says.
    Match(Match),
    /// `If-None-Match: *`: it must not be there.
    Absent,
}

impl Condition {
    /// What the repository is told to expect.
    pub(super) async fn resolve(
        self,
        repository: &dyn TenantRepository,
        id: &TenantId,
    ) -> Result<Expect, ApiError> {
        match self {
            Self::Absent => Ok(Expect::Absent),
            Self::Match(condition) => condition.resolve(repository, id).await,
        }
    }
}

impl Match {
    /// What the repository is told to expect. `Present` is pinned to the revision found now, so
    /// that the write fails if the tenant goes away in between.
    pub(super) async fn resolve(
        self,
        repository: &dyn TenantRepository,
        id: &TenantId,
    ) -> Result<Expect, ApiError> {
        match self {
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

    /// Fails unless `record` is as the condition says.
    pub(super) fn check(self, record: &TenantRecord) -> Result<(), ApiError> {
        match self {
            Self::Revision(revision) if revision != record.revision => {
                Err(ApiError::PreconditionFailed(format!(
                    "tenant {} is at revision {}, not at revision {revision}; read it again and \
                     repeat the change on that",
                    record.tenant.id, record.revision
                )))
            }
            Self::Present | Self::Revision(_) => Ok(()),
        }
    }
}

/// The `ETag` of a revision.
pub(super) fn etag(revision: Revision) -> HeaderValue {
    // Digits in quotes are a header value whatever the number.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

impl<S: Sync> FromRequestParts<S> for Match {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let tag = single(&parts.headers, &header::IF_NONE_MATCH)?;
        if let Some(tag) = tag {
            let message = "this only changes what is there; send If-Match";
            return Err(ApiError::fault("If-None-Match", Some(tag.into()), message));
        }
        match single(&parts.headers, &header::IF_MATCH)? {
            Some(tag) => if_match(tag),
            None => Err(ApiError::PreconditionRequired("")),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Condition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let if_match_tag = single(&parts.headers, &header::IF_MATCH)?;
        let if_none_match = single(&parts.headers, &header::IF_NONE_MATCH)?;
        match (if_match_tag, if_none_match) {
            (None, None) => Err(ApiError::PreconditionRequired(
                ", or `If-None-Match: *` to create it",
            )),
            (Some(tag), None) => if_match(tag).map(Self::Match),
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

/// Whether a reader who sent `If-None-Match` has what bears this tag already.
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.as_bytes();
    let sent = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = sent.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // Weak comparison (RFC 9110, 13.1.2).
    tags.any(|sent| {
        let sent = sent.trim_ascii();
        sent == b"*" || sent.strip_prefix(b"W/").unwrap_or(sent) == tag
    })
}

fn if_match(tag: &str) -> Result<Match, ApiError> {
    if tag == "*" {
        return Ok(Match::Present);
    }
    let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    number
        .and_then(|number| {
            let revision: u64 = number.parse().ok()?;
            // Tags are compared whole: "03" is another than "3".
            (revision.to_string() == number).then_some(revision)
        })
        .map(|revision| Match::Revision(Revision(revision)))
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
