//! Every edit of a head, in either direction: what is dropped, what is added, where it is addressed.
//!
//! Pure. [`prepare`] does once what every attempt shares; [`address`] points a prepared head at
//! one endpoint; [`reply`] cleans what comes back.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, Version,
    header::{self, Entry},
    request::Parts,
    uri::PathAndQuery,
};
use smallvec::SmallVec;
use tenant_store::model::EndpointProtocol;

use super::route::Upstream;

/// The request's id, taken from a client or made here, on both legs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What one connection is bound to (RFC 9110 section 7.6.1, and what proxies add to it).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What would let a client choose a tenant inside a backend, or carries credentials that were
/// meant for the router. `Expect` is answered here, after admission.
const NOT_FOR_BACKENDS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::EXPECT,
    HeaderName::from_static("accountid"),
    HeaderName::from_static("projectid"),
    HeaderName::from_static("x-scope-orgid"),
    HeaderName::from_static("x-tenant-id"),
];

/// What an untrusted peer may not claim about those before it.
const FORWARDING: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-real-ip")];
/// So begins what else it may not: there is no end of names for it.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// What tells clients of the backend's insides.
const NOT_FOR_CLIENTS: [HeaderName; 3] = [
    HeaderName::from_static("accountid"),
    HeaderName::from_static("projectid"),
    HeaderName::from_static("x-server-hostname"),
];

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

/// Where one request goes, whichever endpoint it goes to.
#[derive(Debug, Clone)]
pub struct Destination {
    path: PathAndQuery,
    trailers: bool,
}

/// Makes a client's head fit for any endpoint: drops what ends here, adds what the backend may
/// know of the client. `strip` bytes of the path are the router's own; `identity` are the headers
/// that named the tenant.
pub fn prepare<'a>(
    head: &mut Parts,
    strip: usize,
    hop: Hop<'_>,
    identity: impl Iterator<Item = &'a HeaderName>,
    request_id: &HeaderValue,
) -> Destination {
    let trailers = accepts_trailers(&head.headers);
    // A target's own authority goes before `Host` (RFC 9112 section 3.2.2).
    let named = head.headers.remove(header::HOST);
    let host = authority(&head.uri).or(named);
    drop_hop_by_hop(&mut head.headers);
    drop_all(&mut head.headers, &NOT_FOR_BACKENDS);
    for name in identity {
        head.headers.remove(name);
    }
    if head.version == Version::HTTP_2 {
        join_cookies(&mut head.headers);
    }
    tell_of_client(&mut head.headers, hop, host);
    head.headers.insert(REQUEST_ID, request_id.clone());
    Destination {
        path: stripped(&head.uri, strip),
        trailers,
    }
}

/// Points a prepared head at an endpoint. `chunked` tells that the body's length is not known.
///
/// # Errors
/// The endpoint's base path and the client's target together are too long for one.
pub fn address(
    head: &mut Parts,
    destination: &Destination,
    upstream: &Upstream,
    chunked: bool,
) -> Result<(), TargetTooLong> {
    let path = below(upstream.base_path(), &destination.path).ok_or(TargetTooLong)?;
    if let Some(authorization) = upstream.authorization() {
        head.headers
            .insert(header::AUTHORIZATION, authorization.clone());
    }
    match upstream.protocol() {
        EndpointProtocol::Http1 => {
            head.version = Version::HTTP_11;
            head.headers.insert(header::HOST, upstream.host().clone());
            head.uri = Uri::from(path);
            // Not left to the client library: it would leave out the body of a GET without a word.
            if chunked {
                let chunked = HeaderValue::from_static("chunked");
                head.headers.insert(header::TRANSFER_ENCODING, chunked);
            }
        }
        EndpointProtocol::Http2 => {
            head.version = Version::HTTP_2;
            head.uri = upstream.absolute(path);
            if destination.trailers {
                head.headers
                    .insert(header::TE, HeaderValue::from_static("trailers"));
            }
        }
    }
    Ok(())
}

/// Makes a backend's head fit for the client.
pub fn reply(headers: &mut HeaderMap, request_id: &HeaderValue) {
    // With both, the length is a lie (RFC 9112 section 6.3): the body was read by its chunks.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    drop_hop_by_hop(headers);
    drop_all(headers, &NOT_FOR_CLIENTS);
    headers.insert(REQUEST_ID, request_id.clone());
}

/// The client's request id, if it is one worth keeping: 1 to 128 visible ASCII characters.
pub fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(REQUEST_ID).filter(|id| {
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    })
}

fn drop_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// Drops the hop-by-hop headers and those that `Connection` declares to be so.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let declared: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        drop_all(headers, &declared);
    }
    drop_all(headers, &HOP_BY_HOP);
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get(header::TE).is_some_and(|te| {
        te.to_str().is_ok_and(|te| {
            te.split(',')
                .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
        })
    })
}

fn authority(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.authority()?.as_str().rsplit('@').next()?;
    HeaderValue::from_str(host).ok()
}

/// HTTP/2 splits `Cookie` for compression; HTTP/1.1 wants it whole (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(cookies) = headers.entry(header::COOKIE) else {
        return;
    };
    if cookies.iter().count() < 2 {
        return;
    }
    let crumbs: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}

fn tell_of_client(headers: &mut HeaderMap, hop: Hop<'_>, host: Option<HeaderValue>) {
    if !hop.trusted {
        drop_all(headers, &FORWARDING);
        let claims: SmallVec<[HeaderName; 4]> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(FORWARDED_PREFIX))
            .cloned()
            .collect();
        drop_all(headers, &claims);
    }
    let chain = chain(headers, hop.peer);
    headers.insert(X_FORWARDED_FOR, chain.unwrap_or_else(|| hop.peer.clone()));
    let scheme = HeaderValue::from_static(if hop.secure { "https" } else { "http" });
    headers.entry(X_FORWARDED_PROTO).or_insert(scheme);
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
}

/// Those before the peer, on however many lines they stand, and the peer; `None` without any.
fn chain(headers: &HeaderMap, peer: &HeaderValue) -> Option<HeaderValue> {
    headers.get(X_FORWARDED_FOR)?;
    let before = headers.get_all(X_FORWARDED_FOR).iter();
    let links: Vec<&[u8]> = before.chain([peer]).map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&links.join(&b", "[..])).ok()
}

/// The client's path and query without the router's own prefix, byte for byte.
fn stripped(uri: &Uri, strip: usize) -> PathAndQuery {
    let root = || PathAndQuery::from_static("/");
    let Some(path) = uri.path_and_query() else {
        return root();
    };
    if strip == 0 {
        return path.clone();
    }
    let rest = &path.as_str()[strip..];
    let rest = if rest.starts_with('/') {
        rest.parse()
    } else {
        format!("/{rest}").parse()
    };
    rest.unwrap_or_else(|_| root())
}

/// `None` if that is longer than a target may be: without its base the path would be another.
fn below(base: &str, path: &PathAndQuery) -> Option<PathAndQuery> {
    if base.is_empty() {
        return Some(path.clone());
    }
    format!("{base}{path}").parse().ok()
}

#[cfg(test)]
mod tests;
