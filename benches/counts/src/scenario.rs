//! What is asked of the router while it is counted.

use std::fmt;

use bytes::Bytes;
use clap::{ValueEnum, builder::PossibleValue};
use http::{HeaderName, Method, Request, Uri, header};
use http_body_util::Full;

/// Bytes of a small answer.
pub(crate) const SMALL: usize = 1 << 10;
/// Bytes of a download.
pub(crate) const LARGE: usize = 1 << 20;
/// Bytes of an import.
const IMPORTED: usize = 16 << 10;

/// The path that the upstream answers with [`LARGE`] bytes.
pub(crate) const EXPORT: &str = "/api/v1/export";
/// The path whose body is consumed and answered without one.
pub(crate) const IMPORT: &str = "/api/v1/import";

/// One kind of request, over one connection, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scenario {
    pub(crate) act: Act,
    pub(crate) protocol: Protocol,
    pub(crate) tenants: Tenants,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// A query without a body, answered with 1 KiB.
    Get,
    /// A query with a small form as its body, answered with 1 KiB.
    Post,
    /// A write whose 16 KiB stream through.
    Import,
    /// An answer of 1 MiB that streams through in pieces.
    Download,
}

/// What the client speaks. The router speaks HTTP/1.1 to the upstream in all cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    Http1,
    /// In clear text, with prior knowledge.
    Http2,
}

/// What the router knows of the tenants that ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tenants {
    /// One tenant asks all the time.
    Hit,
    /// Each request is the first of its tenant, which the router has read at its start.
    First,
    /// Each request is the first of its tenant, which has to be read from the store.
    Miss,
    /// One tenant with two endpoints asks all the time, and would have reads hedged that take long;
    /// none does.
    Hedged,
}

impl Scenario {
    pub(crate) const ALL: [Self; 15] = [
        Self::of(Act::Get, Protocol::Http1, Tenants::Hit),
        Self::of(Act::Post, Protocol::Http1, Tenants::Hit),
        Self::of(Act::Get, Protocol::Http2, Tenants::Hit),
        Self::of(Act::Post, Protocol::Http2, Tenants::Hit),
        Self::of(Act::Import, Protocol::Http1, Tenants::Hit),
        Self::of(Act::Download, Protocol::Http1, Tenants::Hit),
        Self::of(Act::Get, Protocol::Http1, Tenants::First),
        Self::of(Act::Post, Protocol::Http1, Tenants::First),
        Self::of(Act::Get, Protocol::Http2, Tenants::First),
        Self::of(Act::Post, Protocol::Http2, Tenants::First),
        Self::of(Act::Get, Protocol::Http1, Tenants::Miss),
        Self::of(Act::Post, Protocol::Http1, Tenants::Miss),
        Self::of(Act::Get, Protocol::Http2, Tenants::Miss),
        Self::of(Act::Post, Protocol::Http2, Tenants::Miss),
        Self::of(Act::Get, Protocol::Http1, Tenants::Hedged),
    ];

    /// The one with the least that could hide the worker.
    pub(crate) const PLAINEST: Self = Self::of(Act::Get, Protocol::Http1, Tenants::Hit);

    const fn of(act: Act, protocol: Protocol, tenants: Tenants) -> Self {
        Self {
            act,
            protocol,
            tenants,
        }
    }

    /// Requests that are sent before counting, so that what is done once is done.
    pub(crate) fn warm_up(self) -> u32 {
        match self.tenants {
            Tenants::Hit | Tenants::Hedged => 50,
            Tenants::First | Tenants::Miss => 10,
        }
    }

    /// Requests that are counted. New tenants stay, with those of the warm-up, below the number of those that
    /// get metrics of their own.
    pub(crate) fn requests(self) -> u32 {
        match (self.tenants, self.act) {
            (Tenants::Hit, Act::Download) => 200,
            (Tenants::First | Tenants::Miss, _) => 900,
            (Tenants::Hit | Tenants::Hedged, _) => 1000,
        }
    }

    /// Status and length of the answer.
    pub(crate) fn answer(self) -> (u16, usize) {
        match self.act {
            Act::Get | Act::Post => (200, SMALL),
            Act::Import => (204, 0),
            Act::Download => (200, LARGE),
        }
    }

    /// The request of a tenant, as a client such as Grafana or vmagent sends it.
    pub(crate) fn request(self, tenant: &str) -> Request<Full<Bytes>> {
        const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");
        let (method, target, media, body) = match self.act {
            Act::Get => (
                Method::GET,
                "/api/v1/query?query=sum%28rate%28requests_total%5B5m%5D%29%29&time=1767225600",
                None,
                Bytes::new(),
            ),
            Act::Post => (
                Method::POST,
                "/api/v1/query_range",
                Some("application/x-www-form-urlencoded"),
                Bytes::from_static(
                    b"query=sum%28rate%28requests_total%5B5m%5D%29%29\
                      &start=1767225600&end=1767229200&step=15",
                ),
            ),
            Act::Import => (
                Method::POST,
                IMPORT,
                Some("application/json"),
                Bytes::from_static(&[b'x'; IMPORTED]),
            ),
            Act::Download => (Method::GET, EXPORT, None, Bytes::new()),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = match self.protocol {
            Protocol::Http1 => Uri::from_static(target),
            Protocol::Http2 => absolute(target),
        };
        let headers = request.headers_mut();
        if self.protocol == Protocol::Http1 {
            headers.insert(header::HOST, value("mirador.test"));
        }
        headers.insert(header::USER_AGENT, value("Grafana/12.0.0"));
        headers.insert(header::ACCEPT_ENCODING, value("gzip"));
        if let Some(media) = media {
            headers.insert(header::CONTENT_TYPE, value(media));
        }
        headers.insert(TENANT, value(tenant));
        request
    }
}

#[expect(clippy::expect_used, reason = "all that is passed is plain ASCII")]
fn value(text: &str) -> http::HeaderValue {
    text.parse().expect("a header value")
}

#[expect(
    clippy::expect_used,
    reason = "all that is passed are paths of this file"
)]
fn absolute(target: &str) -> Uri {
    format!("http://mirador.test{target}")
        .parse()
        .expect("a URI")
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Scenario {
    pub(crate) fn name(self) -> &'static str {
        use Act::{Download, Get, Import, Post};
        use Protocol::{Http1, Http2};
        use Tenants::{First, Hedged, Hit, Miss};
        match (self.act, self.protocol, self.tenants) {
            (_, _, Hedged) => "get-h1-hedged",
            (Get, Http1, Hit) => "get-h1-hit",
            (Get, Http1, First) => "get-h1-first",
            (Get, Http1, Miss) => "get-h1-miss",
            (Get, Http2, Hit) => "get-h2-hit",
            (Get, Http2, First) => "get-h2-first",
            (Get, Http2, Miss) => "get-h2-miss",
            (Post, Http1, Hit) => "post-h1-hit",
            (Post, Http1, First) => "post-h1-first",
            (Post, Http1, Miss) => "post-h1-miss",
            (Post, Http2, Hit) => "post-h2-hit",
            (Post, Http2, First) => "post-h2-first",
            (Post, Http2, Miss) => "post-h2-miss",
            (Import, ..) => "import-h1",
            (Download, ..) => "download-h1",
        }
    }
}

impl ValueEnum for Scenario {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
