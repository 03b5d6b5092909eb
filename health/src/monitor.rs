//! Who is watched, and the one task that sends all probes.
//!
//! Decides when a probe starts and how many run at once; what its result means is decided in
//! `machine`, and who is next on a port that several share in `site`. Lock order: registry, a
//! site's members, its turns, an endpoint's core, the schedule; `rules` is locked for a look only.

mod registry;
mod turn;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, broadcast},
    task::JoinSet,
    time::{self, Instant},
};

pub(crate) use self::turn::TurnHeld;
use self::{
    registry::Registry,
    turn::{Planned, Ready},
};
use crate::{
    ejection::EjectionPolicy,
    endpoint::{Due, EndpointHealth},
    jitter::{Jitter, noise},
    machine::Machine,
    outlier::OutlierPolicy,
    rules::Rules,
    schedule::{Schedule, Slot},
    site::Told,
    stats::{Counters, MonitorStats},
    target::{ProbeSpec, Target},
    transition::Transition,
};

/// How a [`Monitor`] works, the same for all endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonitorConfig {
    /// Probes in flight at most; those beyond wait their turn. 0 means 1.
    pub max_concurrent_probes: usize,
    /// When live failures take an endpoint out of use.
    pub ejection: EjectionPolicy,
    /// When the share of failures among live requests does.
    pub outliers: OutlierPolicy,
    /// How long an endpoint that comes back gets less than its share; zero for not at all, at most
    /// 1 day.
    pub slow_start: Duration,
    /// How far intervals and back-offs may vary, as a fraction of them; kept within 0.0 to 0.5.
    /// 0.0 makes all times exact.
    pub jitter: f64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            max_concurrent_probes: 64,
            ejection: EjectionPolicy::default(),
            outliers: OutlierPolicy::default(),
            slow_start: Duration::ZERO,
            jitter: 0.1,
        }
    }
}

/// Watches endpoints and tells how they are.
#[derive(Debug)]
pub struct Monitor {
    config: MonitorConfig,
    jitter: Jitter,
    started: Instant,
    registry: Mutex<Registry>,
    schedule: Mutex<Schedule<Planned>>,
    /// The schedule has an earlier beginning than the task in [`run`](Self::run) knows of.
    wake: Notify,
    announcements: broadcast::Sender<Transition>,
    counters: Counters,
    /// Nearly all endpoints go by the same.
    rules: Mutex<HashMap<Option<ProbeSpec>, Arc<Rules>>>,
}

