//! What is watched: an address, how to probe it, and what makes two targets equal.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, Method, Request,
    header::{HOST, HeaderValue},
};
use url::{Position, Url};

use crate::{
    deep::DeepCheck,
    probe_url::{ProbePort, ProbeUrl},
    resolve::WatchedName,
    terms::ProbeTerms,
};

/// An endpoint to watch.
///
/// Targets with equal `url`, `address`, `identity`, `probe`, `terms` and `deep` are the same
/// endpoint: they share one [`EndpointHealth`](crate::EndpointHealth) and one probe, with the client
/// and the authorization of whoever came first.
#[derive(Clone)]
pub struct Target {
    /// The full probe URL, such as `http://10.0.0.1:8428/health`. Its port is the one probed.
    pub url: ProbeUrl,
    /// Where it is, if its host is a name that was looked up: probes go there under that name. Over
    /// TLS it is the client that has to connect there, as the name is the certificate's.
    pub address: Option<IpAddr>,
    /// The name that address is one of: it is looked up again when the endpoint fails.
    pub of: Option<Arc<WatchedName>>,
    /// `host:port`, for logs and metrics.
    pub name: Arc<str>,
    /// How to probe; `None` leaves the judgement to live requests.
    pub probe: Option<ProbeSpec>,
    /// What its probes send and accept, if that is more than the ordinary.
    pub terms: Option<Arc<ProbeTerms>>,
    /// What is looked at more closely; only where it is probed.
    pub deep: Option<Arc<DeepCheck>>,
    /// Sends the probes. Built with [`client_builder`](crate::client_builder), so that it follows
    /// no redirects and keeps no idle connections; TLS settings are the caller's.
    pub client: Client,
    /// Sent as `Authorization`; marked sensitive when watched. Shared, as few endpoints have one.
    pub authorization: Option<Arc<HeaderValue>>,
    /// Tells apart targets that differ only in TLS or credentials. Equal settings must give equal
    /// values; it is compared, never interpreted.
    pub identity: u64,
}

impl Target {
    /// For how long failed probes don't count at first.
    pub(crate) fn start_grace(&self) -> Duration {
        let terms = self.terms.as_ref();
        terms.map_or(Duration::ZERO, |terms| terms.start_grace.min(DURATION_MAX))
    }

    /// A request for `url`, which is one of this endpoint, to where it is.
    pub(crate) fn request(&self, method: Method, mut url: Url) -> Request {
        let mut name = None;
        if let Some(address) = self.address
            && url.scheme() == "http"
        {
            let authority = &url[Position::BeforeHost..Position::AfterPort];
            name = HeaderValue::from_str(authority).ok();
            // An URL with a host takes another one.
            let _ = url.set_ip_host(address);
        }
        let mut request = Request::new(method, url);
        if let Some(name) = name {
            request.headers_mut().insert(HOST, name);
        }
        request
    }

    /// Brings limits into range and hides the credentials, once, before anything relies on it.
    pub(crate) fn sanitized(mut self) -> Self {
        self.probe = self.probe.map(ProbeSpec::clamped);
        if let Some(authorization) = &mut self.authorization {
            Arc::make_mut(authorization).set_sensitive(true);
        }
        self
    }
}

impl fmt::Debug for Target {
    /// Leaves out the URL, which may carry user info, and the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("probe", &self.probe)
            .field("terms", &self.terms)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// When and how often an endpoint is probed, and how many results it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProbeSpec {
    /// Time between two probes while nothing is in doubt. Kept within 10 ms to 1 day.
    pub interval: Duration,
    /// A probe without a complete reply head by then has failed. Kept within 1 ms to 1 day.
    pub timeout: Duration,
    /// So many successes in a row bring a `Down` endpoint back; 0 means 1.
    pub healthy_after: u8,
    /// So many failures in a row take an `Up` endpoint down; 0 means 1.
    pub unhealthy_after: u8,
}

impl ProbeSpec {
    /// The pace while a change is in the air: short enough that thresholds don't multiply the
    /// interval, long enough that a hiccup isn't counted twice.
    pub(crate) fn fast_interval(&self) -> Duration {
        self.interval
            .min((self.timeout / 5).clamp(FAST_MIN, FAST_MAX))
    }

    fn clamped(self) -> Self {
        Self {
            interval: self.interval.clamp(INTERVAL_MIN, DURATION_MAX),
            timeout: self.timeout.clamp(TIMEOUT_MIN, DURATION_MAX),
            healthy_after: self.healthy_after.max(1),
            unhealthy_after: self.unhealthy_after.max(1),
        }
    }
}

impl Default for ProbeSpec {
    /// Every 30 s, 5 s to answer, down after 3 failures, up after 2 successes.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_after: 2,
            unhealthy_after: 3,
        }
    }
}

/// A target as the registry knows it: by what makes targets equal, and without a copy of that.
#[derive(Clone, Debug)]
pub(crate) struct ByIdentity(pub(crate) Arc<Target>);

impl ByIdentity {
    fn parts(&self) -> impl PartialEq + Hash {
        let target = &*self.0;
        let checks = (target.terms.as_deref(), target.deep.as_deref());
        let place = (&target.url, target.address);
        (place, target.identity, target.probe, checks)
    }
}

impl PartialEq for ByIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for ByIdentity {}

impl Hash for ByIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// A target by the port it is on.
#[derive(Clone, Debug)]
pub(crate) struct ByPort(pub(crate) Arc<Target>);

impl ByPort {
    fn parts(&self) -> ProbePort {
        self.0.url.port(self.0.address)
    }
}

impl PartialEq for ByPort {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for ByPort {}

impl Hash for ByPort {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

const FAST_MIN: Duration = Duration::from_millis(500);
const FAST_MAX: Duration = Duration::from_secs(1);
/// Keeps a zero interval from spinning the scheduler.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// Keeps `Instant + Duration` far from overflow.
pub(crate) const DURATION_MAX: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    /// Thresholds must not multiply a long interval, nor may a short one be slowed down.
    #[test]
    fn fast_interval_follows_the_timeout_within_bounds() {
        let fast = |interval_ms, timeout_ms| {
            ProbeSpec {
                interval: Duration::from_millis(interval_ms),
                timeout: Duration::from_millis(timeout_ms),
                ..ProbeSpec::default()
            }
            .fast_interval()
            .as_millis()
        };
        assert_eq!(fast(30_000, 5_000), 1_000);
        assert_eq!(fast(30_000, 3_500), 700);
        assert_eq!(fast(30_000, 60_000), 1_000);
        assert_eq!(fast(30_000, 100), 500);
        assert_eq!(fast(200, 5_000), 200);
    }

    /// Values that would spin or overflow the scheduler are brought into range.
    #[test]
    fn extreme_specs_are_clamped() {
        let zero = ProbeSpec {
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            healthy_after: 0,
            unhealthy_after: 0,
        };
        assert_eq!(
            zero.clamped(),
            ProbeSpec {
                interval: INTERVAL_MIN,
                timeout: TIMEOUT_MIN,
                healthy_after: 1,
                unhealthy_after: 1,
            }
        );
        let endless = ProbeSpec {
            interval: Duration::MAX,
            ..ProbeSpec::default()
        };
        assert_eq!(endless.clamped().interval, DURATION_MAX);
    }
}
