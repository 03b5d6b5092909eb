//! Pages and JSON in fewer bytes, for clients that can read them.
//!
//! Who sees how long a coded answer is, and can have a browser ask for texts of their choice, learns
//! what else is in it, letter by letter (BREACH). There is nothing to be learnt here: no token of a
//! form, no cookie and no secret is in an answer to a `GET`. Answers that may have one, as those
//! that make keys, are to a `POST`, which a cookie does not suffice for. And what another site's
//! page has a browser ask for is not coded at all.

use axum::{
    body::{self, Body},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::task::spawn_blocking;

use super::pages;
use crate::gzip;

/// Larger ones are coded on a thread that may be blocked, in bytes: some 5 ms.
const LARGE: u64 = 256 * 1024;

/// What is coded: what is read by people and programs, is text, and is whole when it is sent. So
/// neither events, which have no end, nor metrics, which are scraped by neighbours and often.
const MEDIA_TYPES: [&str; 6] = [
    "text/html",
    "text/css",
    "text/javascript",
    "image/svg+xml",
    "application/json",
    "application/yaml",
];

/// Codes answers that are worth it. Their `ETag` stays: it names the same state, by which changes
/// are made, however it was sent.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let is_read = *request.method() == Method::GET;
    let is_wanted = is_read
        && gzip::is_accepted(request.headers())
        && !pages::is_from_elsewhere(request.headers());
    let mut response = next.run(request).await;
    let Some(size) = size(&response).filter(|_| is_read) else {
        return response;
    };
    gzip::say_it_varies(response.headers_mut());
    if !is_wanted || size < gzip::WORTH_IT {
        return response;
    }
    let (mut parts, whole) = response.into_parts();
    let Ok(whole) = body::to_bytes(whole, usize::MAX).await else {
        // Not what is in memory as a whole.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let coded = if size < LARGE {
        gzip::smaller(&whole)
    } else {
        let whole = whole.clone();
        spawn_blocking(move || gzip::smaller(&whole))
            .await
            .ok()
            .flatten()
    };
    let Some(coded) = coded else {
        return Response::from_parts(parts, Body::from(whole));
    };
    gzip::say_it_is_coded(&mut parts.headers);
    Response::from_parts(parts, Body::from(coded))
}

/// How long an answer is that may be coded.
fn size(response: &Response) -> Option<u64> {
    use body::HttpBody as _;

    let is_text = media_type(response.headers()).is_some_and(|it| MEDIA_TYPES.contains(&it));
    let may_be = response.status() == StatusCode::OK
        && is_text
        && !response.headers().contains_key(header::CONTENT_ENCODING);
    response.body().size_hint().exact().filter(|_| may_be)
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}
