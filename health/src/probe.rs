//! One HTTP probe: a GET, a verdict. Knows no thresholds and no schedule.

use std::{
    error::Error,
    io::{
        self,
        ErrorKind::{InvalidData, UnexpectedEof},
    },
    sync::Arc,
    time::Duration,
};

use reqwest::{
    ClientBuilder, Method, Request,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
    redirect,
};
use tokio::time;

use crate::target::Target;

/// A builder for clients that probe: no redirects, no proxy from the environment, and a fresh
/// connection each time, because accepting one is part of being alive and because idle
/// connections of many thousand endpoints would be kept for one use per interval. As none of them
/// is ever idle and each probe has a deadline, none is kept alive either: that would be a fifth of the
/// system calls of a probe.
///
/// TLS roots, client certificates and so on are for the caller to add. Building needs the crypto
/// provider that the process installed for rustls, even for plain HTTP.
pub fn client_builder() -> ClientBuilder {
    ClientBuilder::new()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tcp_keepalive(None)
        .tcp_keepalive_interval(None)
        .tcp_keepalive_retries(None)
        .tcp_nodelay(true)
}

/// Why a probe found an endpoint unhealthy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// It answered with a status as expected, and the body lacks what it should have.
    #[error("the first 64 KiB of the body lack {0:?}")]
    Body(Box<str>),
    /// It accepted the connection, then closed it or didn't speak HTTP.
    #[error("no HTTP answer: {0}")]
    Broken(Arc<str>),
    /// No connection: refused, unreachable, name unknown.
    #[error("can't connect: {0}")]
    Connect(Arc<str>),
    /// The answer came from elsewhere; the client follows redirects although it shouldn't.
    #[error("redirected to another address")]
    Redirected,
    /// It answered with a status that isn't expected: other than 2xx, or than its
    /// [`ProbeTerms`](crate::ProbeTerms) say.
    #[error("unexpected status {0}")]
    Status(u16),
    /// No reply in time: no head, or not enough of the body where that matters.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It accepted the connection, and the two didn't agree on TLS.
    #[error("no TLS connection: {0}")]
    Tls(Arc<str>),
}

/// Asks `target` once. The body, whatever its size, is read only where something is expected in
/// it, and no further than that.
pub(crate) async fn probe(target: &Target, timeout: Duration) -> Result<(), ProbeFailure> {
    let asked = time::timeout(timeout, ask(target, timeout)).await;
    asked.unwrap_or(Err(ProbeFailure::Timeout(timeout)))
}

async fn ask(target: &Target, timeout: Duration) -> Result<(), ProbeFailure> {
    let fault = |error| classify(&error, timeout);
    let request = request(target);
    let url = request.url().clone();
    let mut response = target.client.execute(request).await.map_err(fault)?;
    if *response.url() != url {
        return Err(ProbeFailure::Redirected);
    }
    let terms = target.terms.as_deref();
    let status = response.status();
    if !terms.map_or(status.is_success(), |terms| terms.accepts(status)) {
        return Err(ProbeFailure::Status(status.as_u16()));
    }
    let Some(wanted) = terms.and_then(|terms| terms.body.as_deref()) else {
        return Ok(());
    };
    let mut body = Vec::new();
    while body.len() < BODY_LIMIT {
        let Some(chunk) = response.chunk().await.map_err(fault)? else {
            break;
        };
        let room = BODY_LIMIT - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    if contains(&body, wanted.as_bytes()) {
        Ok(())
    } else {
        Err(ProbeFailure::Body(wanted.into()))
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}

fn request(target: &Target) -> Request {
    let mut request = target.request(Method::GET, target.url.to_url());
    authorize(&mut request, target);
    let headers = request.headers_mut();
    let terms = target.terms.iter().flat_map(|terms| &terms.headers);
    for (name, value) in terms {
        headers.insert(name, value.clone());
    }
    request
}

/// Says who asks, and shows the credentials.
pub(crate) fn authorize(request: &mut Request, target: &Target) {
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    if let Some(authorization) = &target.authorization {
        headers.insert(AUTHORIZATION, HeaderValue::clone(authorization));
    }
}

fn classify(error: &reqwest::Error, timeout: Duration) -> ProbeFailure {
    if error.is_timeout() {
        ProbeFailure::Timeout(timeout)
    } else if error.is_connect() && is_tls(error) {
        ProbeFailure::Tls(root_cause(error))
    } else if error.is_connect() {
        ProbeFailure::Connect(root_cause(error))
    } else {
        ProbeFailure::Broken(root_cause(error))
    }
}

/// Whether the TCP connection stood when it failed: rustls's faults are invalid data to tokio, and
/// a peer that hangs up amid the handshake is an unexpected end.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let mut io = inner.downcast_ref::<io::Error>();
        while let Some(fault) = io {
            if matches!(fault.kind(), InvalidData | UnexpectedEof) {
                return true;
            }
            io = fault.get_ref().and_then(|inner| inner.downcast_ref());
        }
        cause = inner.source();
    }
    false
}

/// The innermost error: the outer ones repeat the URL, which may carry credentials.
fn root_cause(error: &reqwest::Error) -> Arc<str> {
    let Some(mut cause) = error.source() else {
        return Arc::from("unknown cause");
    };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Arc::from(cause.to_string())
}

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("mirador-health/", env!("CARGO_PKG_VERSION")));
/// Enough for a status page, little enough for a thousand probes at one time.
const BODY_LIMIT: usize = 64 << 10;