impl Monitor {
    /// A monitor that watches nothing yet.
    pub fn new(config: MonitorConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            jitter: Jitter::new(config.jitter),
            started: Instant::now(),
            registry: Mutex::default(),
            schedule: Mutex::new(Schedule::new()),
            wake: Notify::new(),
            announcements: broadcast::Sender::new(ANNOUNCEMENTS_KEPT),
            counters: Counters::default(),
            rules: Mutex::default(),
        })
    }

    /// The health of `target`, watched from now on for as long as the answer is held.
    ///
    /// Equal targets share one. Doesn't block on anything but a short lock; needs no runtime.
    pub fn watch(self: &Arc<Self>, target: Target) -> Arc<EndpointHealth> {
        let target = Arc::new(target.sanitized());
        let mut registry = self.registry.lock();
        if let Some(known) = registry.get(&target) {
            return known;
        }
        let spread = self.spread(target.probe, registry.endpoints());
        let health = EndpointHealth::new(Arc::clone(self), Arc::clone(&target));
        let neighbour = registry.insert(target, &health);
        drop(registry);
        // Only now, as the last holder of a neighbour ends it.
        drop(neighbour);
        let known = health.site().and_then(|site| site.last_good());
        if let Some(known) = known {
            health.hear(&Told::Alive { recovered: false }, &known);
        }
        health.begin(spread);
        health.plan_first_look();
        health
    }

    /// Sends the probes. Endless: spawn it once, on any runtime with time and I/O; probes under
    /// way end with it.
    pub async fn run(self: Arc<Self>) {
        let (mut ready, mut looks) = (VecDeque::new(), VecDeque::new());
        let (mut probes, mut looking) = (JoinSet::new(), JoinSet::new());
        loop {
            self.collect_due(&mut ready, &mut looks);
            while probes.try_join_next().is_some() {}
            while looking.try_join_next().is_some() {}
            self.start_probes(&mut ready, &mut probes);
            start_looks(&mut looks, &mut looking);
            let next = self.schedule.lock().next_at();
            tokio::select! {
                () = self.wake.notified() => {}
                Some(_) = probes.join_next() => {}
                Some(_) = looking.join_next() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Changes of availability from now on. A receiver that falls behind by more than a thousand
    /// is told so and continues with the oldest kept one.
    pub fn transitions(&self) -> broadcast::Receiver<Transition> {
        self.announcements.subscribe()
    }

    /// Every endpoint that is being watched, in no order.
    pub fn endpoints(&self) -> Vec<Arc<EndpointHealth>> {
        self.registry.lock().all()
    }

    /// What has been counted so far.
    pub fn stats(&self) -> MonitorStats {
        let endpoints = self.registry.lock().endpoints();
        self.counters.read(endpoints)
    }

    pub(crate) fn machine(&self, probing: Option<ProbeSpec>) -> Machine {
        let mut known = self.rules.lock();
        if known.len() > 1024 && known.len().is_power_of_two() {
            known.retain(|_, rules| Arc::strong_count(rules) > 1);
        }
        let new = || Rules::new(self.config.ejection, self.jitter, probing);
        Machine::new(known.entry(probing).or_insert_with(new).clone())
    }

    pub(crate) fn outliers(&self) -> &OutlierPolicy {
        &self.config.outliers
    }

    /// In milliseconds; 0 for not at all.
    pub(crate) fn slow_start(&self) -> u64 {
        u64::try_from(self.config.slow_start.as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the monitor was made: a clock that fits into an atomic.
    pub(crate) fn clock_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn schedule(&self, at: Instant, health: Weak<EndpointHealth>) -> Slot {
        self.plan(at, Planned::Endpoint(health))
    }

    fn plan(&self, at: Instant, planned: Planned) -> Slot {
        let mut schedule = self.schedule.lock();
        let slot = schedule.insert(at, planned);
        if schedule.next_at() == Some(at) {
            self.wake.notify_one();
        }
        slot
    }

    pub(crate) fn cancel(&self, slot: Slot) {
        self.schedule.lock().cancel(slot);
    }

    pub(crate) fn announce(&self, transition: Transition) {
        self.counters.count(&transition);
        // Nobody listening is fine.
        let _ = self.announcements.send(transition);
    }

    /// A moment around `after` from now.
    pub(crate) fn plan_look(&self, health: Weak<EndpointHealth>, after: Duration) -> Slot {
        let after = self.jitter.around(after, noise());
        self.plan(Instant::now() + after, Planned::Look(health))
    }

    /// Somewhere within `window`, or at its beginning where all times are exact.
    pub(crate) fn within(&self, window: Duration) -> Duration {
        self.jitter.within(window, noise())
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Removes an endpoint that nobody holds, unless it is being watched anew already.
    pub(crate) fn forget(&self, target: &Arc<Target>) {
        self.registry.lock().remove(target);
    }

    /// When the first probe is sent: at once for a few endpoints, spread out for many, so that a
    /// start with thousands of tenants isn't a flood.
    fn spread(&self, probing: Option<ProbeSpec>, watched: usize) -> Duration {
        let interval = probing.map_or(Duration::ZERO, |spec| spec.interval);
        let pace = SPREAD_PER_ENDPOINT.saturating_mul(u32::try_from(watched).unwrap_or(u32::MAX));
        self.jitter.within(interval.min(pace), noise())
    }

    fn collect_due(
        self: &Arc<Self>,
        ready: &mut VecDeque<Ready>,
        looks: &mut VecDeque<Weak<EndpointHealth>>,
    ) {
        let now = Instant::now();
        loop {
            // The guard must be gone before the endpoint's lock is taken.
            let due = self.schedule.lock().pop_due(now);
            let (slot, weak) = match due {
                None => return,
                Some((slot, Planned::Endpoint(weak))) => (slot, weak),
                Some((_, Planned::Look(weak))) => {
                    looks.push_back(weak);
                    continue;
                }
                Some((_, Planned::Turn(site))) => {
                    ready.extend(site.upgrade().and_then(|site| self.next_turn(&site, now)));
                    continue;
                }
            };
            let Some(health) = weak.upgrade() else {
                continue;
            };
            let due = health.on_due(slot);
            match (due, health.site()) {
                (Due::Nothing, _) => {}
                (Due::Probe | Due::UrgentProbe, Some(site)) => {
                    self.enqueue(site, weak, health.is_urgent());
                }
                (Due::Probe, None) => ready.push_back(Ready::alone(weak)),
                (Due::UrgentProbe, None) => ready.push_front(Ready::alone(weak)),
            }
        }
    }

    fn start_probes(&self, ready: &mut VecDeque<Ready>, probes: &mut JoinSet<()>) {
        while probes.len() < self.config.max_concurrent_probes.max(1) {
            let Some(Ready { health, turn }) = ready.pop_front() else {
                return;
            };
            if let Some(run) = health.upgrade().and_then(|health| health.start_probe(turn)) {
                probes.spawn(run.run());
            }
        }
    }
}

fn start_looks(looks: &mut VecDeque<Weak<EndpointHealth>>, looking: &mut JoinSet<()>) {
    while looking.len() < LOOKS_AT_ONCE {
        let Some(weak) = looks.pop_front() else {
            return;
        };
        if let Some(look) = weak.upgrade().and_then(|health| health.start_look()) {
            looking.spawn(look.run());
        }
    }
}

pub(crate) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Enough for every endpoint of a big rack to change at once while a listener is busy.
const ANNOUNCEMENTS_KEPT: usize = 1_024;
/// They are in no hurry, and a page of metrics takes a backend more than a probe does; but some that
/// hang must not keep all others waiting.
const LOOKS_AT_ONCE: usize = 16;
/// Five hundred first probes a second.
const SPREAD_PER_ENDPOINT: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests;
