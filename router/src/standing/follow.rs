//! Notices what has changed, and tells it: looks at all tenants whenever an endpoint changed, and
//! now and then in any case.
//!
//! A look costs atomic loads for tenants that are well, and is paced so that it takes a tenth of
//! one core at most, however many tenants there are.

use std::{collections::HashMap, sync::Arc, time::Duration};

use health::Monitor;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tenant_store::{cache::Entry, model::TenantId};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    task::spawn_blocking,
    time::{Instant, sleep},
};

use super::{
    Standing,
    condition::Condition,
    event::{Cause, HealthEvent, Kind, News},
    record::Record,
    reread::Reread,
    sight, tenant_view,
};
use crate::proxy::route::TenantRoute;

/// What was told of those tenants that are not simply well.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) by_tenant: HashMap<TenantId, Record, ahash::RandomState>,
    /// How many looks there were.
    looks: u64,
}

/// At least so long between two looks: what fails together is told together.
const PAUSE: Duration = Duration::from_millis(50);

/// A look is taken so often in any case: maintenance ends by the clock, failing requests are no
/// change of availability.
const IN_ANY_CASE: Duration = Duration::from_secs(1);

/// The processor time of a look, times this, is the least until the next one...
const REST: u32 = 10;
/// ...and until the next one that nothing calls for.
const LONG_REST: u32 = 50;

impl Standing {
    /// Tells what happens to the endpoints of `monitor`. Endless: spawn it once.
    pub async fn follow(self: Arc<Self>, monitor: Arc<Monitor>) {
        let mut transitions = monitor.transitions();
        loop {
            let me = Arc::clone(&self);
            let took = spawn_blocking(move || cost(|| me.look())).await;
            let took = took.unwrap_or_else(|error| {
                tracing::error!(%error, "a look at the health of all tenants failed");
                Duration::ZERO
            });
            sleep(PAUSE.max(took * REST)).await;
            tokio::select! {
                () = next(&mut transitions) => {}
                () = self.nudged.notified() => {}
                () = sleep(IN_ANY_CASE.max(took * LONG_REST)) => {}
            }
            // The look to come sees what all of these came to.
            while !matches!(
                transitions.try_recv(),
                Err(TryRecvError::Empty | TryRecvError::Closed)
            ) {}
        }
    }

    /// Has tenants looked at soon: one has changed.
    pub fn nudge(&self) {
        self.nudged.notify_one();
    }

    /// Looks at every tenant once, tells what is new, and has those read again that no endpoint is
    /// left of. Linear in the number of tenants; takes locks: not for the request path.
    pub fn look(&self) {
        let now = Timestamp::now();
        let mut news = Vec::new();
        let mut records = self.records.lock();
        records.looks += 1;
        for entry in self.tenants.entries() {
            self.look_at(&entry, now, &mut records, &mut news);
        }
        let look = records.looks;
        records.by_tenant.retain(|tenant, record| {
            let is_there = record.seen_in == look;
            if !is_there {
                news.extend(farewell(tenant, record));
            }
            is_there
        });
        drop(records);
        for news in news {
            self.tell(news);
        }
    }

    fn look_at(
        &self,
        entry: &Entry<TenantRoute>,
        now: Timestamp,
        records: &mut Records,
        news: &mut Vec<News>,
    ) {
        let (id, route) = (entry.id(), entry.route());
        let look = records.looks;
        let known = records.by_tenant.get_mut(id);
        let is_calm = sight::is_calm(route);
        if is_calm && known.is_none() {
            return;
        }
        let maintenance = sight::maintenance(route, now);
        let record = if let Some(known) = known {
            known
        } else {
            let fresh = Record::new(route, entry.revision());
            records.by_tenant.entry(id.clone()).or_insert(fresh)
        };
        record.seen_in = look;
        if !record.still_holds(route, entry.revision(), maintenance) {
            let health = tenant_view(entry, now);
            news.extend(record.renew(route, &health, now));
        }
        if record.out_of_use.is_some() || is_left(route) {
            record.reread = None;
        } else if Reread::is_due(&mut record.reread, Instant::now()) {
            self.tenants.invalidate(id);
        }
        let is_well = is_calm && record.condition <= Condition::Healthy;
        if is_well && record.maintenance.is_none() && record.out_of_use.is_none() {
            records.by_tenant.remove(id);
        }
    }

