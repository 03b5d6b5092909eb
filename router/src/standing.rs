//! How tenants are, in words, numbers and events.
//!
//! Views are computed when they are asked for, from what the tenant cache and the health monitor
//! hold: nothing is kept of tenants that are well. Decides nothing: where a request goes is the
//! request path's business.

mod condition;
mod event;
mod follow;
mod news;
mod overview;
mod record;
mod reread;
mod sentence;
mod sight;
mod states;
mod view;

use std::{collections::BTreeMap, fmt, sync::Arc};

use health::Availability;
use jiff::Timestamp;
use parking_lot::Mutex;
use tenant_store::{
    cache::{Entry, TenantCache},
    model::{Signal, TenantId},
};
use tokio::sync::{Notify, broadcast};

use self::{
    event::Events,
    follow::Records,
    sight::{Sight, worse},
};
use crate::{
    proxy::{
        pick::Tried,
        route::{DeploymentRoute, EndpointRoute, Named, TenantRoute},
    },
    telemetry::Telemetry,
};

pub use self::{
    condition::{Condition, EndpointCondition},
    event::{ByOperator, Cause, Feed, HealthEvent, Kind, Since},
    overview::{Cursor, Filter, Order},
    view::{
        Counts, DeploymentHealth, EndpointCounts, EndpointView, Failover, NameView, Overall,
        Overview, SignalSummary, TenantHealth, TenantSummary,
    },
};

/// Tells how tenants are, and what has changed.
pub struct Standing {
    tenants: Arc<TenantCache<TenantRoute>>,
    telemetry: Arc<Telemetry>,
    events: Events,
    records: Mutex<Records>,
    /// A tenant has changed.
    nudged: Notify,
}

impl Standing {
    /// Tells of the tenants in `tenants`, and counts in `telemetry` what happens to them once
    /// [`follow`](Self::follow) runs.
    pub fn new(tenants: Arc<TenantCache<TenantRoute>>, telemetry: Arc<Telemetry>) -> Arc<Self> {
        Arc::new(Self {
            tenants,
            telemetry,
            events: Events::new(),
            records: Mutex::default(),
            nudged: Notify::new(),
        })
    }

