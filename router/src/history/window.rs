//! Stretches of time that end now, and how fast an error budget is used up in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tenant_store::{
    history::{Bucket, HistoryStore, Since, Span, Tally},
    model::{Objective, Signal, TenantId},
    repository::RepositoryError,
};

/// A stretch of time that ends now. It begins with the bucket that its beginning is in, so it is
/// longer by up to one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// Five minutes.
    FiveMinutes,
    /// Half an hour.
    HalfHour,
    /// An hour.
    Hour,
    /// Six hours.
    SixHours,
    /// A day.
    Day,
    /// Three days.
    ThreeDays,
    /// Thirty days: what objectives are for.
    Month,
}

impl Window {
    /// From short to long: `ALL[w as usize] == w`.
    pub const ALL: [Self; 7] = [
        Self::FiveMinutes,
        Self::HalfHour,
        Self::Hour,
        Self::SixHours,
        Self::Day,
        Self::ThreeDays,
        Self::Month,
    ];

    /// The name, as in answers and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::HalfHour => "30m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
            Self::ThreeDays => "3d",
            Self::Month => "30d",
        }
    }

    /// The buckets that make it.
    pub(super) fn since(self, now: Timestamp) -> Since {
        const HOUR: i64 = 3_600;
        let (span, seconds) = match self {
            Self::FiveMinutes => (Span::Minutes, 300),
            Self::HalfHour => (Span::Minutes, 1_800),
            Self::Hour => (Span::Minutes, HOUR),
            Self::SixHours => (Span::Hour, 6 * HOUR),
            Self::Day => (Span::Hour, 24 * HOUR),
            Self::ThreeDays => (Span::Hour, 72 * HOUR),
            Self::Month => (Span::Day, 30 * 24 * HOUR),
        };
        let begins = now - jiff::SignedDuration::from_secs(seconds);
        Since {
            span,
            start: Bucket::of(span, begins).start,
        }
    }
}

/// What came in each window, in the order of [`Window::ALL`].
pub(super) type Windows = [Tally; 7];

/// What came to each tenant's signal in each window; nothing of those that had no request in any.
pub(super) async fn sums(
    store: &dyn HistoryStore,
    tenants: &[TenantId],
    now: Timestamp,
) -> Result<BTreeMap<(TenantId, Signal), Windows>, RepositoryError> {
    let since = Window::ALL.map(|window| window.since(now));
    let sums = store.sums(tenants, &since).await?.into_iter();
    let windows = sums.map(|sum| {
        let mut tallies = sum.tallies.into_iter();
        let windows = Windows::default().map(|none| tallies.next().unwrap_or(none));
        ((sum.tenant, sum.signal), windows)
    });
    Ok(windows.collect())
}

/// How many times faster than allowed the error budget is used up: at 1 it lasts just as long as the
/// window that the objective is for. `None` if nothing was asked for.
pub fn burn_rate(tally: Tally, objective: Objective) -> Option<f64> {
    Some(tally.error_ratio()? / objective.error_budget())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_what_they_are_named_for_and_are_kept_that_long() {
        let now: Timestamp = "2026-11-28T23:04:59Z".parse().expect("a time");
        let lengths = [300, 1_800, 3_600, 21_600, 86_400, 259_200, 2_592_000];
        for (window, length) in Window::ALL.into_iter().zip(lengths) {
            let since = window.since(now);
            let covered = now.as_second() - since.start;
            let bucket = since.span.seconds();
            let name = window.as_str();
            assert!(
                (length..length + bucket).contains(&covered),
                "{name}: {covered}"
            );
            assert!(covered < since.span.kept_seconds(), "{name}");
            assert_eq!(Window::ALL[window as usize], window);
        }
    }

    #[test]
    fn a_budget_that_is_used_as_it_may_be_burns_at_one() {
        let objective = "99.9%".parse().expect("an objective");
        let burns = |good, bad| burn_rate(Tally { good, bad }, objective);
        let close = |rate: Option<f64>, expected: f64| {
            rate.is_some_and(|rate| (rate - expected).abs() < 1e-9)
        };
        assert!(close(burns(999, 1), 1.0));
        assert!(close(burns(1_000, 0), 0.0));
        assert!(close(burns(0, 10), 1_000.0));
        assert_eq!(burns(0, 0), None);
    }
}
