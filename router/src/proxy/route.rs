//! All that the request path needs to know of one tenant, resolved once per revision.
//!
//! What belongs to an endpoint or to the tenant rather than to the revision (health, connections,
//! counters) is shared with the route of the revision before.

mod budget;
mod build;
mod choice;
mod named;
mod pace;
mod pattern;
mod peer;
mod probe;

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use health::{Availability, EndpointHealth};
use http::{HeaderValue, uri::Authority};
use tenant_store::model::{
    BalancingPolicy, EndpointProtocol, Feature, Features, Maintenance, Objective, Signal, Status,
    TenantId, TierDefinition,
};

use super::{pick::Rules, rewrite::Addressee};
use crate::{
    config::{HedgePolicy, RetryPolicy},
    telemetry::{LocalCounts, Overflow, Telemetry, TenantCounts},
};

use self::pace::Pace;

pub use budget::RetryBudget;
pub(crate) use build::authorization;
pub use build::{RouteBuilder, RouteFault};
pub use choice::RequestKind;
pub use named::Named;
pub(crate) use peer::unresolved;
pub use peer::{Peer, PeerHost, PeerTls};

/// One tenant, as the request path sees it.
#[derive(Debug)]
pub struct TenantRoute {
    id: TenantId,
    display_name: Option<Box<str>>,
    status: Status,
    /// Whether this router saw it go out of use.
    withdrawn_here: bool,
    /// Boxed, as few tenants have one.
    maintenance: Option<Box<Maintenance>>,
    /// The availability it is promised.
    objective: Option<Objective>,
    /// The features that are switched off.
    off: Features,
    /// What it was built from besides the tenant's record.
    tier: Arc<TierDefinition>,
    /// Shared with the route that follows where that differs only in others of them.
    deployments: [Option<Arc<DeploymentRoute>>; 3],
}

/// A tenant's backends for one signal, as the request path sees them.
#[derive(Debug)]
pub struct DeploymentRoute {
    signal: Signal,
    /// Deadline of an ordinary request.
    timeout: std::time::Duration,
    rules: Rules,
    endpoints: Box<[EndpointRoute]>,
    /// The names that some of them stand for, in their order.
    names: Box<[Named]>,
    /// Whether some of them take gRPC, and the others everything else.
    is_mixed: bool,
    turn: AtomicU32,
    shared: Arc<DeploymentState>,
    /// Why it can't be spoken to, if it can't.
    fault: Option<RouteFault>,
}

/// What belongs to a tenant's signal whatever the revision.
#[derive(Debug)]
pub(super) struct DeploymentState {
    tenant: TenantId,
    signal: Signal,
    telemetry: Arc<Telemetry>,
    counts: OnceLock<TenantCounts>,
    budget: RetryBudget,
    /// Made when a read is hedged for the first time, which it never is by default.
    hedging: OnceLock<Box<Hedging>>,
    reread: parking_lot::Mutex<Option<tokio::time::Instant>>,
}

/// What is known and allowed of a deployment whose reads are hedged.
#[derive(Debug, Default)]
struct Hedging {
    pace: Pace,
    budget: RetryBudget,
}

/// One endpoint of a deployment.
#[derive(Debug, Clone)]
pub struct EndpointRoute {
    upstream: Upstream,
    zone: Option<Box<str>>,
    /// Whether that is the router's own.
    is_near: bool,
    priority: u16,
    weight: u16,
    draining: bool,
}

/// How one endpoint is addressed and reached.
#[derive(Debug, Clone)]
pub struct Upstream {
    peer: Arc<Peer>,
    name: Arc<str>,
    /// What the document calls it, if that is something else.
    from: Option<Arc<str>>,
    authority: Authority,
    base_path: Box<str>,
    /// Shared, as few deployments have one.
    authorization: Option<Arc<HeaderValue>>,
    health: Arc<EndpointHealth>,
}

impl TenantRoute {
    /// Whose route it is.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What people call the tenant.
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }

    /// What its document says is being done to its backends, whether or not that is over.
    pub fn maintenance(&self) -> Option<&Maintenance> {
        self.maintenance.as_deref()
    }

    /// The availability it is promised: the tenant's, or else its tier's.
    pub fn objective(&self) -> Option<Objective> {
        self.objective
    }

    /// Whether the tenant is served.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether it went out of use while this router knew it, rather than before.
    pub fn was_withdrawn_here(&self) -> bool {
        self.withdrawn_here
    }

    /// The features that are switched off.
    pub fn off(&self) -> Features {
        self.off
    }

    /// Whether a signal is switched on.
    pub fn has(&self, signal: Signal) -> bool {
        !self.off.contains(Feature::from(signal))
    }

    /// The tier it was built from.
    pub fn tier(&self) -> &Arc<TierDefinition> {
        &self.tier
    }

    /// The backends for one signal, if there are any.
    pub fn deployment(&self, signal: Signal) -> Option<&DeploymentRoute> {
        self.deployments[signal as usize].as_deref()
    }

    /// All deployments there are.
    pub fn deployments(&self) -> impl Iterator<Item = &DeploymentRoute> {
        self.deployments.iter().flatten().map(Arc::as_ref)
    }
}

