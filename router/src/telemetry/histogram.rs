//! How long things took, by bucket: as one worker counts it, and as plain numbers.
//!
//! Buckets count what is theirs alone; they are added up only when they are told.

use std::time::Duration;

use super::count::Count;

/// Upper bounds in nanoseconds, inclusive, and as they are told, in seconds. From a loopback answer
/// to the longest ordinary query; what is above streams.
const BOUNDS: [(u64, &str); 15] = [
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
    (60_000_000_000, "60"),
];
/// One more for what is above all bounds.
const BUCKETS: usize = BOUNDS.len() + 1;

/// What one worker has observed.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    nanoseconds: Count,
    buckets: [Count; BUCKETS],
}

/// What was observed, as plain numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HistogramTotals {
    nanoseconds: u64,
    buckets: [u64; BUCKETS],
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(bound, _)| nanoseconds <= *bound);
        self.nanoseconds.add(nanoseconds);
        self.buckets[bucket.unwrap_or(BOUNDS.len())].add(1);
    }

    /// Adds what another one observed.
    pub(super) fn take_in(&self, more: &Self) {
        self.nanoseconds.add(more.nanoseconds.get());
        for (count, more) in self.buckets.iter().zip(&more.buckets) {
            count.add(more.get());
        }
    }
}

impl HistogramTotals {
    pub(super) fn take_in(&mut self, observed: &Histogram) {
        for (total, count) in self.buckets.iter_mut().zip(&observed.buckets) {
            *total += count.get();
        }
        self.nanoseconds = self.nanoseconds.saturating_add(observed.nanoseconds.get());
    }

    /// Bounds in seconds, the last being `+Inf`, with how much lies at or below them.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let bounds = BOUNDS.into_iter().map(|(_, text)| text).chain(["+Inf"]);
        bounds.zip(self.buckets).scan(0, |below, (bound, count)| {
            *below += count;
            Some((bound, *below))
        })
    }

    /// What was observed since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        since.nanoseconds = since.nanoseconds.saturating_sub(earlier.nanoseconds);
        for (count, then) in since.buckets.iter_mut().zip(&earlier.buckets) {
            *count = count.saturating_sub(*then);
        }
        since
    }

    /// How much time, in seconds, `share` of what was observed took at most: as if within a bucket
    /// all were spread evenly. NaN if nothing was observed.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "it is told to two digits"
    )]
    pub(super) fn quantile(&self, share: f64) -> f32 {
        let wanted = self.count() as f64 * share;
        let (mut below, mut from) = (0.0, 0.0);
        for (position, count) in self.buckets.iter().enumerate() {
            let count = *count as f64;
            let upto = BOUNDS
                .get(position)
                .map_or(from, |(bound, _)| *bound as f64 / 1e9);
            if count > 0.0 && below + count >= wanted {
                return (from + (upto - from) * (wanted - below) / count) as f32;
            }
            (below, from) = (below + count, upto);
        }
        f32::NAN
    }

    /// The sum of all that was observed, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds).as_secs_f64()
    }

    /// How much was observed.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_rise_and_are_told_in_seconds() {
        assert!(BOUNDS.is_sorted_by(|a, b| a.0 < b.0));
        for (nanoseconds, told) in BOUNDS {
            let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
            assert_eq!(seconds.to_string(), told);
        }
    }

    #[test]
    fn what_lies_on_a_bound_is_below_it() {
        let (histogram, mut totals) = (Histogram::default(), HistogramTotals::default());
        let observed = [0, 1_000_000, 1_000_001, 60_000_000_000, 60_000_000_001];
        for nanoseconds in observed {
            histogram.observe(Duration::from_nanos(nanoseconds));
        }
        totals.take_in(&histogram);
        let told: Vec<_> = totals.cumulative().collect();
        assert_eq!(told[0], ("0.001", 2));
        assert_eq!(told[1], ("0.0025", 3));
        assert_eq!(told[14], ("60", 4));
        assert_eq!(told[15], ("+Inf", 5));
        assert_eq!((told.len(), totals.count()), (16, 5));
        assert!((totals.seconds() - 120.002_000_002).abs() < 1e-9);
    }
}
