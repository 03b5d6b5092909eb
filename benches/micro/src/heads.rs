//! Heads of requests and answers, with the headers that real ones have.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version, header, request::Parts,
};

const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");

/// A query as Grafana sends it, by HTTP/1.1, for a tenant.
pub fn query(tenant: &'static str) -> Parts {
    let mut head = head(
        Method::GET,
        "/api/v1/query_range?query=sum%28rate%28requests_total%5B5m%5D%29%29&start=1767225600\
         &end=1767229200&step=15",
    );
    let headers = &mut head.headers;
    headers.insert(header::HOST, HeaderValue::from_static("mirador.test"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static("Grafana/12.0.0"),
    );
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
    headers.insert(TENANT, HeaderValue::from_static(tenant));
    head
}

/// The same query, of a tenant that the host names.
///
/// # Panics
/// The host is none.
#[expect(clippy::expect_used, reason = "written in the benchmark")]
pub fn query_of_host(host: &str) -> Parts {
    let mut head = query("");
    head.headers.remove(TENANT);
    let host = host.parse().expect("a host");
    head.headers.insert(header::HOST, host);
    head
}

/// The same query, of a tenant that the path names.
///
/// # Panics
/// The path is none.
#[expect(clippy::expect_used, reason = "written in the benchmark")]
pub fn query_of_path(path: &str) -> Parts {
    let mut head = query_of_host("mirador.test");
    head.uri = path.parse().expect("a path");
    head
}

/// A write as vmagent sends it, by HTTP/1.1, through a proxy before the router, for a tenant.
pub fn write(tenant: &'static str) -> Parts {
    let mut head = head(Method::POST, "/api/v1/write");
    let headers = &mut head.headers;
    headers.insert(header::HOST, HeaderValue::from_static("mirador.test"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("vmagent"));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("16384"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-protobuf"),
    );
    headers.insert(TENANT, HeaderValue::from_static(tenant));
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-host", "metrics.example.test"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "192.0.2.7"),
        ("x-request-id", "0123456789abcdef0123456789abcdef"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    head
}

/// The headers of a backend's answer.
pub fn answer() -> HeaderMap {
    let (mut head, ()) = Response::new(()).into_parts();
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-length", "1024"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("vary", "Accept-Encoding"),
        ("x-server-hostname", "vm-0"),
    ] {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    head.headers
}

fn head(method: Method, target: &'static str) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = method;
    head.uri = http::Uri::from_static(target);
    head.version = Version::HTTP_11;
    head
}
