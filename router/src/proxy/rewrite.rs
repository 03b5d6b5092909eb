//! Every edit of a head, in either direction: what is dropped, what is added, where it is addressed.
//!
//! Pure. A [`Forward`] is a client's head as any endpoint of its tenant may see it; it is written
//! for one endpoint by [`Forward::http1`] or [`Forward::http2`], in one pass and without changing
//! the head, so that another try costs no copy. [`is_for_clients`] and [`reply`] clean what comes
//! back, and [`restore`] puts its paths right.

mod prefix;

use std::borrow::Cow;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use smallvec::SmallVec;

use crate::credentials::SESSION_COOKIE;

pub use self::prefix::{Front, restore};

/// The request's id, taken from a client or made here, on both legs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// So begins what an untrusted peer may not claim: there is no end of names for it.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// Longest target of a request, in bytes: what a URI can be.
const TARGET_LIMIT: usize = u16::MAX as usize - 1;

/// What is known of the connection a request came by.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// The peer's address, as text.
    pub peer: &'a HeaderValue,
    /// Whether the peer is a proxy whose word on those before it is believed.
    pub trusted: bool,
    /// Whether it came by TLS.
    pub secure: bool,
}

/// The endpoint's base path and the client's target together are too long for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetTooLong;

/// An endpoint, as the heads of requests to it name it.
#[derive(Debug, Clone, Copy)]
pub struct Addressee<'a> {
    /// Put in front of every path; no trailing slash, mostly empty.
    pub base_path: &'a str,
    /// What its `Host` header says.
    pub authority: &'a Authority,
    /// Whether it is spoken to under TLS.
    pub secure: bool,
    /// What the router presents itself with.
    pub authorization: Option<&'a HeaderValue>,
}

/// How the end of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes.
    Known(u64),
    /// By chunks, as nobody knows before.
    Chunked,
}

/// A client's head as any endpoint of its tenant may see it.
#[derive(Debug)]
pub struct Forward<'a> {
    head: &'a Parts,
    target: Cow<'a, str>,
    hop: Hop<'a>,
    identity: &'a [HeaderName],
    request_id: &'a HeaderValue,
    /// What the client declared to be meant for this connection only.
    declared: Vec<&'a [u8]>,
}

impl<'a> Forward<'a> {
    /// `strip` bytes of the path are the router's own; `identity` are the headers that named the
    /// tenant.
    pub fn new(
        head: &'a Parts,
        strip: usize,
        hop: Hop<'a>,
        identity: &'a [HeaderName],
        request_id: &'a HeaderValue,
    ) -> Self {
        Self {
            head,
            target: stripped(&head.uri, strip),
            hop,
            identity,
            request_id,
            declared: declared(&head.headers),
        }
    }

