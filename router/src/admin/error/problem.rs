//! How a refusal is written: as a problem document (RFC 9457), once the request's id is known.

use std::{error::Error as _, sync::Arc};

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tenant_store::document;
use utoipa::ToSchema;

use super::{ApiError, nature::Nature};
use crate::control::ReloadError;

/// The media type of a problem document.
pub(in crate::admin) const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was refused (RFC 9457). Nothing has changed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Problem {
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
pub(in crate::admin) struct Fault {
    /// Where it stands: a path into the body, the name of an argument or of a header; empty for
    /// the whole body.
    pub(in crate::admin) field: String,
    /// The line of the body or file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::admin) line: Option<u32>,
    /// What stands there, if it can be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::admin) value: Option<String>,
    /// What is wrong with it, and what was expected.
    pub(in crate::admin) message: String,
}

impl Fault {
    /// A fault of a field whose value can be shown.
    pub(in crate::admin) fn new(
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

impl ApiError {
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

    /// What only the log may tell.
    fn cause(&self) -> Option<String> {
        match self {
            Self::Broken(what) => Some((*what).into()),
            _ => self.source().map(ToString::to_string),
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
pub(in crate::admin) fn take_refusal(
    response: &mut Response,
    request_id: &str,
) -> Option<(&'static str, String)> {
    let refusal = response.extensions_mut().remove::<Refusal>()?;
    refusal.log(request_id);
    Some((refusal.title, refusal.detail))
}

/// Writes the problem document of a refusal, and its cause to the log. Other responses pass as they
/// are.
pub(in crate::admin) fn complete(mut response: Response, request_id: &str) -> Response {
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
