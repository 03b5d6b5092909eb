//! What a refused admin request is told: one problem document (RFC 9457) for every refusal.

mod nature;
mod problem;

use std::sync::Arc;

use axum::http::{Method, Uri};
use tenant_store::{
    cache::LookupError,
    model::{ApiKeyId, Signal, TenantId, Tier},
    repository::RepositoryError,
};
use thiserror::Error;

pub(super) use self::problem::{Fault, PROBLEM_JSON, Problem, complete, take_refusal};
use crate::{config::Role, control::ReloadError, jwt::TokenFault};

/// Why an admin request is not carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum ApiError {
    #[error(
        "this needs an operator's token, sent as `Authorization: Bearer <token>`, or a client \
         certificate that belongs to one"
    )]
    Unauthenticated,
    #[error("the token is not believed: {0}")]
    TokenRefused(TokenFault),
    #[error("there are no keys of the token's issuer's to verify it by yet; try again")]
    NoIssuerKeys,
    #[error(
        "the token names no operator: in the claim {claim} it needs a name of 1 to 128 bytes \
         without spaces"
    )]
    NamelessToken { claim: String },
    #[error(
        "{operator} has no role here: nothing in the token's claim {claim} stands in the \
         issuer's `roles` in `admin.jwt`"
    )]
    NoRole { operator: Arc<str>, claim: String },
    #[error(
        "no admin token is configured, so nobody may do this: write one to a file, name that \
         file in `admin.token_file`, or list `admin.operators`, and reload"
    )]
    NoToken,
    #[error(
        "no token for Argo CD's generator is configured: name a file with one in \
         `admin.argocd.token_file`, and reload"
    )]
    NoGenerator,
    #[error("this is not the token of Argo CD's generator, as `admin.argocd.token_file` has it")]
    NotTheGenerator,
    #[error("{operator} is {held}, and this needs {needed}")]
    Forbidden {
        operator: Arc<str>,
        held: Role,
        needed: Role,
    },
    #[error("too many failed attempts from {address}; try again in {seconds} s")]
    TooManyAttempts {
        address: std::net::IpAddr,
        seconds: u64,
    },
    #[error("there is nothing at {0}")]
    NoSuchPath(String),
    #[error("{path} does not take {method}; the Allow header names what it takes")]
    MethodNotAllowed { method: Method, path: String },
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    #[error(
        "tenant {0} was deleted; `restore` brings it back, a PUT with `If-None-Match: *` makes another"
    )]
    Deleted(TenantId),
    #[error("there is no tier {0}")]
    UnknownTier(Tier),
    #[error("tenant {tenant} has no API key {key}")]
    UnknownKey { tenant: TenantId, key: ApiKeyId },
    #[error("{0}")]
    UnknownRecord(RepositoryError),
    #[error("{0}")]
    ReadOnly(RepositoryError),
    #[error("{0}")]
    InUse(String),
    #[error(
        "{signal} of tenant {tenant} would be served by nothing without {endpoint}: {others}; send \
         `force: true` to drain it all the same"
    )]
    LastEndpoint {
        tenant: TenantId,
        signal: Signal,
        endpoint: String,
        others: String,
    },
    #[error(
        "this router has no secret for API keys: name a file with one in `keys.secret_file`, the \
         same on every router, and reload"
    )]
    NoKeySecret,
    #[error("tenant {0} exists already; PUT changes it")]
    Exists(TenantId),
    #[error("{0}")]
    PreconditionFailed(String),
    #[error(
        "a change says what it is a change of: send the ETag that reading it answered as \
         `If-Match`, or `If-Match: *` for whatever it is now{0}"
    )]
    PreconditionRequired(&'static str),
    #[error("the request is at fault in {} place{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Malformed(Vec<Fault>),
    #[error(
        "what this would make is at fault in {} place{}", .0.len(), if .0.len() == 1 { "" } else { "s" }
    )]
    Unprocessable(Vec<Fault>),
    #[error("the new configuration is not taken, the one before stays in force: {0}")]
    ReloadRefused(ReloadError),
    #[error("the body could not be read")]
    BodyUnreadable,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("expected a body of {expected}, not of {sent}")]
    UnsupportedMediaType {
        expected: &'static str,
        sent: String,
    },
    #[error("the Idempotency-Key {0:?} was used for another request; make a new one for this")]
    KeyReused(String),
    #[error("a request with the Idempotency-Key {0:?} is being worked on; ask again in a moment")]
    KeyInFlight(String),
    #[error("as many requests with an Idempotency-Key are being worked on as there may be")]
    KeysExhausted,
    #[error("{0}")]
    Busy(&'static str),
    #[error("the tenant store does not answer right now; try again")]
    Unavailable(#[source] RepositoryError),
    #[error("the tenant can't be looked up right now; try again")]
    LookupFailed(#[from] LookupError),
    #[error("this took longer than {0} seconds; whether it was done is seen by reading it again")]
    TooSlow(u64),
    #[error("what the store holds can't be read; the router's log tells why")]
    Corrupt(#[source] RepositoryError),
    #[error("this failed within the router; its log tells why")]
    Broken(&'static str),
}

impl ApiError {
    /// One fault is a whole answer.
    pub(super) fn fault(
        field: impl Into<String>,
        value: Option<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Malformed(vec![Fault::new(field, value, message)])
    }

    /// Whether somebody has tried to show who they are, and is nobody.
    pub(super) fn is_failure_to_authenticate(&self) -> bool {
        self.challenge().is_some()
    }
}

/// A write that finds the tenant in another state than expected fails its precondition; a handler
/// that promised something else maps that case itself.
impl From<RepositoryError> for ApiError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Conflict { .. } => Self::PreconditionFailed(error.to_string()),
            RepositoryError::Missing(ref key) => match key.as_tenant() {
                Some(id) => Self::UnknownTenant(id),
                None => Self::UnknownRecord(error),
            },
            RepositoryError::ReadOnly { .. } => Self::ReadOnly(error),
            RepositoryError::NotDeleted { .. } => Self::InUse(error.to_string()),
            RepositoryError::Corrupt { .. } => Self::Corrupt(error),
            // `Unavailable`, and what stores may come to say: that trying again may help is the
            // safe thing to tell.
            _ => Self::Unavailable(error),
        }
    }
}

/// Answers every path that is not here.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::NoSuchPath(uri.path().into())
}

/// Answers a method a path does not take.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::MethodNotAllowed {
        method,
        path: uri.path().into(),
    }
}
