//! One endpoint's health as everybody shares it.
//!
//! The request path asks with one atomic load and reports success with another; a short lock is
//! taken only when something failed, or when a success ends a streak of failures. All rules are
//! in `machine`; this file connects them to the clock, the schedule and the listeners.

mod look;
mod named;
mod probing;
mod run;
mod traffic;

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

pub use self::traffic::InFlight;
pub(crate) use self::{probing::Due, run::ProbeRun};
use crate::{
    deep::DeepReport,
    finding::Findings,
    jitter::noise,
    machine::{Change, Machine},
    monitor::Monitor,
    schedule::Slot,
    site::Site,
    snapshot::{HealthSnapshot, ProbeSnapshot},
    state::{Flags, Published},
    target::Target,
    transition::{Availability, Reason, Transition},
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
            look: None,
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
        let core = self.core.get_mut();
        let probe = match core.plan {
            Plan::Scheduled(slot) => Some(slot),
            Plan::Idle | Plan::Queued | Plan::Probing => None,
        };
        // What is planned would keep its memory until it is due.
        for slot in [probe, core.look].into_iter().flatten() {
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

#[derive(Debug)]
struct Core {
    machine: Machine,
    plan: Plan,
    /// When it is next looked at more closely.
    look: Option<Slot>,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for each of 100,000 tenants and more.
    #[test]
    fn an_endpoint_takes_little_memory() {
        let bytes = [size_of::<EndpointHealth>(), size_of::<Target>()];
        assert!(bytes[0] <= 352 && bytes[1] <= 216, "{bytes:?}");
    }
}
