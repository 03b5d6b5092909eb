//! The health page on the public listener, if it is switched on: one page, and what it is made of.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{context::ProxyContext, relay::ResponseBody};
use crate::{
    pages::{assets, policy},
    public_page::{PATH, PublicPage},
};

/// Answers a request for the page or what it is made of.
pub(super) async fn answer(context: &ProxyContext, head: &Parts) -> Response<ResponseBody> {
    let mut response = match head.uri.path().strip_prefix(assets::PREFIX) {
        _ if !is_read(&head.method) => not_allowed(),
        Some(rest) => asset(rest),
        None => page(context.public_page()).await,
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

async fn page(page: Option<&PublicPage>) -> Response<Bytes> {
    let html = match page {
        Some(page) => page.get().await,
        None => None,
    };
    let Some(html) = html else {
        let mut response = Response::new(Bytes::from_static(b"the page is not ready\n"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    };
    of_type(html, "text/html; charset=utf-8", "no-store")
}

fn asset(rest: &str) -> Response<Bytes> {
    let Some((asset, is_current)) = assets::find(rest) else {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let kept = assets::cache_control(is_current);
    of_type(Bytes::from_static(asset.body), asset.media_type, kept)
}

fn of_type(body: Bytes, media_type: &'static str, kept: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}