    fn tell(&self, news: News) {
        if news.kind == Kind::Failover
            && let Some(signal) = news.signal
        {
            let cause = news.cause.as_str();
            self.telemetry.failed_over(&news.tenant, signal, cause);
        }
        log(&self.events.tell(news));
    }

    /// Since when a tenant is in this condition; `None` if it has been since it is known.
    pub(super) fn since_when(&self, tenant: &TenantId, condition: Condition) -> Option<Timestamp> {
        let records = self.records.lock();
        let record = records.by_tenant.get(tenant)?;
        match (&record.maintenance, condition) {
            _ if record.out_of_use.is_some() => record
                .since
                .filter(|_| record.out_of_use == Some(condition)),
            (Some((_, since)), Condition::Maintenance) => Some(*since),
            (None, condition) if condition == record.condition => record.since,
            _ => None,
        }
    }
}

/// Whether every deployment that can be spoken to has an endpoint that requests go to, other than
/// for want of any.
fn is_left(route: &TenantRoute) -> bool {
    route.deployments().all(|deployment| {
        deployment.fault().is_some() || sight::of_deployment(deployment).0 != Condition::Unhealthy
    })
}

/// What is told of a tenant that was deleted, or fell out of the cache, while it was not well.
fn farewell(tenant: &TenantId, record: &Record) -> Option<News> {
    let condition = record.told();
    let is_of_interest = condition > Condition::Healthy && record.out_of_use.is_none();
    is_of_interest.then(|| News {
        kind: Kind::Tenant,
        tenant: tenant.clone(),
        signal: None,
        endpoint: None,
        from: condition.as_str().into(),
        to: Condition::Unknown.as_str().into(),
        cause: Cause::CONFIG,
        sentence: "it is not known here any more".into(),
    })
}

/// Endpoints are logged by the monitor that watches them, once for however many tenants.
fn log(event: &HealthEvent) {
    let HealthEvent {
        kind,
        tenant,
        from,
        to,
        cause,
        sentence,
        ..
    } = event;
    let signal = event.signal.map(tenant_store::model::Signal::as_str);
    let worse = matches!(to.as_str(), "degraded" | "unhealthy");
    match kind {
        Kind::Endpoint | Kind::Findings => {
            tracing::debug!(%tenant, signal, %kind, %from, %to, %cause, "{sentence}");
        }
        _ if worse => tracing::warn!(%tenant, signal, %kind, %from, %to, %cause, "{sentence}"),
        _ => tracing::info!(%tenant, signal, %kind, %from, %to, %cause, "{sentence}"),
    }
}

/// The processor time that something takes on this thread. How long it waited for a processor is no
/// reason to look less often: on a busy machine people want to be told all the same.
fn cost(work: impl FnOnce()) -> Duration {
    let spent = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap_or_default()
    };
    let before = spent();
    work();
    spent().saturating_sub(before)
}

/// The next change, or that some were missed.
async fn next(transitions: &mut Receiver<health::Transition>) {
    match transitions.recv().await {
        Ok(_) | Err(RecvError::Lagged(_)) => {}
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_costs_nothing() {
        let long = Duration::from_millis(100);
        let (_sender, nobody) = std::sync::mpsc::channel::<()>();
        let wait = || assert!(nobody.recv_timeout(long).is_err());
        assert!(cost(wait) < long);
        let busy = || {
            let began = clock_gettime(ClockId::ThreadCPUTime);
            while clock_gettime(ClockId::ThreadCPUTime) == began {}
        };
        assert!(cost(busy) > Duration::ZERO);
    }
}
