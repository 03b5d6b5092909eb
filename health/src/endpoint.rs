//! One endpoint's health as everybody shares it.
//!
//! The request path asks with one atomic load and reports success with another; a short lock is
//! taken only when something failed, or when a success ends a streak of failures. All rules are
//! in `machine`; this file connects them to the clock, the schedule and the listeners.

mod look;
mod named;
mod run;

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tracing::{info, warn};

pub(crate) use self::run::ProbeRun;
use crate::{
    deep::DeepReport,
    finding::Findings,
    jitter::noise,
    load::Load,
    machine::{Change, Effect, Machine},
    monitor::{Monitor, TurnHeld},
    probe::ProbeFailure,
    schedule::Slot,
    site::{Pace, Site, Told},
    snapshot::{HealthSnapshot, ProbeSnapshot},
    state::{Flags, Published},
    target::Target,
    transition::{Availability, Failure, Reason, Transition},
};

/// The health of one endpoint, shared by everybody who watches an equal target.
///
/// Probing goes on as long as somebody holds it.
pub struct EndpointHealth {
    pub(crate) published: Published,
    core: Mutex<Core>,
    target: Arc<Target>,
    monitor: Arc<Monitor>,
    me: Weak<Self>,
    /// Those on the same port, if there are others.
    site: OnceLock<Arc<Site>>,
}

impl EndpointHealth {
    /// What may be sent there. One atomic load.
    pub fn availability(&self) -> Availability {
        self.published.availability()
    }

    /// A live request got its reply. One atomic load, unless failures preceded it or it was a
    /// trial.
    pub fn report_success(&self) {
        let flags = self.published.flags();
        if flags.counting
            && self
                .published
                .load()
                .count_success()
                .is_multiple_of(CLOSE_EVERY)
        {
            let outliers = self.monitor.outliers();
            self.update(|core, now, _| {
                core.machine.close_window(outliers, now);
                None
            });
        }
        if flags.success_matters {
            self.update(|core, now, _| core.machine.on_success(now));
        }
    }

    /// A live request failed through the endpoint's fault.
    pub fn report_failure(&self, failure: Failure) {
        let mut suspect = false;
        self.update(|core, now, noise| {
            let effects = [
                core.machine.on_failure(failure, now, noise),
                self.among_others(core, failure, now, noise),
            ];
            suspect = effects.contains(&Effect::Suspect);
            effects.into_iter().find_map(Effect::change)
        });
        if suspect {
            self.suspect();
        }
    }

    /// A failure as one among the requests of its window.
    fn among_others(&self, core: &mut Core, failure: Failure, now: Instant, noise: f64) -> Effect {
        let (machine, policy) = (&mut core.machine, self.monitor.outliers());
        machine.close_window(policy, now);
        let load = self.published.load();
        if !machine.is_counting() {
            load.forget_successes();
        }
        machine.on_share(failure, load.successes(), policy, now, noise)
    }

    /// A live request waits unusually long: asks for a probe now, at most once a second. If that
    /// probe fails the endpoint is down at once. Does nothing where probing is off or the endpoint
    /// isn't up.
    pub fn suspect(&self) {
        if self.target.probe.is_none() || self.availability() != Availability::Up {
            return;
        }
        let now = self.monitor.clock_ms();
        if !self.published.claim_suspicion(now, now + SUSPECT_WINDOW_MS) {
            return;
        }
        let mut core = self.core.lock();
        core.suspected = true;
        self.hurry(core);
    }

    /// Has the next probe sent as soon as may be.
    fn hurry(&self, mut core: MutexGuard<'_, Core>) {
        match (core.plan, self.site.get()) {
            (Plan::Scheduled(_), _) => self.plan(&mut core, Instant::now()),
            (Plan::Queued, Some(site)) => {
                drop(core);
                self.monitor.enqueue(site, Weak::clone(&self.me), true);
            }
            (Plan::Queued, None) | (Plan::Idle | Plan::Probing, _) => {}
        }
    }

    /// Asks to be the one request that tries a half-open endpoint. Exactly one caller is told yes,
    /// until an outcome is reported or ten seconds have passed without one.
    pub fn try_trial(&self) -> bool {
        if self.availability() != Availability::HalfOpen {
            return false;
        }
        let now = self.monitor.clock_ms();
        self.published.claim_trial(now, now + TRIAL_WINDOW_MS)
    }

    /// Requests counted by [`count_request`](Self::count_request) and not finished yet, over all
    /// workers.
    pub fn in_flight(&self) -> usize {
        self.published.known_load().map_or(0, Load::in_flight)
    }

    /// An answer began after so long. For policies that go by it.
    pub fn observe_latency(&self, took: Duration) {
        let now = self.monitor.clock_ms();
        self.published.load().observe(took, now);
    }

