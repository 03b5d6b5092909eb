//! Answers to reads: each has an `ETag`, and is not sent again to whoever has it.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use tenant_store::model::TenantRecord;

use super::{
    error::ApiError,
    precondition::{etag, is_known},
};

/// One record; its tag is its revision, as changes name it.
pub(super) fn record(headers: &HeaderMap, record: &TenantRecord) -> Result<Response, ApiError> {
    tagged_json(headers, etag(record.revision), record)
}

/// Something that has no revision of its own: its tag is made of what it says.
pub(super) fn json(headers: &HeaderMap, body: &impl Serialize) -> Result<Response, ApiError> {
    let body = to_json(body)?;
    let tag = tag_of(&body);
    Ok(tagged(headers, tag, "application/json", body))
}

/// Something with a tag of its own.
pub(super) fn tagged_json(
    headers: &HeaderMap,
    tag: HeaderValue,
    body: &impl Serialize,
) -> Result<Response, ApiError> {
    let body = to_json(body)?;
    Ok(tagged(headers, tag, "application/json", body))
}

/// A text whose tag is made of what it says.
pub(super) fn text(headers: &HeaderMap, media_type: &'static str, body: String) -> Response {
    let body = body.into_bytes();
    tagged(headers, tag_of(&body), media_type, body)
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(|_| ApiError::Broken("an answer can't be written as JSON"))
}

fn tagged(
    headers: &HeaderMap,
    tag: HeaderValue,
    media_type: &'static str,
    body: Vec<u8>,
) -> Response {
    if is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let media_type = HeaderValue::from_static(media_type);
    let headers = [(header::ETAG, tag), (header::CONTENT_TYPE, media_type)];
    (headers, body).into_response()
}

fn tag_of(body: &[u8]) -> HeaderValue {
    use std::fmt::Write as _;

    let mut tag = String::from("\"");
    for byte in &digest(&SHA256, body).as_ref()[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    // Digits in quotes are a header value whatever they are.
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}
