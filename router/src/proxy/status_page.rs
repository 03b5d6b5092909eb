//! The health page on the public listener, if it is switched on: one page, and what it is made of.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{context::ProxyContext, relay::ResponseBody};
use crate::{
    pages::{assets, policy},
    public_page::PATH,
};

/// Answers a request for the page; `None` if it is for something else. `/health` is the page for
/// browsers only: load balancers ask there whether the router lives.
pub(super) async fn answer(context: &ProxyContext, head: &Parts) -> Option<Response<ResponseBody>> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return None;
    }
    let mut response = match head.uri.path() {
        "/health" if wants_page(&head.headers) => redirect(),
        PATH => page(context.public_page()?.get().await),
        path => asset(path.strip_prefix(assets::PREFIX)?),
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

fn page(html: Option<Bytes>) -> Response<Bytes> {
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
