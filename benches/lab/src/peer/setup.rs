//! What a peer is set up for: the tenants with their endpoints, and how it listens.

use std::{net::SocketAddr, path::PathBuf};

use super::Kind;
use crate::lab::Lab;

/// Between two health checks of an endpoint that is one of several, and for its answer, where a
/// peer sends any.
pub(crate) const CHECK_SECONDS: u32 = 1;

/// What `cache.capacity` is by default.
const DEFAULT_CAPACITY: u32 = 100_000;

/// Alike for every peer of a comparison, but for the port of the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The endpoints of each tenant, by its number; one or two of each. Every tenant has a pool of
    /// its own, even if it shares endpoints with others.
    endpoints: Vec<Vec<SocketAddr>>,
    /// With it, clients must speak TLS; HTTP/2 is offered by ALPN.
    pub(crate) tls: Option<TlsFiles>,
    /// Threads (or processes) that serve requests.
    pub(crate) workers: u32,
    /// Whether tenants have logs at their endpoints, which can be tailed, and not metrics alone.
    /// Means nothing to peers that do not tell them apart.
    pub(crate) live_tails: bool,
    /// Whether a read that waits for its answer is sent to a second endpoint as well. Means nothing to
    /// peers that have no such thing by default.
    pub(crate) hedging: bool,
    /// Tenants that a router holds at most, and that means nothing to other peers.
    pub(crate) capacity: u32,
}

/// PEM files of a certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Setup {
    /// That many tenants, each with one endpoint at an address of its own, for such a peer.
    pub(crate) fn dedicated(lab: &Lab, kind: Kind, tenants: u32) -> Self {
        let one = |tenant| vec![lab.home(kind, tenant)];
        Self::with_endpoints((0..tenants).map(one).collect())
    }

    /// The tenants with these endpoints, over plain HTTP and with one worker.
    pub(crate) fn with_endpoints(endpoints: Vec<Vec<SocketAddr>>) -> Self {
        Self {
            endpoints,
            tls: None,
            workers: 1,
            live_tails: false,
            hedging: false,
            capacity: DEFAULT_CAPACITY,
        }
    }

    /// The tenants' numbers with their endpoints.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = (u32, &[SocketAddr])> {
        (0..).zip(self.endpoints.iter().map(Vec::as_slice))
    }

    /// How many tenants there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn endpoints_of(&self, tenant: u32) -> &[SocketAddr] {
        let tenant = usize::try_from(tenant).unwrap_or(usize::MAX);
        self.endpoints.get(tenant).map_or(&[], Vec::as_slice)
    }

    /// Where a way that knows no tenants leads. Port 0, where nobody answers, without any tenant.
    pub(crate) fn first_endpoint(&self) -> SocketAddr {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        self.endpoints_of(0).first().copied().unwrap_or(nowhere)
    }

    /// Changes a tenant, or adds it if its number is the next.
    pub(super) fn set(&mut self, tenant: u32, endpoints: Vec<SocketAddr>) {
        let tenant = usize::try_from(tenant).unwrap_or(usize::MAX);
        match self.endpoints.get_mut(tenant) {
            Some(existing) => *existing = endpoints,
            None => self.endpoints.push(endpoints),
        }
    }
}
