//! The rules that lead from evidence to availability.
//!
//! Pure: results of probes and requests come in with the time, changes go out. Who probes when,
//! and who is told, is decided elsewhere.
//!
//! There are two ways out of use, and each has its own way back:
//!
//! * **Thresholds.** Probes failed `unhealthy_after` times: `Down`, until they succeed
//!   `healthy_after` times. Where live requests had raised a suspicion one failed probe is enough.
//! * **Ejection.** A live request couldn't connect (`Down`), or many failed, in a row or as a share
//!   of all (`Ejected`):
//!   out for a back-off, during which no success counts. After it one good probe is enough, and a
//!   bad one prolongs it. Without probing the endpoint turns `HalfOpen` and one live request
//!   decides the same way.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    counter::ConsecutiveCounter,
    ejection::{BackOff, Streak, StreakVerdict},
    outlier::{self, FailureWindow, OutlierPolicy},
    probe::ProbeFailure,
    rules::Rules,
    target::ProbeSpec,
    transition::{Availability, Failure, Reason},
};

/// A change of availability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: Availability,
    pub(crate) to: Availability,
    pub(crate) reason: Reason,
}

/// What a live failure leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// A probe should decide, soon.
    Suspect,
    Changed(Change),
}

impl Effect {
    pub(crate) fn change(self) -> Option<Change> {
        match self {
            Self::Changed(change) => Some(change),
            Self::None | Self::Suspect => None,
        }
    }
}

/// The state of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    availability: Availability,
    /// Whether anything was ever heard from it: an answer, or the lack of one.
    seen: bool,
    counter: ConsecutiveCounter,
    streak: Streak,
    /// What failed lately. Boxed, as most endpoints have none.
    failures: Option<Box<FailureWindow>>,
    back_off: BackOff,
    /// Until then, and until its first good probe, failed probes don't count.
    grace: Option<Instant>,
}

