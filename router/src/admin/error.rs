//! What a refused admin request is told: one problem document (RFC 9457) for every refusal.
//!
//! The only place here that maps causes to statuses.

use std::{error::Error as _, sync::Arc};

use axum::{
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tenant_store::{
    cache::LookupError,
    document,
    model::{ApiKeyId, Signal, TenantId, Tier},
    repository::RepositoryError,
};
use thiserror::Error;
use utoipa::ToSchema;

use crate::{config::Role, control::ReloadError, jwt::TokenFault};

/// The media type of a problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was refused (RFC 9457). Nothing has changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What kind of problem this is, for programs: `/problems/precondition-failed` and its kin.
    #[serde(rename = "type")]
    #[schema(example = "/problems/malformed", format = "uri-reference")]
    kind: String,
    /// The kind in words: the same for every problem of it.
    title: &'static str,
    /// The answer's status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, and what to do about it.
    detail: String,
    /// The request's id, as in `X-Request-Id`, the log and the audit.
    instance: String,
    /// Every fault of the request, where it is at fault.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(value_type = Vec<Fault>)]
    errors: Arc<[Fault]>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Fault {
    /// Where it stands: a path into the body, the name of an argument or of a header; empty for
    /// the whole body.
    pub(super) field: String,
    /// The line of the body or file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) line: Option<u32>,
    /// What stands there, if it can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) value: Option<String>,
    /// What is wrong with it, and what was expected.
    pub(super) message: String,
}

impl Fault {
    /// A fault of a field whose value can be shown.
    pub(super) fn new(
        field: impl Into<String>,
        value: Option<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            line: None,
            value,
            message: message.into(),
        }
    }
}

impl From<document::Fault> for Fault {
    fn from(fault: document::Fault) -> Self {
        let document::Fault {
            path,
            value,
            message,
            line,
            ..
        } = fault;
        Self {
            field: path,
            line,
            value,
            message,
        }
    }
}

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

/// What kind of refusal an error is.
struct Nature {
    status: StatusCode,
    /// The end of the problem's type: what programs branch on.
    kind: &'static str,
    title: &'static str,
}

const fn nature(status: StatusCode, kind: &'static str, title: &'static str) -> Nature {
    Nature {
        status,
        kind,
        title,
    }
}

const UNAUTHENTICATED: Nature = nature(
    StatusCode::UNAUTHORIZED,
    "unauthenticated",
    "not authenticated",
);

const FORBIDDEN: Nature = nature(StatusCode::FORBIDDEN, "forbidden", "not allowed");

const KEY_REUSED: Nature = nature(
    StatusCode::UNPROCESSABLE_ENTITY,
    "idempotency-key-reused",
    "idempotency key used for another request",
);

const KEY_IN_FLIGHT: Nature = nature(
    StatusCode::CONFLICT,
    "idempotency-key-in-flight",
    "request in flight",
);

const READ_ONLY: Nature = nature(StatusCode::FORBIDDEN, "read-only", "the store is read-only");

const PRECONDITION_FAILED: Nature = nature(
    StatusCode::PRECONDITION_FAILED,
    "precondition-failed",
    "not as the condition says",
);

const LAST_ENDPOINT: Nature = nature(
    StatusCode::CONFLICT,
    "last-endpoint",
    "no endpoint would be left",
);

impl ApiError {
    /// One fault is a whole answer.
    pub(super) fn fault(
        field: impl Into<String>,
        value: Option<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Malformed(vec![Fault::new(field, value, message)])
    }

