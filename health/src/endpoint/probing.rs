//! When an endpoint is probed, and what its probes and those of its neighbours say of it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::MutexGuard;
use tokio::time::Instant;

use super::{Core, EndpointHealth, Plan, ProbeRun};
use crate::{
    monitor::TurnHeld,
    probe::ProbeFailure,
    schedule::Slot,
    site::{Pace, Site, Told},
    snapshot::ProbeSnapshot,
};

/// What the scheduler has to do with an endpoint whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Probe,
    /// Live requests are waiting for this one: before all others.
    UrgentProbe,
}

impl EndpointHealth {
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

    /// Has the next probe sent as soon as may be.
    pub(super) fn hurry(&self, mut core: MutexGuard<'_, Core>) {
        match (core.plan, self.site.get()) {
            (Plan::Scheduled(_), _) => self.plan(&mut core, Instant::now()),
            (Plan::Queued, Some(site)) => {
                drop(core);
                self.monitor.enqueue(site, Weak::clone(&self.me), true);
            }
            (Plan::Queued, None) | (Plan::Idle | Plan::Probing, _) => {}
        }
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

    pub(super) fn finish_probe(
        &self,
        result: &Result<(), ProbeFailure>,
        took: Duration,
    ) -> ProbeSnapshot {
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

    /// The probe's task ended without a result; the endpoint must not be forgotten over it.
    pub(super) fn abandon_probe(&self) {
        self.update(|core, _, _| {
            core.plan = Plan::Idle;
            None
        });
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
}
