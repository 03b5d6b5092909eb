//! When live requests take an endpoint out of use, and for how long.
//!
//! Pure: time and noise are arguments. Knows what requests report, not what probes find.
//!
//! # Which failures count
//!
//! The rule stands in [`Streak::record`] and nowhere else:
//!
//! * [`Connect`](Failure::Connect) never gets here: nothing can be sent, so one is enough.
//! * Every other failure lengthens the streak, every success ends it.
//! * A streak of the full length ejects, **unless it consists of 503 answers only**. A backend
//!   says 503 when it is overloaded, and taking it away then would move its load to the others
//!   until they are overloaded too. Such a streak only asks for a probe: if that one fails as
//!   well the endpoint is down, otherwise, and where probing is off, its answers keep being passed
//!   through.
//! * One 502, 504, reset, timeout or protocol error within the streak is the second opinion that
//!   makes 503 count in full.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{rules::Rules, transition::Failure};

/// When live failures eject an endpoint and how long it stays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionPolicy {
    /// So many failed requests in a row, without a success between, eject; 0 means 1.
    pub consecutive_failures: u32,
    /// The first back-off; doubles with each ejection and each failed return. At least 10 ms.
    pub base: Duration,
    /// The longest back-off; at least `base`, at most 1 day.
    pub max: Duration,
}

impl Default for EjectionPolicy {
    /// After 5 failures in a row, for 1 s at first and 30 s at most.
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base: Duration::from_secs(1),
            max: Duration::from_secs(30),
        }
    }
}

/// What a streak of failures calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreakVerdict {
    /// Too short to mean anything.
    Wait,
    /// Long enough to ask a probe, not enough to act without one.
    Suspect,
    /// Take the endpoint out of use.
    Eject,
}

/// Failed live requests in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streak {
    failures: u32,
    beyond_overload: bool,
    last: Option<Failure>,
}

impl Streak {
    pub(crate) fn record(&mut self, failure: Failure, threshold: u32) -> StreakVerdict {
        self.failures = self.failures.saturating_add(1);
        self.last = Some(failure);
        self.beyond_overload |= failure != Failure::Unavailable;
        if self.failures < threshold {
            StreakVerdict::Wait
        } else if self.beyond_overload {
            StreakVerdict::Eject
        } else {
            StreakVerdict::Suspect
        }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn len(&self) -> u32 {
        self.failures
    }

    /// The failure that lengthened it last.
    pub(crate) fn last(&self) -> Option<Failure> {
        self.last
    }
}

/// How long an endpoint stays out: doubling with every ejection that follows another soon, and
/// with every failed attempt to return.
#[derive(Clone, Debug)]
pub(crate) struct BackOff {
    rules: Arc<Rules>,
    /// Ejections not yet forgiven.
    level: u32,
    /// Failed attempts to return from the present outage.
    retries: u32,
    until: Option<Instant>,
    restored_at: Option<Instant>,
    ejections: u64,
}

impl BackOff {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            level: 0,
            retries: 0,
            until: None,
            restored_at: None,
            ejections: 0,
        }
    }

    /// Begins an ejection.
    pub(crate) fn eject(&mut self, now: Instant, noise: f64) {
        self.forgive(now);
        self.level = self.level.saturating_add(1);
        self.ejections += 1;
        self.retries = 0;
        self.until = Some(now + self.hold(noise));
    }

    /// An attempt to return failed: stay out longer, but no longer than `limit` from now.
    pub(crate) fn prolong(&mut self, now: Instant, noise: f64, limit: Option<Duration>) {
        self.count_retry();
        let hold = self.hold(noise).min(limit.unwrap_or(Duration::MAX));
        self.until = self.until.max(Some(now + hold));
    }

    /// A probe found an endpoint still down that no live request ejected.
    pub(crate) fn count_retry(&mut self) {
        self.retries = self.retries.saturating_add(1);
    }

    /// The endpoint is in use again.
    pub(crate) fn restore(&mut self, now: Instant) {
        self.retries = 0;
        self.until = None;
        self.restored_at = Some(now);
    }

    /// An ejection is under way, whether or not its time is up.
    pub(crate) fn is_holding(&self) -> bool {
        self.until.is_some()
    }

    /// An ejection is under way and its time is up.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// What it goes by.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// When the present ejection may end.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How long to wait before asking again whether a dead endpoint came back: soon at first,
    /// because most outages are restarts.
    pub(crate) fn retry_delay(&self) -> Duration {
        self.doubled(self.retries)
    }

    /// Ejections since the beginning.
    pub(crate) fn ejections(&self) -> u64 {
        self.ejections
    }

    fn hold(&self, noise: f64) -> Duration {
        let doublings = self.level.saturating_sub(1).saturating_add(self.retries);
        self.rules.jitter.below(self.doubled(doublings), noise)
    }

    fn doubled(&self, doublings: u32) -> Duration {
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let Rules { base, max, .. } = *self.rules;
        base.saturating_mul(factor).min(max)
    }

    /// Forgets one ejection for every [`FORGIVE_AFTER`] back-offs of the longest kind that the
    /// endpoint stayed in use.
    fn forgive(&mut self, now: Instant) {
        let Some(restored_at) = self.restored_at else {
            return;
        };
        let healthy = now.saturating_duration_since(restored_at).as_millis();
        let forgiven = healthy / (self.rules.max * FORGIVE_AFTER).as_millis().max(1);
        self.level = self
            .level
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
    }
}

/// Longer than the longest back-off, or an endpoint that fails as soon as it may return would
/// never be kept out for long.
const FORGIVE_AFTER: u32 = 2;

#[cfg(test)]
mod tests;
