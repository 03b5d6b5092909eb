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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    /// `If-Match: *`: it must be there, at whatever revision.
    Present,
    /// `If-Match: "3"`, or a list of such: it must be at one of these. Tags that are no revision
    /// are of nothing.
    Among(Vec<Revision>),
}

/// The condition of a request that creates, or changes what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// It must be there, as this says.
    Match(Match),
    /// `If-None-Match: *`: it must not be there.
    Absent,
}

impl Condition {
    /// What the repository is told to expect.
    pub(super) async fn resolve(
        &self,
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
        &self,
        repository: &dyn TenantRepository,
        id: &TenantId,
    ) -> Result<Expect, ApiError> {
        if let Self::Among(revisions) = self
            && let [only] = revisions[..]
        {
            return Ok(Expect::Revision(only));
        }
        let found = repository.get(id).await?;
        match found.filter(|record| record.tenant.status != Status::Deleted) {
            Some(record) => {
                self.check(&record)?;
                Ok(Expect::Revision(record.revision))
            }
            None => Err(ApiError::PreconditionFailed(format!(
                "there is no tenant {id}, and If-Match asks for one"
            ))),
        }
    }

    /// Fails unless `record` is as the condition says.
    pub(super) fn check(&self, record: &TenantRecord) -> Result<(), ApiError> {
        self.check_revision(&format!("tenant {}", record.tenant.id), record.revision)
    }

    /// Fails unless `what`, which is at revision `found`, is as the condition says.
    pub(super) fn check_revision(&self, what: &str, found: Revision) -> Result<(), ApiError> {
        match self {
            Self::Among(revisions) if !revisions.contains(&found) => {
                let asked: Vec<_> = revisions.iter().map(ToString::to_string).collect();
                let asked = match asked.len() {
                    0 => "what If-Match names".to_owned(),
                    _ => format!("at revision {}", asked.join(" or ")),
                };
                Err(ApiError::PreconditionFailed(format!(
                    "{what} is at revision {found}, not {asked}; read it again and repeat the \
                     change on that"
                )))
            }
            Self::Present | Self::Among(_) => Ok(()),
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
            (Some(_), Some(_)) => Err(ApiError::PreconditionFailed(
                "If-Match and If-None-Match exclude each other, so no tenant is as both say; send \
                 one of them"
                    .into(),
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

/// Reads `*` or a list of tags. They are compared strongly (RFC 9110, 13.1.1): weak ones match
/// nothing.
fn if_match(value: &str) -> Result<Match, ApiError> {
    if value == "*" {
        return Ok(Match::Present);
    }
    let mut revisions = Vec::new();
    let mut rest = value;
    loop {
        let (weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let Some((tag, after)) = tag.strip_prefix('"').and_then(|tag| tag.split_once('"')) else {
            let message =
                "expected `*` or the ETag that reading the tenant answered, such as \"3\"";
            return Err(ApiError::fault("If-Match", Some(value.into()), message));
        };
        // Tags are compared whole: "03" is another than "3".
        let revision = tag
            .parse()
            .ok()
            .filter(|revision: &u64| !weak && revision.to_string() == tag);
        revisions.extend(revision.map(Revision));
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(Match::Among(revisions));
        }
        rest = rest.strip_prefix(',').unwrap_or("?").trim_start();
    }
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
    // An empty one says nothing.
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_lists_and_compared_whole() {
        let among = |revisions: &[u64]| {
            let revisions = revisions.iter().copied().map(Revision);
            Some(Match::Among(revisions.collect()))
        };
        for (value, read) in [
            ("*", Some(Match::Present)),
            ("\"3\"", among(&[3])),
            ("\"3\", \"4\"", among(&[3, 4])),
            ("\"3\" ,\"x,\"", among(&[3])),
            ("W/\"3\"", among(&[])),
            ("\"03\"", among(&[])),
            ("\"+3\"", among(&[])),
            ("\"\"", among(&[])),
            ("\"99999999999999999999\"", among(&[])),
            ("3", None),
            ("", None),
            ("\"3", None),
            ("\"3\",", None),
            ("\"3\" \"4\"", None),
            ("*, \"3\"", None),
            ("w/\"3\"", None),
        ] {
            assert_eq!(if_match(value).ok(), read, "{value}");
        }
    }
}
