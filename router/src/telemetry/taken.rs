//! What of a count was taken in already by whoever keeps records of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tenant_store::history::Tally;

/// How far a growing number was taken in. It is kept beside the number, as a map of these, by tenant
/// and signal, would take five times as much, and outlive the tenants.
#[derive(Debug, Default)]
pub(super) struct Taken(AtomicU64);

/// As [`Taken`], of requests that were served and that were not.
#[derive(Debug, Default)]
pub(super) struct TakenTally {
    good: Taken,
    bad: Taken,
}

impl Taken {
    /// What of `total` is new; from now on it is not.
    pub(super) fn fresh(&self, total: u64) -> u64 {
        total.saturating_sub(self.0.fetch_max(total, Relaxed))
    }
}

impl TakenTally {
    /// What of `total` is new; from now on it is not.
    pub(super) fn fresh(&self, total: Tally) -> Tally {
        Tally {
            good: self.good.fresh(total.good),
            bad: self.bad.fresh(total.bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_taken_once() {
        let taken = Taken::default();
        let fresh = [3, 3, 10, 9, 11].map(|total| taken.fresh(total));
        assert_eq!(fresh, [3, 0, 7, 0, 1]);
    }
}
