//! A worker's own copy of what a reload may change, in the form the request path wants.

use std::{fmt, net::IpAddr, sync::Arc};

use http::HeaderName;
use ipnet::IpNet;

use super::{
    identify::{API_KEY, Identity},
    upstream::PoolLimits,
};
use crate::{
    config::{self, AccessLog, Identify, SourceKind, UpstreamSettings},
    credentials::Credentials,
};

/// What the request path reads of the configuration.
pub struct Settings {
    source: Arc<config::Settings>,
    /// Who may ask, and how a request says for whom.
    pub identity: Identity,
    /// The headers that may name a tenant, which are not for backends.
    pub identity_headers: Vec<HeaderName>,
    /// Timeouts and limits towards backends.
    pub upstream: UpstreamSettings,
    /// Limits of the worker's pool.
    pub pool: PoolLimits,
    /// How much is logged of requests.
    pub access: AccessLog,
    /// Whether anybody may see how all tenants are.
    pub public_page: bool,
    trusted: Vec<IpNet>,
}

impl Settings {
    pub(super) fn new(source: &Arc<config::Settings>, credentials: &Arc<Credentials>) -> Self {
        Self {
            identity: Identity::new(&source.identify, credentials),
            identity_headers: identity_headers(&source.identify),
            upstream: source.upstream,
            pool: PoolLimits {
                idle_per_peer: source.upstream.max_idle_per_endpoint,
                idle: source.upstream.max_idle,
                idle_timeout: source.upstream.idle_timeout,
            },
            access: source.log.access,
            public_page: source.public_page,
            trusted: source.trusted_proxies.clone(),
            source: source.clone(),
        }
    }

    pub(super) fn is_made_from(&self, source: &Arc<config::Settings>) -> bool {
        Arc::ptr_eq(&self.source, source)
    }

    /// Whether a peer's word on those before it is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}

/// What names tenants, and what shows who asks.
fn identity_headers(identify: &Identify) -> Vec<HeaderName> {
    let mut headers = identify.headers.clone();
    if identify.sources.contains(&SourceKind::ApiKey) {
        headers.push(API_KEY);
    }
    headers
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}
