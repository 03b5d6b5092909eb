//! What live requests say of an endpoint, and what they ask of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Core, EndpointHealth};
use crate::{
    load::Load,
    machine::Effect,
    transition::{Availability, Failure},
};

impl EndpointHealth {
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