    /// How long until an answer begins, in microseconds, as a moving average by
    /// [`observe_latency`](Self::observe_latency) that fades while nothing is observed; 0 if nothing
    /// is known. `now` is [`clock`](Self::clock).
    pub fn latency(&self, now: u64) -> u32 {
        let load = self.published.known_load();
        load.map_or(0, |load| load.latency(now))
    }

    /// Milliseconds on a clock that all endpoints share.
    pub fn clock(&self) -> u64 {
        self.monitor.clock_ms()
    }

    /// Which share of its requests it should get, in thousandths: less than all while it has come
    /// back a short while ago. One atomic load when it hasn't.
    pub fn share(&self) -> u16 {
        if !self.published.flags().warming {
            return FULL_SHARE;
        }
        let window = self.monitor.slow_start();
        match self.published.warming_for(self.monitor.clock_ms(), window) {
            None => FULL_SHARE,
            Some(since) => {
                let share = u64::from(FULL_SHARE) * since / window.max(1);
                u16::try_from(share).unwrap_or(FULL_SHARE).max(LEAST_SHARE)
            }
        }
    }

    /// Counts a request until the guard is dropped.
    pub fn count_request(self: &Arc<Self>) -> InFlight {
        self.published.load().enter();
        InFlight(Arc::clone(self))
    }

    /// Whether anything was ever heard from it, by a probe or a live request. One atomic load.
    pub fn is_seen(&self) -> bool {
        self.published.is_seen()
    }

    /// Whether live requests fail, though not yet enough of them to take it out of use. One atomic
    /// load.
    pub fn is_failing(&self) -> bool {
        self.published.is_failing()
    }

    /// What deep checks found wrong. One atomic load.
    pub fn findings(&self) -> Findings {
        self.published.findings()
    }

    /// Replaces what deep checks found wrong, until the next of them; answers what was known before.
    pub fn find(&self, findings: Findings) -> Findings {
        self.published.find(findings)
    }

    /// Whether probes judge it, besides live requests.
    pub fn is_probed(&self) -> bool {
        self.target.probe.is_some()
    }

    /// The name given in [`Target::name`].
    pub fn name(&self) -> &Arc<str> {
        &self.target.name
    }

    /// Everything an operator may want to know. Takes a lock: not for the request path.
    pub fn snapshot(&self) -> HealthSnapshot {
        let now = Instant::now();
        let core = self.core.lock();
        let machine = &core.machine;
        let remaining = machine
            .back_off()
            .until()
            .map(|until| until.saturating_duration_since(now));
        HealthSnapshot {
            endpoint: Arc::clone(&self.target.name),
            state: machine.availability(),
            since: core.since,
            reason: core.reason.to_string(),
            why: core.reason.clone(),
            findings: self.findings(),
            last_failure: machine.streak().last(),
            probing: self.target.probe.is_some(),
            last_probe: core.last_probe.clone(),
            consecutive_probe_successes: machine.counter().successes(),
            consecutive_probe_failures: machine.counter().failures(),
            consecutive_request_failures: machine.streak().len(),
            ejections: machine.back_off().ejections(),
            back_off_remaining_ms: remaining.map(millis),
            latency_ms: self.latency_ms(),
            deep: core.deep.as_ref().map(|deep| deep.snapshot()),
            in_flight: self.in_flight(),
        }
    }

    fn latency_ms(&self) -> Option<f64> {
        match self.latency(self.monitor.clock_ms()) {
            0 => None,
            micros => Some(f64::from(micros) / 1_000.0),
        }
    }

    pub(crate) fn new(monitor: Arc<Monitor>, target: Arc<Target>) -> Arc<Self> {
        let mut machine = monitor.machine(target.probe);
        let grace = target.start_grace();
        if grace > Duration::ZERO {
            machine.excuse(Instant::now() + grace);
        }
        let core = Core {
            machine,
            plan: Plan::Idle,
            suspected: false,
            own_fault: false,
            hopeful: false,
            since: Timestamp::now(),
            reason: Reason::Watched,
            last_probe: None,
            deep: None,
        };
        let published = Published::default();
        let flags = Flags {
            success_matters: core.machine.success_matters(),
            ..Flags::default()
        };
        published.publish(core.machine.availability(), flags);
        Arc::new_cyclic(|me| Self {
            published,
            core: Mutex::new(core),
            target,
            monitor,
            me: Weak::clone(me),
            site: OnceLock::new(),
        })
    }

    /// Plans the first probe, if there is to be any.
    pub(crate) fn begin(&self, delay: Duration) {
        if self.target.probe.is_some() {
            self.plan(&mut self.core.lock(), Instant::now() + delay);
        }
    }