impl DeploymentRoute {
    /// Which signal it serves.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Deadline of an ordinary request, from admission to the end of its answer.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout
    }

    /// Which of its endpoints gets the next request.
    pub fn policy(&self) -> BalancingPolicy {
        self.rules.policy
    }

    /// Its endpoints, in the order of the tenant's file; those of one name in that of their
    /// addresses.
    pub fn endpoints(&self) -> &[EndpointRoute] {
        &self.endpoints
    }

    /// Why it can't be spoken to, if it can't.
    pub fn fault(&self) -> Option<&RouteFault> {
        self.fault.as_ref()
    }

    /// Where its requests are counted. Tenants that are never asked cost nothing there.
    pub fn counts(&self) -> &TenantCounts {
        let shared = &self.shared;
        shared
            .counts
            .get_or_init(|| shared.telemetry.deployed(&shared.tenant, shared.signal))
    }

    /// Opens a worker's own counts of its requests; `overflow` is where it counts those of tenants
    /// without a label. They outlive addresses, so they go by what the document calls endpoints:
    /// addresses come and go without end.
    pub fn open_counts(&self, overflow: &Overflow) -> LocalCounts {
        let upstreams = self.endpoints.iter().map(|endpoint| &endpoint.upstream);
        let names = upstreams.map(|upstream| upstream.from.as_ref().unwrap_or(&upstream.name));
        self.counts().open(names, overflow)
    }

    /// Whether one more request may be sent a second time.
    pub fn may_retry(&self, policy: RetryPolicy, now: tokio::time::Instant) -> bool {
        self.shared
            .budget
            .withdraw(policy, self.counts().begun(), now)
    }

    /// How long a read waits for its answer to begin before another endpoint is asked as well.
    pub fn hedge_delay(&self, policy: HedgePolicy) -> std::time::Duration {
        let observed = self.shared.hedging().pace.p95();
        observed.map_or(policy.initial_delay, |p95| p95.max(policy.min_delay))
    }

    /// A read's answer began after so long, or had not yet begun after so long.
    pub fn observe_read(&self, took: std::time::Duration) {
        self.shared.hedging().pace.record(took);
    }

    /// Whether one more read may be sent to a second endpoint while the first has it.
    pub fn may_hedge(&self, policy: HedgePolicy, now: tokio::time::Instant) -> bool {
        let budget = &self.shared.hedging().budget;
        budget.withdraw(policy.budget, self.counts().begun(), now)
    }

    /// Whether it is time to read the tenant's record again because all endpoints fail: at most
    /// once in a while, however many requests find out.
    pub fn wants_reread(&self) -> bool {
        const EVERY: std::time::Duration = std::time::Duration::from_secs(5);
        let mut last = self.shared.reread.lock();
        let due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if due {
            *last = Some(tokio::time::Instant::now());
        }
        due
    }
}

impl DeploymentRoute {
    /// The same deployment with other endpoints.
    fn of(before: &Self, expanded: named::Expanded) -> Self {
        Self {
            signal: before.signal,
            timeout: before.timeout,
            rules: before.rules,
            is_mixed: choice::is_mixed(&expanded.endpoints),
            endpoints: expanded.endpoints.into(),
            names: expanded.names.into(),
            turn: AtomicU32::new(before.turn.load(Ordering::Relaxed)),
            shared: before.shared.clone(),
            // One with a fault has no endpoints, and so no names that could change.
            fault: None,
        }
    }
}

impl DeploymentState {
    fn hedging(&self) -> &Hedging {
        self.hedging.get_or_init(Box::default)
    }
}

impl EndpointRoute {
    /// `host:port`.
    pub fn name(&self) -> &str {
        &self.upstream.name
    }

    /// What the document calls it, if that is something else: it is one address of several.
    pub fn from(&self) -> Option<&str> {
        self.upstream.from.as_deref()
    }

    /// Where it was found to be, if the document has a name for it.
    pub fn address(&self) -> Option<SocketAddr> {
        let peer = &self.upstream.peer;
        match (peer.origin(), peer.host()) {
            (Some(_), PeerHost::Address(address)) => Some(SocketAddr::new(*address, peer.port())),
            _ => None,
        }
    }

    /// The failure domain it stands in.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Lower is preferred.
    pub fn priority(&self) -> u16 {
        self.priority
    }

    /// Whether it stands in the router's own zone.
    pub fn is_near(&self) -> bool {
        self.is_near
    }

    /// Whether an operator took it out of use.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether it is alive.
    pub fn health(&self) -> &EndpointHealth {
        &self.upstream.health
    }

    /// How it is addressed and reached.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Whether it gets requests. One that is drained is as good as down, however alive it is: here
    /// and nowhere else, so that it is out of use for all who pick.
    fn availability(&self) -> Availability {
        if self.draining {
            Availability::Down
        } else {
            self.health().availability()
        }
    }
}

impl Upstream {
    /// Whom to connect to.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// `host:port`, for logs.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// As the heads of requests to it name it.
    pub fn addressee(&self) -> Addressee<'_> {
        Addressee {
            base_path: &self.base_path,
            authority: &self.authority,
            secure: self.peer.tls().is_some(),
            authorization: self.authorization.as_deref(),
        }
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> EndpointProtocol {
        self.peer.protocol()
    }

    /// Whether it is alive.
    pub fn health(&self) -> &Arc<EndpointHealth> {
        &self.health
    }
}