impl Machine {
    /// Starts `Up`: an endpoint nobody has asked yet deserves its first request.
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        let (healthy_after, unhealthy_after) = rules
            .probing
            .map_or((1, 1), |spec| (spec.healthy_after, spec.unhealthy_after));
        Self {
            availability: Availability::Up,
            seen: false,
            counter: ConsecutiveCounter::new(healthy_after, unhealthy_after),
            streak: Streak::default(),
            failures: None,
            back_off: BackOff::new(rules),
            grace: None,
        }
    }

    /// Failed probes don't count until then, unless one succeeds before.
    pub(crate) fn excuse(&mut self, until: Instant) {
        self.grace = Some(until);
    }

    /// A probe finished. `suspected`: live requests had asked for it.
    pub(crate) fn on_probe(
        &mut self,
        result: Result<(), ProbeFailure>,
        suspected: bool,
        now: Instant,
        noise: f64,
    ) -> Option<Change> {
        if result.is_ok() || self.grace.is_some_and(|until| until <= now) {
            self.grace = None;
        }
        if self.is_excused() && !suspected {
            return None;
        }
        self.seen = true;
        let flipped = self.counter.record(result.is_ok()).is_some();
        match result {
            Ok(()) => self.on_good_probe(flipped, now),
            Err(failure) => self.on_bad_probe(failure, flipped || suspected, now, noise),
        }
    }

    /// A live request succeeded.
    pub(crate) fn on_success(&mut self, now: Instant) -> Option<Change> {
        self.seen = true;
        self.streak.reset();
        match self.availability {
            Availability::HalfOpen => Some(self.restore(Reason::TrialSucceeded, now)),
            // Requests sent before the ejection, and those of last resort, may still succeed; the
            // back-off has to show that this lasts.
            Availability::Up | Availability::Ejected | Availability::Down => None,
        }
    }

    /// A live request failed.
    pub(crate) fn on_failure(&mut self, failure: Failure, now: Instant, noise: f64) -> Effect {
        self.seen = true;
        let to = if failure == Failure::Connect {
            Availability::Down
        } else {
            Availability::Ejected
        };
        match self.availability {
            Availability::Up if to == Availability::Ejected => {
                match self.streak.record(failure, self.rules().threshold) {
                    StreakVerdict::Wait => return Effect::None,
                    StreakVerdict::Suspect => return Effect::Suspect,
                    StreakVerdict::Eject => self.back_off.eject(now, noise),
                }
            }
            Availability::Up => self.back_off.eject(now, noise),
            Availability::HalfOpen => self.back_off.prolong(now, noise, None),
            // One outage fails many requests at once; they must not add up to a long back-off.
            Availability::Ejected if to == Availability::Down => {}
            Availability::Ejected | Availability::Down => return Effect::None,
        }
        Effect::Changed(self.change(to, Reason::RequestFailed(failure)))
    }

    /// The failure that [`on_failure`](Self::on_failure) was told of, as one among many: `successes`
    /// are those since the window began.
    pub(crate) fn on_share(
        &mut self,
        failure: Failure,
        successes: u32,
        policy: &OutlierPolicy,
        now: Instant,
        noise: f64,
    ) -> Effect {
        if self.availability != Availability::Up || !outlier::counts(failure) {
            return Effect::None;
        }
        let window = self
            .failures
            .get_or_insert_with(|| Box::new(FailureWindow::open(now)));
        match window.record(failure, successes, policy) {
            StreakVerdict::Wait => Effect::None,
            StreakVerdict::Suspect => Effect::Suspect,
            StreakVerdict::Eject => {
                let failed = window.failures();
                let of = failed.saturating_add(successes);
                self.back_off.eject(now, noise);
                Effect::Changed(self.change(Availability::Ejected, Reason::Outlier { failed, of }))
            }
        }
    }

    /// Closes the window of failures if its time is over; the next failure opens another one.
    pub(crate) fn close_window(&mut self, policy: &OutlierPolicy, now: Instant) {
        if self
            .failures
            .as_ref()
            .is_some_and(|window| window.is_over(policy, now))
        {
            self.failures = None;
        }
    }

    /// Whether successes have to be counted.
    pub(crate) fn is_counting(&self) -> bool {
        self.failures.is_some()
    }

    /// The time of [`next_check`](Self::next_check) has come and there is no probe to send.
    pub(crate) fn on_deadline(&mut self, now: Instant) -> Option<Change> {
        let waiting = matches!(
            self.availability,
            Availability::Ejected | Availability::Down
        );
        (self.rules().probing.is_none() && waiting && self.back_off.is_over(now))
            .then(|| self.change(Availability::HalfOpen, Reason::BackOffOver))
    }

    /// When this endpoint should be looked at again: to probe it, or to end a back-off.
    pub(crate) fn next_check(&self, now: Instant, noise: f64) -> Option<Instant> {
        let until = match self.availability {
            Availability::Ejected | Availability::Down => self.back_off.until(),
            Availability::Up | Availability::HalfOpen => None,
        };
        let Some(spec) = self.rules().probing else {
            return until;
        };
        let pace = self.pace(&spec);
        let probe_at = now + self.rules().jitter.around(pace, noise);
        Some(until.map_or(probe_at, |until| probe_at.min(until.max(now))))
    }

    /// Time from one probe to the next in the present state, if there is nothing to wait for.
    pub(crate) fn pace(&self, spec: &ProbeSpec) -> Duration {
        if self.back_off.is_holding() {
            spec.interval
        } else if self.is_in_doubt() {
            spec.fast_interval()
        } else if self.availability == Availability::Down {
            spec.interval.min(self.back_off.retry_delay())
        } else {
            spec.interval
        }
    }

    /// Whether the next probe decides something: between two verdicts, or at the end of a back-off.
    pub(crate) fn is_deciding(&self, now: Instant) -> bool {
        if self.back_off.is_holding() {
            self.back_off.is_over(now)
        } else {
            self.is_in_doubt()
        }
    }

    fn is_in_doubt(&self) -> bool {
        self.counter.is_wavering() || self.is_excused()
    }

    pub(crate) fn availability(&self) -> Availability {
        self.availability
    }

    /// Whether a live success would change anything. While it wouldn't, none needs to be told.
    pub(crate) fn success_matters(&self) -> bool {
        !self.seen || self.availability == Availability::HalfOpen || self.streak.len() > 0
    }

    /// Whether anything was ever heard from it.
    pub(crate) fn seen(&self) -> bool {
        self.seen
    }

    /// Whether live requests fail, though not yet enough of them to take it out of use: at least
    /// two in a row, and half of what it takes.
    pub(crate) fn is_failing(&self) -> bool {
        self.streak.len() >= self.rules().threshold.div_ceil(2).max(2)
    }

    pub(crate) fn counter(&self) -> &ConsecutiveCounter {
        &self.counter
    }

    pub(crate) fn streak(&self) -> &Streak {
        &self.streak
    }

    pub(crate) fn back_off(&self) -> &BackOff {
        &self.back_off
    }

    fn rules(&self) -> &Rules {
        self.back_off.rules()
    }

    /// It may still be starting: nothing but live requests has an opinion on it.
    fn is_excused(&self) -> bool {
        self.grace.is_some() && self.availability == Availability::Up
    }

    fn on_good_probe(&mut self, flipped: bool, now: Instant) -> Option<Change> {
        let returns = if self.back_off.is_holding() {
            self.back_off.is_over(now)
        } else {
            flipped && self.availability == Availability::Down
        };
        returns.then(|| self.restore(Reason::ProbesSucceeded, now))
    }

    /// `conclusive`: enough to take an endpoint down that live requests are content with.
    fn on_bad_probe(
        &mut self,
        failure: ProbeFailure,
        conclusive: bool,
        now: Instant,
        noise: f64,
    ) -> Option<Change> {
        match self.availability {
            Availability::Up if conclusive => {}
            Availability::Up => return None,
            // Beyond the interval a longer back-off would spare nothing: probes go on at that
            // pace anyway, and the first good one should count.
            _ if self.back_off.is_holding() => {
                let limit = self.rules().probing.map(|spec| spec.interval);
                self.back_off.prolong(now, noise, limit);
            }
            _ => self.back_off.count_retry(),
        }
        self.counter.settle(false);
        // Live requests and a probe agree: what was ejected is down, without counting further.
        (self.availability != Availability::Down)
            .then(|| self.change(Availability::Down, Reason::ProbeFailed(failure)))
    }

    fn restore(&mut self, reason: Reason, now: Instant) -> Change {
        self.back_off.restore(now);
        self.counter.settle(true);
        self.change(Availability::Up, reason)
    }

    fn change(&mut self, to: Availability, reason: Reason) -> Change {
        let from = std::mem::replace(&mut self.availability, to);
        self.streak.reset();
        self.failures = None;
        Change { from, to, reason }
    }
}

#[cfg(test)]
mod tests;
