//! Keeps many endpoints from acting in step.
//!
//! [`Jitter`] is pure: the caller brings the noise, so that tests can choose it.

use std::time::Duration;

/// How far a planned time may be off, as a fraction of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter(f64);

impl Jitter {
    /// Anything outside `0.0..=0.5` is brought into that range; not a number means none.
    pub(crate) fn new(fraction: f64) -> Self {
        Self(if fraction.is_nan() {
            0.0
        } else {
            fraction.clamp(0.0, 0.5)
        })
    }

    /// `duration`, up to the fraction shorter or longer.
    pub(crate) fn around(self, duration: Duration, noise: f64) -> Duration {
        duration.mul_f64(1.0 + self.0 * (2.0 * noise - 1.0))
    }

    /// `duration`, up to the fraction shorter: for limits that must not be exceeded.
    pub(crate) fn below(self, duration: Duration, noise: f64) -> Duration {
        duration.mul_f64(1.0 - self.0 * noise)
    }

    /// Anywhere within `window`; its very beginning if jitter is switched off.
    pub(crate) fn within(self, window: Duration, noise: f64) -> Duration {
        if self.0 == 0.0 {
            Duration::ZERO
        } else {
            window.mul_f64(noise)
        }
    }
}

/// A number in `0.0..1.0` that nobody can foresee.
pub(crate) fn noise() -> f64 {
    rand::random()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// No noise leads out of the promised range, whatever fraction was asked for.
        #[test]
        fn stays_in_range(fraction in proptest::num::f64::ANY, noise in 0.0..1.0_f64, ms in 0_u64..86_400_000) {
            let jitter = Jitter::new(fraction);
            let duration = Duration::from_millis(ms);
            prop_assert!(jitter.around(duration, noise) <= duration.mul_f64(1.5));
            prop_assert!(jitter.around(duration, noise) >= duration.mul_f64(0.5));
            prop_assert!(jitter.below(duration, noise) <= duration);
            prop_assert!(jitter.within(duration, noise) <= duration);
        }
    }

    /// Tests that switch jitter off rely on exact times.
    #[test]
    fn none_means_exact() {
        let (jitter, second) = (Jitter::new(0.0), Duration::from_secs(1));
        assert_eq!(jitter.around(second, 0.7), second);
        assert_eq!(jitter.below(second, 0.7), second);
        assert_eq!(jitter.within(second, 0.7), Duration::ZERO);
    }
}