    /// The tenants this router knows, the worst first. Looks at each of them: linear in their
    /// number, without I/O.
    pub fn overview(&self, filter: &Filter) -> Overview {
        let now = Timestamp::now();
        let page = overview::page(self.tenants.entries(), filter, now);
        let summary = |entry: &Arc<Entry<TenantRoute>>| {
            let mut health = tenant_view(entry, now);
            health.since = self.since_when(entry.id(), health.condition);
            summary(health)
        };
        Overview {
            counts: page.counts,
            tenants: page.entries.iter().map(summary).collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }

    /// All there is to tell of a tenant that this router knows; `None` if it doesn't. Asks no store.
    pub fn tenant(&self, id: &TenantId) -> Option<TenantHealth> {
        self.tenants.held(id).map(|entry| self.of_entry(&entry))
    }

    /// All there is to tell of a tenant that the cache has handed out.
    pub fn of_entry(&self, entry: &Entry<TenantRoute>) -> TenantHealth {
        let mut health = tenant_view(entry, Timestamp::now());
        health.since = self.since_when(entry.id(), health.condition);
        for (signal, deployment) in &mut health.deployments {
            deployment.last_failover = self.last_failover(entry.id(), *signal);
        }
        health
    }

    /// Events from now on. A receiver that falls behind by more than a thousand is told so and
    /// continues with the oldest kept one.
    pub fn feed(&self) -> broadcast::Receiver<Arc<HealthEvent>> {
        self.events.feed()
    }

    /// The events after `seq` of the last thousand.
    pub fn since(&self, seq: u64) -> Vec<Arc<HealthEvent>> {
        self.events.since(seq)
    }

    /// The events after `seq` of the last thousand, and those that come after them: none twice,
    /// none left out.
    pub fn since_and_feed(&self, seq: u64) -> Since {
        self.events.since_and_feed(seq)
    }

    /// The place of the newest event, whether or not there was any since the start.
    pub fn newest(&self) -> u64 {
        self.events.newest()
    }

    fn last_failover(&self, tenant: &TenantId, signal: Signal) -> Option<Failover> {
        let event = self.events.last(|event| {
            event.kind == Kind::Failover && event.tenant == *tenant && event.signal == Some(signal)
        })?;
        Some(Failover {
            at: event.at,
            from: event.from.clone(),
            to: event.to.clone(),
            cause: event.cause,
        })
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("newest", &self.newest())
            .finish_non_exhaustive()
    }
}

/// How a tenant is, but for what has to be looked up of its past.
fn tenant_view(entry: &Entry<TenantRoute>, now: Timestamp) -> TenantHealth {
    let route = entry.route();
    let deployments: BTreeMap<_, _> = route
        .deployments()
        .map(|one| (one.signal(), deployment_view(one, now)))
        .collect();
    let worst = |deployment: &DeploymentHealth| deployment.overall;
    let mut health = TenantHealth {
        tenant: route.id().clone(),
        display_name: route.display_name().map(Into::into),
        status: route.status(),
        tier: route.tier().name.clone(),
        revision: entry.revision(),
        overall: deployments
            .values()
            .map(worst)
            .max()
            .unwrap_or(Overall::Healthy),
        condition: Condition::Unknown,
        score: None,
        sentence: String::new(),
        since: None,
        maintenance: sight::maintenance(route, now).cloned(),
        deployments,
    };
    for deployment in health.deployments.values() {
        health.condition = health.condition.max(deployment.condition);
        health.score = worse(health.score, deployment.score);
    }
    if let Some(condition) = sight::set_by_operators(route, now) {
        health.condition = condition;
    }
    health.sentence = sentence::of_tenant(&health, now);
    health
}

fn deployment_view(deployment: &DeploymentRoute, now: Timestamp) -> DeploymentHealth {
    let sight = Sight::of(deployment);
    let endpoints: Vec<_> = deployment
        .endpoints()
        .iter()
        .zip(&sight.endpoints)
        .map(|(endpoint, condition)| endpoint_view(endpoint, *condition, now))
        .collect();
    let fault = deployment.fault().map(ToString::to_string);
    let served_by: Vec<String> = sight
        .serving
        .names(deployment)
        .into_iter()
        .map(Into::into)
        .collect();
    DeploymentHealth {
        overall: overall(deployment),
        condition: sight.condition,
        score: sight.score,
        sentence: sentence::of_deployment(
            deployment.signal(),
            sight.condition,
            fault.as_deref(),
            &endpoints,
            &served_by,
            sight.left_out,
        ),
        fault,
        served_by,
        endpoints,
        names: deployment
            .names()
            .iter()
            .map(|named| name_view(named, now))
            .collect(),
        last_failover: None,
    }
}

fn endpoint_view(
    endpoint: &EndpointRoute,
    condition: EndpointCondition,
    now: Timestamp,
) -> EndpointView {
    let mut health = endpoint.health().snapshot();
    // The same address may have been called by its name before others joined it.
    health.endpoint = endpoint.upstream().name().clone();
    let mut view = EndpointView {
        from: endpoint.from().map(Into::into),
        address: endpoint.address(),
        zone: endpoint.zone().map(Into::into),
        priority: endpoint.priority(),
        condition,
        cause: None,
        sentence: None,
        findings: health.findings.iter().collect(),
        health,
    };
    view.cause = cause(&view);
    view.sentence = sentence::of_endpoint(&view, now);
    view
}

fn name_view(named: &Named, now: Timestamp) -> NameView {
    let mut known = named.record().snapshot();
    known.left_out = named.left_out();
    let sentence = sentence::of_name(&known, now);
    NameView { known, sentence }
}

/// Why an endpoint is not simply healthy.
fn cause(endpoint: &EndpointView) -> Option<Cause> {
    match endpoint.condition {
        EndpointCondition::Healthy | EndpointCondition::Unknown => None,
        EndpointCondition::Draining => Some(Cause::DRAIN),
        EndpointCondition::Ejected | EndpointCondition::Unhealthy => Some(endpoint.reason().into()),
        EndpointCondition::Degraded => {
            let failure = endpoint.health.last_failure.map(health::Cause::from);
            let failing = failure.filter(|_| endpoint.findings.is_empty());
            Some(failing.unwrap_or(health::Cause::Findings).into())
        }
    }
}

/// Whether endpoints are up, the worst of those that take one kind of request. Those that are drained
/// are not asked.
fn overall(deployment: &DeploymentRoute) -> Overall {
    if deployment.fault().is_some() {
        return Overall::Unhealthy;
    }
    let of_kind = |(_, unfit): (_, Tried)| {
        let (mut up, mut all) = (0_usize, 0_usize);
        for (position, endpoint) in deployment.endpoints().iter().enumerate() {
            if !endpoint.is_draining() && !unfit.contains(position) {
                up += usize::from(endpoint.health().availability() == Availability::Up);
                all += 1;
            }
        }
        match all {
            0 => Overall::Unhealthy,
            _ => Overall::of(up, all),
        }
    };
    let worst = deployment.kinds().map(of_kind).max();
    worst.unwrap_or(Overall::Unhealthy)
}

fn summary(health: TenantHealth) -> TenantSummary {
    let mut endpoints = EndpointCounts::default();
    for endpoint in health.deployments.values().flat_map(|d| &d.endpoints) {
        endpoints.total += 1;
        endpoints.healthy += usize::from(endpoint.condition == EndpointCondition::Healthy);
    }
    let of_signal = |(signal, deployment): (&Signal, &DeploymentHealth)| {
        let summary = SignalSummary {
            condition: deployment.condition,
            score: deployment.score,
        };
        (*signal, summary)
    };
    TenantSummary {
        signals: health.deployments.iter().map(of_signal).collect(),
        endpoints,
        tenant: health.tenant,
        display_name: health.display_name,
        tier: health.tier,
        status: health.status,
        condition: health.condition,
        score: health.score,
        sentence: health.sentence,
        since: health.since,
    }
}
