//! The health pages on the admin listener: which there are, who may see them, how one logs in.
//!
//! What is on them is written in [`crate::pages`]. They change nothing: drains, maintenance and the
//! rest go by the API and the command line, where they leave a name in the audit.

mod entrance;
mod overview;
mod router;
mod tenant;

pub(super) use self::entrance::is_from_elsewhere;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, Request},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::Markup;
use url::form_urlencoded;

use super::{
    auth::{self, Caller, Door},
    caller, error,
};
use crate::pages::{self, assets, layout::Viewer, policy};

/// Where the pages begin.
pub(super) const START: &str = "/health/tenants";

/// Largest form there is, in bytes: a token and where to go.
const FORM_LIMIT: usize = 16 * 1024;

/// All pages, the way in and out, and what they are made of.
pub(super) fn routes(door: Door) -> Router {
    let guarded = Router::new()
        .route(START, get(overview::page))
        .route("/health/tenants/{id}", get(tenant::page))
        .route("/health/router", get(router::page))
        .route_layer(middleware::from_fn_with_state(
            door.clone(),
            auth::authenticate_browser,
        ));
    let entrance = Router::new()
        .route("/health/login", get(entrance::form).post(entrance::log_in))
        .route("/health/logout", post(entrance::log_out))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .with_state(door.clone());
    guarded
        .with_state(door.control)
        .merge(entrance)
        .route("/", get(async || Redirect::to(START)))
        .layer(middleware::from_fn(as_page))
        .route("/health/assets/{*rest}", get(asset))
}

/// Whether whoever asks wants a page: a browser says so, a probe does not.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/html"))
}

/// Who is looking, as pages show it.
fn viewer<'a>(caller: &'a Caller, headers: &HeaderMap) -> Viewer<'a> {
    Viewer::Operator {
        name: &caller.name,
        role: caller.role.as_str(),
        by_session: headers.contains_key(header::COOKIE)
            && !headers.contains_key(header::AUTHORIZATION),
    }
}

/// Gives all pages their policy, and tells refusals as a page or by the way in.
async fn as_page(request: Request, next: Next) -> Response {
    let id = caller::request_id(&request);
    let wanted = request.uri().clone();
    let mut response = next.run(request).await;
    if let Some((title, detail)) = error::take_refusal(&mut response, &id) {
        if response.status() == StatusCode::UNAUTHORIZED {
            response = Redirect::to(&login_for(&wanted)).into_response();
        } else {
            let status = response.status();
            let page = pages::entrance::problem(title, &detail, &id);
            response = (status, to_html(&page)).into_response();
        }
    }
    policy::apply(response.headers_mut());
    response
}

/// Where to log in, so as to see `wanted`.
fn login_for(wanted: &Uri) -> String {
    let path = wanted.path_and_query().map_or(START, |path| path.as_str());
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("then", path)
        .finish();
    format!("/health/login?{query}")
}

fn to_html(page: &Markup) -> Html<String> {
    Html(page.0.clone())
}

async fn asset(Path(rest): Path<String>) -> Response {
    let Some((asset, is_current)) = assets::find(&rest) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        (header::CACHE_CONTROL, assets::cache_control(is_current)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (headers, asset.body).into_response()
}
