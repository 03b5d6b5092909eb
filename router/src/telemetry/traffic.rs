//! What a tenant's one signal has come to, and what came between two looks at it: for charts and
//! for whoever keeps records.

use tenant_store::model::{Signal, TenantId};

use super::{Telemetry, block::Totals, histogram::HistogramTotals, labels::Label};

/// Counts since the process was started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    answered: u64,
    failed: u64,
    first_byte: HistogramTotals,
}

/// What came between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stretch {
    /// Requests answered, whatever with.
    pub answered: u32,
    /// Of these, with a status of 500 or above.
    pub failed: u32,
    /// Half of the answers began within so many seconds; NaN if there were none.
    pub median: f32,
    /// 95 of 100 answers began within so many seconds; NaN if there were none.
    pub p95: f32,
}

impl Stretch {
    /// Nothing came.
    pub const IDLE: Self = Self {
        answered: 0,
        failed: 0,
        median: f32::NAN,
        p95: f32::NAN,
    };
}

impl Traffic {
    fn of(totals: &Totals) -> Self {
        let codes = || totals.codes.occurred();
        let failed = codes().filter(|(code, _)| code.starts_with('5'));
        Self {
            answered: totals.codes.sum(),
            failed: failed.map(|(_, count)| count).sum(),
            first_byte: totals.first_byte.clone(),
        }
    }

    /// What came since an earlier look.
    pub fn since(&self, earlier: &Self) -> Stretch {
        let count = |now: u64, then: u64| u32::try_from(now.saturating_sub(then));
        let first_byte = self.first_byte.since(&earlier.first_byte);
        Stretch {
            answered: count(self.answered, earlier.answered).unwrap_or(u32::MAX),
            failed: count(self.failed, earlier.failed).unwrap_or(u32::MAX),
            median: first_byte.quantile(0.5),
            p95: first_byte.quantile(0.95),
        }
    }
}

impl Telemetry {
    /// The traffic of every tenant that has a label of its own and was answered since this was last
    /// asked, by signal. The others cost no more than a look.
    pub fn fresh_traffic(&self) -> impl Iterator<Item = (TenantId, Signal, Traffic)> {
        let all = self.book.all().into_iter();
        all.filter_map(|counts| match &counts.tenant {
            Label::Own(tenant) if counts.followed.fresh(counts.answered()) > 0 => {
                let traffic = Traffic::of(&counts.totals());
                Some((tenant.clone(), counts.signal, traffic))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::telemetry::{Finished, Overflow, Service};

    #[test]
    fn what_came_between_is_told_and_no_more() {
        let telemetry = Telemetry::new(1).expect("metrics");
        let names = ["acme", "globex"].map(|id| id.parse().expect("an id"));
        let endpoint: [Arc<str>; 1] = ["vm:1".into()];
        let [acme, globex]: [TenantId; 2] = names;
        let local = telemetry.deployed(&acme, Signal::Metrics);
        let local = local.open(endpoint.iter(), &Overflow::new());
        let answer = |code, milliseconds| {
            local.begin();
            local.finish(&Finished {
                code,
                took: Duration::from_secs(9),
                first_byte: Some(Duration::from_millis(milliseconds)),
                moved_on: false,
                service: Service::Silent,
                request_bytes: 0,
                response_bytes: 0,
            });
        };
        let look = || {
            let all: Vec<_> = telemetry.fresh_traffic().collect();
            assert_eq!(all.len(), 1, "only tenants with a label: {all:?}");
            assert_eq!((&all[0].0, all[0].1), (&acme, Signal::Metrics));
            all[0].2.clone()
        };
        answer(200, 1);
        let first = look();
        telemetry.unrouted(&globex, Signal::Metrics, 503);
        assert!(telemetry.fresh_traffic().next().is_none(), "no news");
        let quiet = first.since(&first);
        assert_eq!((quiet.answered, quiet.failed), (0, 0));
        assert!(quiet.median.is_nan() && quiet.p95.is_nan());
        for _ in 0..9 {
            answer(204, 4);
        }
        answer(503, 400);
        let busy = look().since(&first);
        assert_eq!((busy.answered, busy.failed), (10, 1));
        assert!((0.0025..=0.005).contains(&busy.median), "{busy:?}");
        assert!((0.25..=0.5).contains(&busy.p95), "{busy:?}");
    }
}