    /// The client's method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The head for an endpoint that speaks HTTP/1.1, as it is written.
    ///
    /// # Errors
    /// The endpoint's base path and the client's target together are too long for one.
    pub fn http1(&self, to: Addressee<'_>, length: BodyLength) -> Result<Vec<u8>, TargetTooLong> {
        /// Room for what is added, and for most heads.
        const ROOM: usize = 1024;
        self.check_length(to.base_path)?;
        let mut out = Vec::with_capacity(ROOM + self.target.len());
        let (method, target) = (self.head.method.as_str(), &*self.target);
        for part in [method, " ", to.base_path, target, " HTTP/1.1\r\nhost: "] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(to.authority.as_str().as_bytes());
        out.extend_from_slice(b"\r\n");
        self.each_header(to.authorization, |name, value| {
            for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        });
        match length {
            BodyLength::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            BodyLength::Known(0) if !self.tells_of_no_body() => {}
            BodyLength::Known(length) => {
                out.extend_from_slice(b"content-length: ");
                out.extend_from_slice(HeaderValue::from(length).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(out)
    }

    /// The head for an endpoint that speaks HTTP/2.
    ///
    /// # Errors
    /// The endpoint's base path and the client's target together are too long for one.
    pub fn http2<B>(&self, to: Addressee<'_>, body: B) -> Result<Request<B>, TargetTooLong> {
        self.check_length(to.base_path)?;
        let path = format!("{}{}", to.base_path, self.target);
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = absolute(to, path.parse().map_err(|_| TargetTooLong)?);
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        self.each_header(to.authorization, |name, value| {
            // Values stay what they were, or are made of such.
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.append(name, value);
            }
        });
        if let Some(length) = self.head.headers.get(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, length.clone());
        }
        if accepts_trailers(&self.head.headers) {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        Ok(request)
    }

    /// Calls `put` with each header that goes on, whatever the protocol: the client's own that are
    /// for backends, and what the backend may know of the client.
    fn each_header(
        &self,
        authorization: Option<&HeaderValue>,
        mut put: impl FnMut(&HeaderName, &[u8]),
    ) {
        let headers = &self.head.headers;
        let mut has_cookies = false;
        for (name, value) in headers {
            if *name == header::COOKIE {
                has_cookies = true;
            } else if self.goes_on(name) {
                put(name, value.as_bytes());
            }
        }
        if has_cookies && self.goes_on(&header::COOKIE) {
            put_cookies(headers, &mut put);
        }
        if let Some(authorization) = authorization {
            put(&header::AUTHORIZATION, authorization.as_bytes());
        }
        self.tell_of_client(&mut put);
        put(&REQUEST_ID, self.request_id.as_bytes());
    }

    /// Whether a client's header is for backends.
    fn goes_on(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        !is_hop_by_hop(text)
            && !is_not_for_backends(text)
            && !is_written_here(text)
            && (self.hop.trusted || !is_claim(text))
            && !self.identity.contains(name)
            && !self.is_declared(text)
    }

    fn is_declared(&self, name: &str) -> bool {
        self.declared
            .iter()
            .any(|declared| declared.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn tell_of_client(&self, put: &mut impl FnMut(&HeaderName, &[u8])) {
        let headers = &self.head.headers;
        let claimed = |name: &HeaderName| {
            self.hop.trusted && headers.contains_key(name) && !self.is_declared(name.as_str())
        };
        let peer = self.hop.peer.as_bytes();
        if claimed(&X_FORWARDED_FOR)
            && let Some(chain) = joined(headers, &X_FORWARDED_FOR, b", ", Some(peer))
        {
            put(&X_FORWARDED_FOR, &chain);
        } else {
            put(&X_FORWARDED_FOR, peer);
        }
        if !claimed(&X_FORWARDED_PROTO) {
            let scheme = if self.hop.secure { "https" } else { "http" };
            put(&X_FORWARDED_PROTO, scheme.as_bytes());
        }
        if !claimed(&X_FORWARDED_HOST)
            && let Some(host) = host(self.head)
        {
            put(&X_FORWARDED_HOST, host);
        }
    }

    /// Whether a body of no bytes is worth telling: where one is expected (RFC 9110 section 8.6),
    /// or where the client told.
    fn tells_of_no_body(&self) -> bool {
        matches!(self.head.method, Method::POST | Method::PUT | Method::PATCH)
            || self.head.headers.contains_key(header::CONTENT_LENGTH)
    }

    fn check_length(&self, base: &str) -> Result<(), TargetTooLong> {
        if base.len() + self.target.len() > TARGET_LIMIT {
            return Err(TargetTooLong);
        }
        Ok(())
    }
}

/// Whom the client addressed. A target's own authority goes before `Host` (RFC 9112 section 3.2.2).
pub fn host(head: &Parts) -> Option<&[u8]> {
    let authority = head.uri.authority().map(|authority| {
        let whole = authority.as_str();
        whole.rsplit('@').next().unwrap_or(whole).as_bytes()
    });
    let host = || head.headers.get(header::HOST);
    authority.or_else(|| host().map(HeaderValue::as_bytes))
}

/// Whether a backend's header is for clients, but for those that `Connection` declares not to be.
pub fn is_for_clients(name: &HeaderName) -> bool {
    let name = name.as_str();
    !is_hop_by_hop(name) && !matches!(name, "accountid" | "projectid" | "x-server-hostname")
}

/// Makes a backend's head fit for the client.
pub fn reply(headers: &mut HeaderMap, request_id: &HeaderValue) {
    let unfit: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| !is_for_clients(name))
        .cloned()
        .collect();
    for name in unfit {
        headers.remove(name);
    }
    headers.insert(REQUEST_ID, request_id.clone());
}

/// The client's request id, if it is one worth keeping: 1 to 128 visible ASCII characters.
pub fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| {
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    })
}

/// What one connection is bound to (RFC 9110 section 7.6.1, and what proxies add to it).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What would let a client choose a tenant inside a backend, or carries credentials that were
/// meant for the router. `Expect` is answered here, after admission.
fn is_not_for_backends(name: &str) -> bool {
    matches!(
        name,
        "accountid" | "authorization" | "expect" | "projectid" | "x-scope-orgid" | "x-tenant-id"
    )
}

/// What is written anew for each endpoint.
fn is_written_here(name: &str) -> bool {
    matches!(
        name,
        "content-length" | "host" | "x-forwarded-for" | "x-request-id"
    )
}

/// What an untrusted peer may not claim about those before it.
fn is_claim(name: &str) -> bool {
    name.starts_with(FORWARDED_PREFIX) || matches!(name, "forwarded" | "x-real-ip")
}

/// The names that `Connection` declares to be hop-by-hop.
fn declared(headers: &HeaderMap) -> Vec<&[u8]> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        // What clients say as a rule names no header.
        .filter(|name| !matches!(*name, b"" | b"keep-alive" | b"close"))
        .collect()
}