    fn nature(&self) -> Nature {
        use StatusCode as S;
        match self {
            Self::Unauthenticated | Self::TokenRefused(_) => UNAUTHENTICATED,
            Self::NoToken
            | Self::NoGenerator
            | Self::NotTheGenerator
            | Self::NamelessToken { .. }
            | Self::NoRole { .. }
            | Self::Forbidden { .. } => FORBIDDEN,
            Self::TooManyAttempts { .. } => nature(
                S::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "too many failed attempts",
            ),
            Self::NoSuchPath(_)
            | Self::UnknownTenant(_)
            | Self::UnknownTier(_)
            | Self::UnknownKey { .. }
            | Self::UnknownRecord(_)
            | Self::Deleted(_) => nature(S::NOT_FOUND, "not-found", "not found"),
            Self::MethodNotAllowed { .. } => nature(
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "method not allowed",
            ),
            Self::Exists(_) => nature(S::CONFLICT, "conflict", "there already"),
            Self::InUse(_) | Self::NoKeySecret => {
                nature(S::CONFLICT, "conflict", "not as things are")
            }
            Self::LastEndpoint { .. } => LAST_ENDPOINT,
            Self::ReadOnly(_) => READ_ONLY,
            Self::PreconditionFailed(_) => PRECONDITION_FAILED,
            Self::PreconditionRequired(_) => nature(
                S::PRECONDITION_REQUIRED,
                "precondition-required",
                "a condition is required",
            ),
            Self::Malformed(_) | Self::ReloadRefused(_) | Self::BodyUnreadable => {
                nature(S::BAD_REQUEST, "malformed", "malformed request")
            }
            Self::TooLarge { .. } => nature(S::PAYLOAD_TOO_LARGE, "too-large", "body too large"),
            Self::UnsupportedMediaType { .. } => nature(
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "unsupported media type",
            ),
            Self::Unprocessable(_) => nature(
                S::UNPROCESSABLE_ENTITY,
                "unprocessable",
                "not as things are",
            ),
            Self::KeyReused(_) => KEY_REUSED,
            Self::KeyInFlight(_) => KEY_IN_FLIGHT,
            Self::Unavailable(_)
            | Self::LookupFailed(_)
            | Self::TooSlow(_)
            | Self::Busy(_)
            | Self::NoIssuerKeys
            | Self::KeysExhausted => nature(
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "unavailable right now",
            ),
            Self::Corrupt(_) | Self::Broken(_) => {
                nature(S::INTERNAL_SERVER_ERROR, "internal", "internal error")
            }
        }
    }

    fn into_faults(self) -> Vec<Fault> {
        match self {
            Self::Malformed(faults) | Self::Unprocessable(faults) => faults,
            Self::ReloadRefused(ReloadError::Faulty(faults)) => {
                faults.into_iter().map(Fault::from).collect()
            }
            Self::UnsupportedMediaType { expected, sent } => vec![Fault::new(
                "Content-Type",
                Some(sent),
                format!("expected {expected}"),
            )],
            _ => Vec::new(),
        }
    }

    /// Whether somebody has tried to show who they are, and is nobody.
    pub(super) fn is_failure_to_authenticate(&self) -> bool {
        self.challenge().is_some()
    }

    /// How to authenticate (RFC 6750 section 3), where that is what was missing.
    fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated => Some(r#"Bearer realm="mirador admin""#),
            Self::TokenRefused(_) => Some(r#"Bearer realm="mirador admin", error="invalid_token""#),
            _ => None,
        }
    }

    /// What only the log may tell.
    fn cause(&self) -> Option<String> {
        match self {
            Self::Broken(what) => Some((*what).into()),
            _ => self.source().map(ToString::to_string),
        }
    }

    /// Seconds to wait before trying again, where that may help.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { seconds, .. } => Some(*seconds),
            Self::KeyInFlight(_) => Some(1),
            _ if self.nature().status == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
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

/// What an [`ApiError`] leaves on its response for [`complete`], which knows the request's id.
#[derive(Clone)]
struct Refusal {
    kind: &'static str,
    title: &'static str,
    detail: String,
    errors: Arc<[Fault]>,
    cause: Option<String>,
}

impl Refusal {
    fn log(&self, request_id: &str) {
        if let Some(cause) = &self.cause {
            tracing::warn!(
                request_id,
                error = cause.as_str(),
                "an admin request failed"
            );
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Nature {
            status,
            kind,
            title,
        } = self.nature();
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge() {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        let refusal = Refusal {
            kind,
            title,
            detail: self.to_string(),
            cause: self.cause(),
            errors: self.into_faults().into(),
        };
        response.extensions_mut().insert(refusal);
        response
    }
}

/// Takes a refusal from its answer, for whoever tells it otherwise than as a problem document, with
/// its title and its detail. Its cause goes to the log.
pub(super) fn take_refusal(
    response: &mut Response,
    request_id: &str,
) -> Option<(&'static str, String)> {
    let refusal = response.extensions_mut().remove::<Refusal>()?;
    refusal.log(request_id);
    Some((refusal.title, refusal.detail))
}

/// Writes the problem document of a refusal, and its cause to the log. Other responses pass as they
/// are.
pub(super) fn complete(mut response: Response, request_id: &str) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    refusal.log(request_id);
    let status = response.status();
    let problem = Problem {
        kind: format!("/problems/{}", refusal.kind),
        title: refusal.title,
        status: status.as_u16(),
        detail: refusal.detail,
        instance: request_id.into(),
        errors: refusal.errors,
    };
    // Texts and numbers are JSON whatever they are.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let kept = std::mem::take(response.headers_mut());
    let mut told = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
    for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = kept.get(&name) {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
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
