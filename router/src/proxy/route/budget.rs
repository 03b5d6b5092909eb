//! How many requests may be sent a second time, so that an outage can't become a storm.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::RetryPolicy;

const WINDOW: Duration = Duration::from_secs(10);

/// Counts one deployment's retries. Touched only by requests that need one.
#[derive(Debug, Default)]
pub struct RetryBudget(Mutex<Option<Window>>);

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    requests_before: u64,
    retries: u32,
}

impl RetryBudget {
    /// Takes one retry out of the budget, if there is one left. `requests` counts all requests of
    /// the deployment, ever.
    pub(super) fn withdraw(&self, policy: RetryPolicy, requests: u64, now: Instant) -> bool {
        let mut current = self.0.lock();
        let fresh = Window {
            began: now,
            requests_before: requests,
            retries: 0,
        };
        let window = match &mut *current {
            Some(window) if now.duration_since(window.began) < WINDOW => window,
            outdated => outdated.insert(fresh),
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "an estimate; exact below 2^52 requests"
        )]
        let earned = requests.saturating_sub(window.requests_before) as f64 * policy.ratio;
        let allowed = f64::from(window.retries) < f64::from(policy.burst) + earned;
        window.retries += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        ratio: 0.2,
        burst: 3,
    };

    fn granted(budget: &RetryBudget, requests: u64, now: Instant, asked: usize) -> usize {
        (0..asked)
            .filter(|_| budget.withdraw(POLICY, requests, now))
            .count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_allowed_and_then_a_share_of_the_requests() {
        let budget = RetryBudget::default();
        let now = Instant::now();
        assert_eq!(
            granted(&budget, 1000, now, 100),
            3,
            "earlier requests earn nothing"
        );
        assert_eq!(
            granted(&budget, 1050, now, 100),
            10,
            "a fifth of the fifty since"
        );
        assert_eq!(
            granted(&budget, 1050, now + WINDOW, 100),
            3,
            "a new window, a new burst"
        );
    }
}