    /// The schedule says that this endpoint's time has come.
    pub(crate) fn on_due(&self, slot: Slot) -> Due {
        let mut due = Due::Nothing;
        self.update(|core, now, _| {
            if core.plan != Plan::Scheduled(slot) {
                return None; // planned anew while this slot was being taken out
            }
            if self.target.probe.is_some() {
                core.plan = Plan::Queued;
                due = if core.suspected {
                    Due::UrgentProbe
                } else {
                    Due::Probe
                };
                return None;
            }
            core.plan = Plan::Idle;
            core.machine.on_deadline(now)
        });
        due
    }

    /// Everything the probe needs, without keeping the endpoint alive while it runs.
    pub(crate) fn start_probe(&self, turn: Option<TurnHeld>) -> Option<ProbeRun> {
        let spec = self.target.probe?;
        self.core.lock().plan = Plan::Probing;
        if let Some(turn) = &turn {
            turn.site().turns().lock().start(Instant::now());
        }
        Some(ProbeRun {
            health: Weak::clone(&self.me),
            target: Arc::clone(&self.target),
            timeout: spec.timeout,
            finished: false,
            turn,
        })
    }

    fn finish_probe(&self, result: &Result<(), ProbeFailure>, took: Duration) -> ProbeSnapshot {
        self.monitor.counters().count_probe(result, took);
        let snapshot = ProbeSnapshot {
            at: Timestamp::now(),
            ok: result.is_ok(),
            error: result.as_ref().err().map(ToString::to_string),
            latency_ms: took.as_secs_f64() * 1_000.0,
            shared: false,
        };
        self.update(|core, now, noise| {
            core.last_probe = Some(snapshot.clone());
            core.plan = Plan::Idle;
            core.hopeful = false;
            core.own_fault = !matches!(result, Ok(()) | Err(ProbeFailure::Connect(_)));
            let suspected = std::mem::take(&mut core.suspected);
            core.machine.on_probe(result.clone(), suspected, now, noise)
        });
        snapshot
    }

    /// The probe of another endpoint on the same port says something about this one, too.
    pub(crate) fn hear(&self, told: &Told, snapshot: &ProbeSnapshot) {
        let result = match told {
            Told::Alive { .. } => Ok(()),
            Told::Dead(failure) => Err(failure.clone()),
        };
        let mut stands_by_itself = false;
        self.update(|core, now, noise| {
            if result.is_ok() && core.own_fault {
                stands_by_itself = true;
                return None;
            }
            core.last_probe = Some(ProbeSnapshot {
                shared: true,
                ..snapshot.clone()
            });
            core.machine.on_probe(result, core.suspected, now, noise)
        });
        if stands_by_itself && *told == (Told::Alive { recovered: true }) {
            let mut core = self.core.lock();
            core.hopeful = true;
            self.hurry(core);
        }
    }

    /// Takes its place among those on the same port.
    pub(crate) fn settle(&self, site: &Arc<Site>) {
        // There is one for each port, so it doesn't matter who says so first.
        let _ = self.site.set(Arc::clone(site));
    }

    pub(crate) fn site(&self) -> Option<&Arc<Site>> {
        self.site.get()
    }

    /// Its last probe, and whether one is under way.
    pub(crate) fn probed(&self) -> (Option<ProbeSnapshot>, bool) {
        let core = self.core.lock();
        let under_way = matches!(core.plan, Plan::Queued | Plan::Probing);
        (core.last_probe.clone(), under_way)
    }

    /// Whether its probe should go before those of its neighbours.
    pub(crate) fn is_urgent(&self) -> bool {
        self.core.lock().is_urgent(Instant::now())
    }

    /// How long after a neighbour's probe it may have its own, if it waits for its turn.
    pub(crate) fn turn_pace(&self) -> Option<Pace> {
        let spec = self.target.probe?;
        let core = self.core.lock();
        let in_doubt = spec.fast_interval();
        (core.plan == Plan::Queued).then(|| Pace {
            now: if core.is_urgent(Instant::now()) {
                in_doubt
            } else {
                core.machine.pace(&spec)
            },
            in_doubt,
            id: std::ptr::from_ref(self).addr(),
        })
    }

    /// The probe's task ended without a result; the endpoint must not be forgotten over it.
    fn abandon_probe(&self) {
        self.update(|core, _, _| {
            core.plan = Plan::Idle;
            None
        });
    }

