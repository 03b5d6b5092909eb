//! One HTTP probe: a GET, a verdict. Knows no thresholds and no schedule.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::{
    ClientBuilder, Method, Request,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
    redirect,
};
use tokio::time;

use crate::target::Target;

/// A builder for clients that probe: no redirects, no proxy from the environment, and a fresh
/// connection each time, because accepting one is part of being alive and because idle
/// connections of many thousand endpoints would be kept for one use per interval.
///
/// TLS roots, client certificates and so on are for the caller to add. Building needs the crypto
/// provider that the process installed for rustls, even for plain HTTP.
pub fn client_builder() -> ClientBuilder {
    ClientBuilder::new()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tcp_nodelay(true)
}

/// Why a probe found an endpoint unhealthy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// It accepted the connection, then closed it or didn't speak HTTP.
    #[error("no HTTP answer: {0}")]
    Broken(Arc<str>),
    /// No connection: refused, unreachable, name unknown, TLS handshake failed.
    #[error("can't connect: {0}")]
    Connect(Arc<str>),
    /// The answer came from elsewhere; the client follows redirects although it shouldn't.
    #[error("redirected to another address")]
    Redirected,
    /// It answered, with something else than 2xx.
    #[error("status {0}, expected 2xx")]
    Status(u16),
    /// No reply head in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// Asks `target` once. Only the reply head counts: the body, whatever its size, is not read.
pub(crate) async fn probe(target: &Target, timeout: Duration) -> Result<(), ProbeFailure> {
    let sent = target.client.execute(request(target));
    let response = match time::timeout(timeout, sent).await {
        Err(_elapsed) => return Err(ProbeFailure::Timeout(timeout)),
        Ok(Err(error)) => return Err(classify(&error, timeout)),
        Ok(Ok(response)) => response,
    };
    if response.url() != &target.url {
        return Err(ProbeFailure::Redirected);
    }
    if response.status().is_success() {
        Ok(())
    } else {
        Err(ProbeFailure::Status(response.status().as_u16()))
    }
}

fn request(target: &Target) -> Request {
    let mut request = Request::new(Method::GET, target.url.clone());
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    if let Some(authorization) = &target.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    request
}

fn classify(error: &reqwest::Error, timeout: Duration) -> ProbeFailure {
    if error.is_timeout() {
        ProbeFailure::Timeout(timeout)
    } else if error.is_connect() {
        ProbeFailure::Connect(root_cause(error))
    } else {
        ProbeFailure::Broken(root_cause(error))
    }
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