/// All values of a header, on however many lines they stand, and another one. `None` without any in
/// the headers.
fn joined(
    headers: &HeaderMap,
    name: &HeaderName,
    separator: &[u8],
    more: Option<&[u8]>,
) -> Option<Vec<u8>> {
    headers.get(name)?;
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let values: SmallVec<[&[u8]; 4]> = values.chain(more).collect();
    Some(values.join(separator))
}

/// Calls `put` with a client's cookies on one line, as HTTP/1.1 wants them, while HTTP/2 splits them
/// for compression (RFC 9113 section 8.2.3), but for the one that names an operator's session:
/// browsers send it to every port of the host whose health pages they show.
fn put_cookies(headers: &HeaderMap, put: &mut impl FnMut(&HeaderName, &[u8])) {
    let is_ours = |cookie: &[u8]| {
        let name = cookie.split(|byte| *byte == b'=').next();
        name.is_some_and(|name| name.trim_ascii() == SESSION_COOKIE.as_bytes())
    };
    let cookies = || {
        let lines = headers.get_all(header::COOKIE).iter();
        lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
    };
    let mut lines = headers.get_all(header::COOKIE).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) if !cookies().any(is_ours) => put(&header::COOKIE, line.as_bytes()),
        _ => {
            let theirs: SmallVec<[&[u8]; 4]> = cookies()
                .map(<[u8]>::trim_ascii)
                .filter(|cookie| !cookie.is_empty() && !is_ours(cookie))
                .collect();
            if !theirs.is_empty() {
                put(&header::COOKIE, &theirs.join(&b"; "[..]));
            }
        }
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get(header::TE).is_some_and(|te| {
        te.to_str().is_ok_and(|te| {
            te.split(',')
                .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
        })
    })
}

/// The whole URI of a path, as HTTP/2 wants it.
fn absolute(to: Addressee<'_>, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if to.secure {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    parts.authority = Some(to.authority.clone());
    parts.path_and_query = Some(path.clone());
    Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(path))
}

/// The client's path and query without the router's own prefix, byte for byte.
fn stripped(uri: &Uri, strip: usize) -> Cow<'_, str> {
    let whole = uri.path_and_query().map_or("/", |path| path.as_str());
    match whole.get(strip..) {
        Some(rest) if strip == 0 || rest.starts_with('/') => Cow::Borrowed(rest),
        Some(rest) => Cow::Owned(format!("/{rest}")),
        None => Cow::Borrowed("/"),
    }
}

#[cfg(test)]
mod tests;
