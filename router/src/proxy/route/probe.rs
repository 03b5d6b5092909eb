//! How an endpoint is probed: at which URL, how often, and with the TLS its requests have.

use std::{net::SocketAddr, sync::Arc};

use health::{ProbeSpec, ProbeTerms, Product};
use http::{HeaderName, HeaderValue, Method};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use tenant_store::model::{
    Endpoint, EndpointProtocol, EndpointUrl, HealthCheck, Signal, UpstreamTls,
};
use url::Url;

use super::peer::{PeerHost, PeerTls, unresolved};

pub(super) fn spec(check: &HealthCheck) -> Option<ProbeSpec> {
    let HealthCheck {
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
        ..
    } = *check;
    let (interval, timeout) = (interval.0, timeout.0);
    let spec = ProbeSpec {
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
    };
    check.enabled.then_some(spec)
}

/// What its probes send and accept, if that is more than the ordinary.
pub(super) fn terms(check: &HealthCheck) -> Option<Arc<ProbeTerms>> {
    let HealthCheck {
        expect_status,
        expect_body,
        headers,
        start_grace,
        ..
    } = check;
    // The model lets nothing through that is no header.
    let header = |(name, value): (&String, &String)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    };
    let terms = ProbeTerms {
        headers: headers.iter().filter_map(header).collect(),
        statuses: expect_status.iter().map(|range| range.statuses()).collect(),
        body: expect_body.as_deref().map(Into::into),
        start_grace: start_grace.unwrap_or_default().0,
    };
    (terms != ProbeTerms::default()).then(|| Arc::new(terms))
}

/// What is looked at more closely, where an endpoint speaks HTTP/1.1: those that don't take gRPC.
pub(super) fn deep(
    check: &HealthCheck,
    signal: Signal,
    endpoint: &Endpoint,
) -> Option<health::DeepCheck> {
    if !check.enabled || !check.deep.enabled || endpoint.protocol != EndpointProtocol::Http1 {
        return None;
    }
    // Empty writes go as far as real ones, and leave nothing behind.
    let (product, query, method, ingestion) = match signal {
        Signal::Metrics => (
            Product::VictoriaMetrics,
            "/api/v1/query?query=1",
            Method::POST,
            "/api/v1/import/prometheus",
        ),
        Signal::Logs => (
            Product::VictoriaLogs,
            "/select/logsql/query?query=_time:1m&limit=1",
            Method::POST,
            "/insert/jsonline",
        ),
        Signal::Traces => (
            Product::VictoriaTraces,
            "/select/logsql/query?query=_time:1m&limit=1",
            Method::GET,
            "/insert/ready",
        ),
    };
    let base = endpoint.url.base_path();
    Some(health::DeepCheck {
        interval: check.deep.interval.0,
        product,
        min_version: check.deep.min_version.as_deref().map(Into::into),
        query: format!("{base}{query}").into(),
        ingestion: (method, format!("{base}{ingestion}").into()),
        min_free_disk_percent: check.deep.min_free_disk_percent,
        max_clock_skew: check.deep.max_clock_skew.0,
    })
}

/// Where an endpoint is probed: under the name it is verified with.
pub(super) fn url(url: &EndpointUrl, tls: Option<&UpstreamTls>, check: &HealthCheck) -> Url {
    let mut probe = url.as_url().clone();
    if let Some(name) = tls
        .and_then(|tls| tls.server_name.as_deref())
        .filter(|_| url.is_https())
    {
        // A name rustls took is a host.
        let _ = probe.set_host(Some(name));
    }
    let (path, query) = match check.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (check.path.as_str(), None),
    };
    probe.set_path(&format!("{}{path}", url.base_path()));
    probe.set_query(query);
    probe
}

/// Puts a host and port in the place of those that a URL has.
pub(super) fn address(url: &mut Url, host: &str, port: u16) {
    // What was looked up, or verified, is a host; `http` and `https` take ports.
    let _ = url.set_host(Some(host));
    let _ = url.set_port(Some(port));
}

/// A client that connects nowhere, for services whose records are not known yet.
///
/// # Errors
/// The client can't be set up.
pub(super) fn waiting_client() -> Result<reqwest::Client, reqwest::Error> {
    let nowhere = Alias(PeerHost::Service("the service".into()));
    health::client_builder()
        .dns_resolver(Arc::new(nowhere))
        .build()
}

/// A client that probes an endpoint under the name its requests are verified with.
///
/// # Errors
/// The client can't be set up.
pub(super) fn client(tls: &PeerTls, host: &PeerHost) -> Result<reqwest::Client, reqwest::Error> {
    health::client_builder()
        .tls_backend_preconfigured(ClientConfig::clone(&tls.config))
        .dns_resolver(Arc::new(Alias(host.clone())))
        .build()
}

/// Resolves every name to one host: probes ask for the name on the certificate, wherever the
/// endpoint is.
struct Alias(PeerHost);

impl Resolve for Alias {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let addresses: Addrs = match host {
                PeerHost::Address(address) => {
                    Box::new(std::iter::once(SocketAddr::new(address, 0)))
                }
                PeerHost::Name(name) => {
                    let found: Vec<_> = tokio::net::lookup_host((&*name, 0)).await?.collect();
                    Box::new(found.into_iter())
                }
                PeerHost::Service(name) => return Err(unresolved(&name).into()),
            };
            Ok(addresses)
        })
    }
}
