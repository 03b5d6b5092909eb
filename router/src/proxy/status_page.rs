//! The health page on the public listener, if it is switched on: one page, and what it is made of.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{context::ProxyContext, relay::ResponseBody};
use crate::{
    gzip,
    pages::{assets, policy},
    public_page::{PATH, Page},
};

/// Answers a request for the page; `None` if it is for something else. `/health` is the page for
/// browsers only: load balancers ask there whether the router lives.
pub(super) async fn answer(context: &ProxyContext, head: &Parts) -> Option<Response<ResponseBody>> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return None;
    }
    let as_gzip = gzip::is_accepted(&head.headers);
    let mut response = match head.uri.path() {
        "/health" if wants_page(&head.headers) => redirect(),
        PATH => page(context.public_page()?.get().await, as_gzip),
        path => asset(path.strip_prefix(assets::PREFIX)?, as_gzip),
    };
    policy::apply(response.headers_mut());
    Some(response.map(ResponseBody::Own))
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/html"))
}

fn redirect() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static(PATH));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn page(page: Option<Page>, as_gzip: bool) -> Response<Bytes> {
    let Some(Page { html, gzip }) = page else {
        let mut response = Response::new(Bytes::from_static(b"the page is not ready\n"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    let coded = gzip.filter(|_| as_gzip);
    of_type(html, coded, "text/html; charset=utf-8", "no-store")
}

fn asset(rest: &str, as_gzip: bool) -> Response<Bytes> {
    let Some((asset, is_current)) = assets::find(rest) else {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let kept = assets::cache_control(is_current);
    let coded = as_gzip.then(|| asset.gzip()).flatten();
    let body = Bytes::from_static(asset.body);
    of_type(body, coded, asset.media_type, kept)
}

/// `coded` is sent in its place, if there is any.
fn of_type(
    body: Bytes,
    coded: Option<Bytes>,
    media_type: &'static str,
    kept: &'static str,
) -> Response<Bytes> {
    let is_coded = coded.is_some();
    let mut response = Response::new(coded.unwrap_or(body));
    gzip::say_it_varies(response.headers_mut());
    if is_coded {
        gzip::say_it_is_coded(response.headers_mut());
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}
