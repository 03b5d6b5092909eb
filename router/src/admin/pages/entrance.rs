//! Logging in and out: by a form, as browsers have nothing better to show a token with.

use std::time::Instant;

use axum::{
    Form,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{START, to_html};
use crate::{
    admin::{
        auth::{self, Door},
        error::ApiError,
        listener::Peer,
        session::SessionId,
    },
    pages::entrance,
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the way in is asked for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    then: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Filled {
    token: String,
    #[serde(default)]
    then: String,
}

/// The form.
pub(super) async fn form(Query(wanted): Query<Wanted>) -> Response {
    to_html(&entrance::login(own_page(&wanted.then), None)).into_response()
}

/// Begins a session of whoever shows a token.
pub(super) async fn log_in(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Form(filled): Form<Filled>,
) -> Result<Response, ApiError> {
    let (then, token) = (own_page(&filled.then), filled.token.trim());
    let again = |status: StatusCode, why: &str| {
        let page = entrance::login(then, Some(why));
        Ok((status, to_html(&page)).into_response())
    };
    if is_from_elsewhere(&headers) {
        let why = "This form was sent by a page of somebody else's. Try it from here.";
        return again(StatusCode::FORBIDDEN, why);
    }
    let address = Some(peer.address.ip());
    let settings = door.control.settings();
    if settings.operators.is_empty() {
        return Err(ApiError::NoToken);
    }
    if let Err(error) = door.admit(address) {
        return again(StatusCode::TOO_MANY_REQUESTS, &error.to_string());
    }
    match auth::by_token(&door.control, &settings.operators, token).await {
        Ok(_) => {}
        Err(ApiError::Unauthenticated) => {
            door.failed(address, Instant::now());
            return again(StatusCode::FORBIDDEN, "This is no operator's token.");
        }
        Err(error) => {
            if error.is_failure_to_authenticate() {
                door.failed(address, Instant::now());
            }
            return again(StatusCode::FORBIDDEN, &error.to_string());
        }
    }
    let session = door.sessions.begin(token, Instant::now());
    let cookie = session
        .to_cookie(peer.is_encrypted)
        .ok_or(ApiError::Broken("a session's id is no header"))?;
    let mut response = Redirect::to(then).into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Ends the session.
pub(super) async fn log_out(State(door): State<Door>, headers: HeaderMap) -> Response {
    if is_from_elsewhere(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    door.sessions.end(&headers);
    let mut response = Redirect::to("/health/login").into_response();
    let forgotten: HeaderValue = SessionId::forgotten();
    response.headers_mut().insert(header::SET_COOKIE, forgotten);
    response
}

/// Whether a page of another site has the browser send this. Browsers too old to say so, and
/// addresses without TLS, where none does, pass: then the cookie's own rule is what holds.
pub(in crate::admin) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let sites = headers.get_all(FETCH_SITE).iter();
    let mut others = sites.filter(|site| *site != "same-origin" && *site != "none");
    others.next().is_some()
}

/// Where to go after the form: a page of ours, whatever was asked for.
fn own_page(then: &str) -> &str {
    let is_ours = then.starts_with("/health/")
        && !then.starts_with("/health/log")
        && then.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_ours { then } else { START }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for ours in [
            "/health/tenants",
            "/health/tenants/acme?x=1",
            "/health/router",
        ] {
            assert_eq!(own_page(ours), ours);
        }
        for other in [
            "",
            "/",
            "//evil.example/health/",
            "https://evil.example/",
            "/health/\\evil",
            "/health/a\r\nSet-Cookie: x",
            "/health/logout",
            "/health/login?then=/",
        ] {
            assert_eq!(own_page(other), START, "{other:?}");
        }
    }
}
