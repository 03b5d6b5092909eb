//! The door of the guarded paths: one bearer token, compared in constant time.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq;

use super::error::ApiError;
use crate::control::Control;

/// Lets a request through that brings the admin token in force.
pub(super) async fn require_token(
    State(control): State<Arc<Control>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let token = control.admin_token().ok_or(ApiError::NoToken)?;
    let sent = bearer(request.headers()).ok_or(ApiError::Unauthenticated)?;
    if bool::from(sent.as_bytes().ct_eq(token.expose().as_bytes())) {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::Unauthenticated)
    }
}

/// The token of the one `Authorization` header; the scheme's case does not matter (RFC 9110).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
