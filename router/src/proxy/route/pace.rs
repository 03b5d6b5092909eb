//! How long a deployment's reads take until their answer begins: the 95th percentile of late.
//!
//! Kept only where reads are hedged. All workers write to it, so it is a box of its own: what a
//! route is made of otherwise stays on lines that are only read.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

/// The steps in which a duration is known: a quarter of its power of two, or a fifth on average.
const STEPS_BITS: u32 = 2;
/// All below 64 µs is one step, and so is all above two minutes.
const LEAST_BITS: u32 = 6;
const MOST_BITS: u32 = 27;
const BUCKETS: usize = ((MOST_BITS - LEAST_BITS) << STEPS_BITS) as usize;
/// Reads after which there is a first estimate, and then the next one.
const ESTIMATE_EVERY: u32 = 64;
/// Reads after which all that came before count half.
const FADE_EVERY: u32 = 1024;

/// The pace of one deployment, forgetting what is long past.
#[derive(Debug)]
pub(super) struct Pace {
    buckets: [AtomicU32; BUCKETS],
    recorded: AtomicU32,
    /// In microseconds; 0 while there is no estimate.
    p95: AtomicU32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
            recorded: AtomicU32::new(0),
            p95: AtomicU32::new(0),
        }
    }
}

impl Pace {
    /// The 95th percentile; `None` before there is enough to go by.
    pub(super) fn p95(&self) -> Option<Duration> {
        match self.p95.load(Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros.into())),
        }
    }

    /// Takes one read in. One that took far longer than most counts as no more than twice that:
    /// what hung for seconds says nothing of what can be expected of those that don't, and where
    /// all are that slow, the estimate follows in a few steps.
    pub(super) fn record(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let most = match self.p95.load(Relaxed) {
            0 => u32::MAX,
            p95 => p95.saturating_mul(2),
        };
        self.buckets[bucket(micros.min(most))].fetch_add(1, Relaxed);
        let recorded = self.recorded.fetch_add(1, Relaxed).wrapping_add(1);
        if recorded.is_multiple_of(ESTIMATE_EVERY) {
            self.estimate();
        }
        if recorded.is_multiple_of(FADE_EVERY) {
            self.fade();
        }
    }

    fn estimate(&self) {
        let count = |bucket: &AtomicU32| u64::from(bucket.load(Relaxed));
        let all: u64 = self.buckets.iter().map(count).sum();
        let mut above = all;
        for (index, bucket) in self.buckets.iter().enumerate() {
            above -= count(bucket).min(above);
            if above * 20 <= all {
                self.p95.store(upper_bound(index), Relaxed);
                return;
            }
        }
    }

    /// Halves what has been counted. What another worker counts at that moment may be lost, which
    /// an estimate can bear.
    fn fade(&self) {
        for bucket in &self.buckets {
            bucket.store(bucket.load(Relaxed) / 2, Relaxed);
        }
    }
}

fn bucket(micros: u32) -> usize {
    let micros = micros.clamp(1 << LEAST_BITS, (1 << MOST_BITS) - 1);
    let bits = micros.ilog2();
    let step = (micros >> (bits - STEPS_BITS)) & ((1 << STEPS_BITS) - 1);
    (((bits - LEAST_BITS) << STEPS_BITS) + step) as usize
}

/// In microseconds.
fn upper_bound(bucket: usize) -> u32 {
    // There are fewer than a hundred.
    let bucket = u32::try_from(bucket).unwrap_or_default();
    let (bits, step) = (
        LEAST_BITS + (bucket >> STEPS_BITS),
        bucket & ((1 << STEPS_BITS) - 1),
    );
    ((1 << STEPS_BITS) + step + 1) << (bits - STEPS_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fed(pace: &Pace, times: usize, millis: impl Fn(usize) -> u64) -> Option<u64> {
        for nth in 0..times {
            pace.record(Duration::from_millis(millis(nth)));
        }
        let p95 = pace.p95()?.as_micros();
        u64::try_from(p95).ok()
    }

    #[test]
    fn a_few_reads_are_nothing_to_go_by() {
        assert_eq!(fed(&Pace::default(), 63, |_| 10), None);
    }

    #[test]
    fn one_in_twenty_is_above_what_it_says() {
        let p95 = fed(&Pace::default(), 1000, |nth| 1 + (nth as u64) % 100).expect("an estimate");
        assert!((95_000..=119_000).contains(&p95), "{p95} µs");
    }

    #[test]
    fn it_follows_both_ways_and_a_few_that_hang_do_not_matter() {
        let pace = Pace::default();
        fed(&pace, 1000, |_| 10);
        let hanging = fed(&pace, 1000, |nth| if nth % 25 == 0 { 9_000 } else { 10 });
        assert!(hanging.expect("an estimate") <= 12_500, "{hanging:?}");
        let slow = fed(&pace, 20_000, |_| 400).expect("an estimate");
        assert!((400_000..=500_000).contains(&slow), "{slow} µs");
        let fast = fed(&pace, 20_000, |_| 10).expect("an estimate");
        assert!((10_000..=12_500).contains(&fast), "{fast} µs");
    }

    #[test]
    fn it_fits_into_a_few_cache_lines() {
        assert!(size_of::<Pace>() <= 384, "{} bytes", size_of::<Pace>());
    }

    proptest! {
        #[test]
        fn a_bucket_is_no_wider_than_a_quarter(micros in 64_u32..(1 << 27) - 1) {
            let bound = upper_bound(bucket(micros));
            prop_assert!(bound > micros);
            prop_assert!(u64::from(bound) * 4 <= u64::from(micros) * 5 + 4, "{bound}");
        }

        #[test]
        fn every_duration_has_a_bucket(micros: u32) {
            prop_assert!(bucket(micros) < BUCKETS);
        }
    }
}
