//! How busy an endpoint is and how long its answers take: what balancing policies ask for.
//!
//! Written by every worker for each request that is counted, on a cache line of its own. Made only
//! where a policy asks for it.

use std::{
    sync::atomic::{
        AtomicU32, AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Relaxed},
    },
    time::Duration,
};

/// An answer counts for less as others follow: after so long for a third.
const MEMORY_MS: f64 = 10_000.0;
/// What has not been heard of for so long is believed to take a third of what it took: an endpoint
/// that was slow gets another try.
const FADING_MS: f64 = 30_000.0;
/// No single answer, however long the pause before it, counts for more.
const MOST_WEIGHT: f64 = 0.5;

/// One endpoint's load, as all workers see it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    /// Microseconds in the upper half, when in milliseconds on the monitor's clock in the lower;
    /// 0 before the first answer.
    latency: AtomicU64,
    /// Requests that succeeded since the window of failures was opened.
    successes: AtomicU32,
}

impl Load {
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Successes counted, this one included.
    pub(crate) fn count_success(&self) -> u32 {
        self.successes.fetch_add(1, Relaxed).wrapping_add(1)
    }

    pub(crate) fn successes(&self) -> u32 {
        self.successes.load(Relaxed)
    }

    /// Begins to count anew.
    pub(crate) fn forget_successes(&self) {
        self.successes.swap(0, AcqRel);
    }

    /// Takes the time of one answer into the moving average. Where two workers do so at the same
    /// moment one of them may be lost.
    pub(crate) fn observe(&self, took: Duration, now_ms: u64) {
        let new = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let average = match unpack(self.latency.load(Relaxed)) {
            None => new,
            Some((old, at)) => {
                let since = f64::from(low(now_ms).wrapping_sub(at).max(1));
                let weight = (1.0 - (-since / MEMORY_MS).exp()).min(MOST_WEIGHT);
                rounded(f64::from(old) + weight * (f64::from(new) - f64::from(old)))
            }
        };
        self.latency.store(pack(average, now_ms), Relaxed);
    }

    /// How long an answer is believed to take, in microseconds; 0 if nothing is known.
    pub(crate) fn latency(&self, now_ms: u64) -> u32 {
        let Some((average, at)) = unpack(self.latency.load(Relaxed)) else {
            return 0;
        };
        // Less than a second makes no difference worth its computing.
        match low(now_ms).wrapping_sub(at) {
            0..1_000 => average,
            age => rounded(f64::from(average) * (-f64::from(age) / FADING_MS).exp()),
        }
    }
}

fn pack(micros: u32, now_ms: u64) -> u64 {
    (u64::from(micros) << 32) | u64::from(low(now_ms))
}

fn unpack(packed: u64) -> Option<(u32, u32)> {
    let micros = low(packed >> 32);
    (micros != 0).then_some((micros, low(packed)))
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low(number: u64) -> u32 {
    number as u32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two numbers of the type, and above 0"
)]
fn rounded(micros: f64) -> u32 {
    micros.max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// One answer a second: after half a minute little is left of what was before.
    #[test]
    fn the_average_follows() {
        let load = Load::default();
        assert_eq!(load.latency(0), 0);
        load.observe(millis(100), 5);
        assert_eq!(load.latency(5), 100_000);
        for second in 1..=30 {
            load.observe(millis(10), second * 1_000);
        }
        let now = load.latency(30_000);
        assert!((10_000..16_000).contains(&now), "{now} µs");
    }

    /// However rare answers are, one that takes long isn't all there is to say.
    #[test]
    fn a_single_answer_is_no_more_than_half() {
        let load = Load::default();
        load.observe(millis(10), 0);
        load.observe(millis(1_000), 3_600_000);
        assert_eq!(load.latency(3_600_000), 505_000);
    }

    /// Many answers within a moment count as what they are together: no more than the moment.
    #[test]
    fn a_burst_does_not_overturn_what_is_known() {
        let load = Load::default();
        load.observe(millis(10), 1_000);
        for _ in 0..100 {
            load.observe(millis(500), 1_001);
        }
        assert!(load.latency(1_001) < 20_000, "{}", load.latency(1_001));
    }

    /// A slow endpoint that nobody picks any more gets another try some day.
    #[test]
    fn what_is_not_heard_of_fades() {
        let load = Load::default();
        load.observe(millis(100), 0);
        assert_eq!(load.latency(999), 100_000);
        assert!((35_000..38_000).contains(&load.latency(30_000)));
        assert!(load.latency(300_000) < 10);
    }

    /// The clock's lower half begins anew after seven weeks.
    #[test]
    fn the_clock_may_wrap() {
        let (load, wrap) = (Load::default(), 1_u64 << 32);
        load.observe(millis(100), wrap - 500);
        assert_eq!(load.latency(wrap + 499), 100_000);
        assert!((35_000..39_000).contains(&load.latency(wrap + 29_500)));
    }
}
