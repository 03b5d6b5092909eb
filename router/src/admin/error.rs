//! What a refused admin request is told: the only place here that maps causes to statuses.

use std::{error::Error as _, sync::Arc};

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tenant_store::{cache::LookupError, document, model::TenantId, repository::RepositoryError};
use thiserror::Error;

use crate::control::ReloadError;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// Where it stands: a path into the body, the name of an argument or of a header.
    pub(super) field: String,
    /// The line of the body or file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u32>,
    /// What stands there, if it can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    /// What is wrong with it, and what was expected.
    pub(super) message: String,
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
    #[error("this needs the admin token: send it as `Authorization: Bearer <token>`")]
    Unauthenticated,
    #[error(
        "no admin token is configured, so nobody may do this: write one to a file, name that \
         file in `admin.token_file` and reload"
    )]
    NoToken,
    #[error("there is nothing at {0}")]
    NoSuchPath(String),
    #[error("{path} does not take {method}; the Allow header names what it takes")]
    MethodNotAllowed { method: Method, path: String },
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    #[error("{0}")]
    UnknownRecord(RepositoryError),
    #[error("{0}")]
    ReadOnly(RepositoryError),
    #[error("{0}")]
    NotDeleted(RepositoryError),
    #[error("tenant {0} was deleted; PUT it to have it again")]
    Deleted(TenantId),
    #[error("tenant {0} exists already; PUT changes it")]
    Exists(TenantId),
    #[error("{0}")]
    PreconditionFailed(String),
    #[error("the request is at fault in {} place{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Malformed(Vec<Fault>),
    #[error("the new configuration is not taken, the one before stays in force: {0}")]
    ReloadRefused(ReloadError),
    #[error("the body could not be read")]
    BodyUnreadable,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("a tenant is sent as application/json or application/yaml, not as {0}")]
    UnsupportedMediaType(String),
    #[error("the tenant store does not answer right now; try again")]
    Unavailable(#[source] RepositoryError),
    #[error("the tenant can't be looked up right now; try again")]
    LookupFailed(#[from] LookupError),
    #[error("this took longer than {0} seconds; whether it was done is seen by reading it again")]
    TooSlow(u64),
    #[error("what the store holds can't be read; the router's log tells why")]
    Corrupt(#[source] RepositoryError),
}

impl ApiError {
    /// One fault is a whole answer.
    pub(super) fn fault(
        field: impl Into<String>,
        value: Option<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Malformed(vec![Fault {
            field: field.into(),
            line: None,
            value,
            message: message.into(),
        }])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::NoToken => StatusCode::FORBIDDEN,
            Self::NoSuchPath(_)
            | Self::UnknownTenant(_)
            | Self::UnknownRecord(_)
            | Self::Deleted(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Exists(_) | Self::ReadOnly(_) | Self::NotDeleted(_) => StatusCode::CONFLICT,
            Self::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Self::Malformed(_) | Self::ReloadRefused(_) | Self::BodyUnreadable => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable(_) | Self::LookupFailed(_) | Self::TooSlow(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Corrupt(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `errorType` programs branch on.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthorized",
            Self::NoToken => "forbidden",
            Self::NoSuchPath(_)
            | Self::UnknownTenant(_)
            | Self::UnknownRecord(_)
            | Self::Deleted(_) => "not_found",
            Self::ReadOnly(_) => "read_only",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Exists(_) | Self::NotDeleted(_) => "conflict",
            Self::PreconditionFailed(_) => "precondition_failed",
            Self::Malformed(_) | Self::ReloadRefused(_) | Self::BodyUnreadable => "bad_data",
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedMediaType(_) => "unsupported_media_type",
            Self::Unavailable(_) | Self::LookupFailed(_) | Self::TooSlow(_) => "unavailable",
            Self::Corrupt(_) => "internal",
        }
    }

    fn into_faults(self) -> Vec<Fault> {
        match self {
            Self::Malformed(faults) => faults,
            Self::ReloadRefused(ReloadError::Faulty(faults)) => {
                faults.into_iter().map(Fault::from).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What only the log may tell.
    fn cause(&self) -> Option<String> {
        self.source().map(ToString::to_string)
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
            RepositoryError::NotDeleted { .. } => Self::NotDeleted(error),
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
    message: String,
    faults: Arc<[Fault]>,
    cause: Option<String>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        if let Self::Unauthenticated = self {
            let challenge = HeaderValue::from_static("Bearer realm=\"mirador admin\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let refusal = Refusal {
            kind: self.kind(),
            message: self.to_string(),
            cause: self.cause(),
            faults: self.into_faults().into(),
        };
        response.extensions_mut().insert(refusal);
        response
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    status: &'static str,
    error_type: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    faults: &'a [Fault],
    request_id: &'a str,
}

/// Writes the body of a refusal, and its cause to the log. Other responses pass as they are.
pub(super) fn complete(mut response: Response, request_id: &str) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else {
        return response;
    };
    if let Some(cause) = &refusal.cause {
        tracing::warn!(
            request_id,
            error = cause.as_str(),
            "an admin request failed"
        );
    }
    let body = Json(ErrorBody {
        status: "error",
        error_type: refusal.kind,
        error: &refusal.message,
        faults: &refusal.faults,
        request_id,
    });
    let status = response.status();
    let kept = std::mem::take(response.headers_mut());
    let mut told = (status, body).into_response();
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
