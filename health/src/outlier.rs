//! When the share of live requests that fail takes an endpoint out of use, though some succeed.
//!
//! Pure: time and what succeeded are arguments. A row of failures is noticed by `ejection`; this is
//! for endpoints that fail every other request and are thereby never five failures in a row.
//!
//! A window is opened by a failure and only then are successes counted: an endpoint that fails
//! nobody costs its requests nothing. What counts is what counts in a row, with the same exception:
//! 503 alone never ejects. A hedge that was lost doesn't count, as a share of them is meant to be.

use std::time::Duration;

use tokio::time::Instant;

use crate::{ejection::StreakVerdict, transition::Failure};

/// When the share of failed requests ejects an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierPolicy {
    /// How long requests are counted together. At least 1 ms.
    pub window: Duration,
    /// Below so many requests in a window their share means nothing; 0 means 1.
    pub min_requests: u32,
    /// This share of failures ejects, 0.0 to 1.0. Above 1.0 none does.
    pub failure_ratio: f64,
}

impl Default for OutlierPolicy {
    /// Half of at least 100 requests within 10 s.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            min_requests: 100,
            failure_ratio: 0.5,
        }
    }
}

/// The failures of one window.
#[derive(Clone, Debug)]
pub(crate) struct FailureWindow {
    began: Instant,
    failures: u32,
    beyond_overload: bool,
}

impl FailureWindow {
    pub(crate) fn open(now: Instant) -> Self {
        Self {
            began: now,
            failures: 0,
            beyond_overload: false,
        }
    }

    pub(crate) fn is_over(&self, policy: &OutlierPolicy, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= policy.window.max(Duration::from_millis(1))
    }

    /// Takes one failure in; `successes` are those since the window was opened.
    pub(crate) fn record(
        &mut self,
        failure: Failure,
        successes: u32,
        policy: &OutlierPolicy,
    ) -> StreakVerdict {
        self.failures = self.failures.saturating_add(1);
        self.beyond_overload |= failure != Failure::Unavailable;
        let all = self.failures.saturating_add(successes);
        let is_outlier = f64::from(self.failures) >= policy.failure_ratio * f64::from(all);
        if all < policy.min_requests.max(1) || !is_outlier {
            StreakVerdict::Wait
        } else if self.beyond_overload {
            StreakVerdict::Eject
        } else {
            StreakVerdict::Suspect
        }
    }

    /// Failures up to now.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// Whether a failure says that an endpoint answers badly, rather than late.
pub(crate) fn counts(failure: Failure) -> bool {
    match failure {
        Failure::BadGateway
        | Failure::Connect
        | Failure::Protocol
        | Failure::Reset
        | Failure::Timeout
        | Failure::Unavailable => true,
        Failure::Outpaced => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: OutlierPolicy = OutlierPolicy {
        window: Duration::from_secs(10),
        min_requests: 10,
        failure_ratio: 0.5,
    };

    fn after(failures: u32, successes: u32, failure: Failure) -> StreakVerdict {
        let mut window = FailureWindow::open(Instant::now());
        let verdicts = (0..failures).map(|_| window.record(failure, successes, &POLICY));
        verdicts.last().unwrap()
    }

    /// Half of ten is enough, half of eight is too few to say, four of ten is not half.
    #[test]
    fn the_share_decides_once_there_are_enough() {
        assert_eq!(after(5, 5, Failure::Reset), StreakVerdict::Eject);
        assert_eq!(after(4, 4, Failure::Reset), StreakVerdict::Wait);
        assert_eq!(after(4, 6, Failure::Reset), StreakVerdict::Wait);
    }

    /// Overload asks for a probe, in whatever share.
    #[test]
    fn overload_alone_never_ejects() {
        assert_eq!(after(50, 0, Failure::Unavailable), StreakVerdict::Suspect);
    }

    #[test]
    fn a_window_ends() {
        let now = Instant::now();
        let window = FailureWindow::open(now);
        assert!(!window.is_over(&POLICY, now + Duration::from_millis(9_999)));
        assert!(window.is_over(&POLICY, now + POLICY.window));
    }
}
