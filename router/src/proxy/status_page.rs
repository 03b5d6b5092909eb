//! The health page on the public listener, if it is switched on: one page, and what it is made of.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{context::ProxyContext, relay::ResponseBody};
use crate::{
    gzip,
    pages::{assets, policy},
    public_page::{PATH, Page, PublicPage},
};

/// Answers a request for the page or what it is made of.
pub(super) async fn answer(context: &ProxyContext, head: &Parts) -> Response<ResponseBody> {
    let as_gzip = gzip::is_accepted(&head.headers);
    let mut response = match head.uri.path().strip_prefix(assets::PREFIX) {
        _ if !is_read(&head.method) => not_allowed(),
        Some(rest) => asset(rest, as_gzip),
        None => page(latest(context.public_page()).await, as_gzip),
    };
    policy::apply(response.headers_mut());
    response.map(ResponseBody::Own)
}

/// Leads a browser that asks for `/health` to the page; `None` if it is no browser. Load balancers
/// ask there whether the router lives.
pub(super) fn redirect(head: &Parts) -> Option<Response<Bytes>> {
    if head.uri.path() != "/health" || !is_read(&head.method) || !wants_page(&head.headers) {
        return None;
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static(PATH));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    policy::apply(headers);
    Some(response)
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/html"))
}

fn not_allowed() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

async fn latest(page: Option<&PublicPage>) -> Option<Page> {
    page?.get().await
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
