//! The body of a write: one tenant document, JSON or YAML, with every fault named at once.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse as _,
};
use tenant_store::{document, model::Tenant};

use super::error::{ApiError, Fault};

/// Longest body read, in bytes. A tenant of a hundred endpoints has a tenth of it.
pub(super) const LIMIT: usize = 1 << 20;

/// A well-formed tenant from a request's body.
pub(super) struct TenantBody(pub(super) Tenant);

impl<S: Send + Sync> FromRequest<S> for TenantBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        expect_document(request.headers())?;
        let body =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.into_response().status() {
                    StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge { limit: LIMIT },
                    _ => ApiError::BodyUnreadable,
                })?;
        let text = std::str::from_utf8(&body).map_err(|error| {
            ApiError::fault("", None, format!("the body is not UTF-8: {error}"))
        })?;
        // JSON is YAML, so one reader serves both.
        document::tenant(text)
            .map(Self)
            .map_err(|faults| ApiError::Malformed(faults.into_iter().map(Fault::from).collect()))
    }
}

fn expect_document(headers: &HeaderMap) -> Result<(), ApiError> {
    let sent = headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or("that"));
    let essence = sent.map(|sent| sent.split(';').next().unwrap_or_default().trim());
    match essence.map(str::to_ascii_lowercase).as_deref() {
        Some(
            "application/json" | "application/yaml" | "application/x-yaml" | "text/yaml"
            | "text/x-yaml",
        ) => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType(
            sent.unwrap_or("nothing named").into(),
        )),
    }
}