    /// Takes one step of the machine, then publishes, plans and announces what came of it.
    fn update(&self, step: impl FnOnce(&mut Core, Instant, f64) -> Option<Change>) {
        let (now, noise) = (Instant::now(), noise());
        let mut core = self.core.lock();
        let change = step(&mut core, now, noise);
        let machine = &core.machine;
        self.published.note(machine.seen(), machine.is_failing());
        let came_back = change
            .as_ref()
            .is_some_and(|change| change.to == Availability::Up);
        if came_back && self.monitor.slow_start() > 0 {
            self.published.begin_to_warm(self.monitor.clock_ms());
        }
        let is_up = machine.availability() == Availability::Up;
        let warming = is_up && (self.published.flags().warming || came_back);
        self.published.publish(
            machine.availability(),
            Flags {
                success_matters: machine.success_matters(),
                counting: machine.is_counting(),
                warming: warming && self.monitor.slow_start() > 0,
            },
        );
        let replan = match core.plan {
            Plan::Idle => true,
            Plan::Scheduled(_) => change.is_some(),
            Plan::Queued | Plan::Probing => false,
        };
        if replan {
            match core.machine.next_check(now, noise) {
                Some(at) => self.plan(&mut core, at),
                None => self.unplan(&mut core),
            }
        }
        let Some(change) = change else { return };
        let transition = self.enter(&mut core, change);
        drop(core);
        log(&transition);
    }

    /// Announces under the lock, so that listeners see changes in the order they happened.
    fn enter(&self, core: &mut Core, change: Change) -> Transition {
        self.published.free_trial();
        core.since = Timestamp::now();
        core.reason = change.reason.clone();
        let transition = Transition {
            endpoint: Arc::clone(&self.target.name),
            from: change.from,
            to: change.to,
            reason: change.reason,
            at: core.since,
        };
        self.monitor.announce(transition.clone());
        self.doubt_name(transition.to);
        transition
    }

    fn plan(&self, core: &mut Core, at: Instant) {
        self.unplan(core);
        core.plan = Plan::Scheduled(self.monitor.schedule(at, Weak::clone(&self.me)));
    }

    fn unplan(&self, core: &mut Core) {
        if let Plan::Scheduled(slot) = core.plan {
            self.monitor.cancel(slot);
        }
        core.plan = Plan::Idle;
    }
}

impl Drop for EndpointHealth {
    fn drop(&mut self) {
        if let Plan::Scheduled(slot) = self.core.get_mut().plan {
            self.monitor.cancel(slot);
        }
        self.monitor.forget(&self.target);
    }
}

impl fmt::Debug for EndpointHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointHealth")
            .field("name", &self.target.name)
            .field("availability", &self.availability())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Counts one request as in flight for as long as it lives.
#[derive(Debug)]
#[must_use = "the request is counted only while this is held"]
pub struct InFlight(Arc<EndpointHealth>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(load) = self.0.published.known_load() {
            load.leave();
        }
    }
}

/// What the scheduler has to do with an endpoint whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Probe,
    /// Live requests are waiting for this one: before all others.
    UrgentProbe,
}

#[derive(Debug)]
struct Core {
    machine: Machine,
    plan: Plan,
    /// Live requests asked for the next probe, or for the one under way.
    suspected: bool,
    /// Its own last probe failed, by more than a refused connection.
    own_fault: bool,
    /// A neighbour is well again, and its own probe is to follow.
    hopeful: bool,
    since: Timestamp,
    reason: Reason,
    last_probe: Option<ProbeSnapshot>,
    /// Boxed, as many endpoints have none.
    deep: Option<Box<DeepReport>>,
}

impl Core {
    fn is_urgent(&self, now: Instant) -> bool {
        self.suspected || self.hopeful || self.machine.is_deciding(now)
    }
}

/// Where an endpoint stands with the scheduler; it is never in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Idle,
    Scheduled(Slot),
    /// Due, waiting for a probe to be permitted.
    Queued,
    Probing,
}

fn log(transition: &Transition) {
    let Transition {
        endpoint,
        from,
        to,
        reason,
        ..
    } = transition;
    match to {
        Availability::Up | Availability::HalfOpen => {
            info!(%endpoint, %from, %to, %reason, "endpoint health changed");
        }
        Availability::Ejected | Availability::Down => {
            warn!(%endpoint, %from, %to, %reason, "endpoint health changed");
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The share of an endpoint that gets all its requests, in thousandths.
const FULL_SHARE: u16 = 1_000;
/// One that has come back gets no less than this from the beginning: it has to get warm by something.
const LEAST_SHARE: u16 = 100;
/// Every how many successes it is looked whether they need to be counted any longer.
const CLOSE_EVERY: u32 = 1_024;
/// A slow backend makes many requests wait at once; a second is soon enough to ask again.
const SUSPECT_WINDOW_MS: u64 = 1_000;
/// A trial whose outcome nobody reports (its client left, or it streams for hours) must not lock
/// the endpoint for ever.
const TRIAL_WINDOW_MS: u64 = 10_000;
