//! Thresholds both ways: how many equal results in a row change a verdict.
//!
//! Pure; knows neither time nor what was measured.

/// Counts equal results in a row and flips a verdict when there are enough that contradict it.
#[derive(Clone, Debug)]
pub(crate) struct ConsecutiveCounter {
    run: u32,
    healthy_after: u8,
    unhealthy_after: u8,
    healthy: bool,
    run_ok: bool,
}

impl ConsecutiveCounter {
    /// Starts healthy, before any result. A threshold of 0 means 1.
    pub(crate) fn new(healthy_after: u8, unhealthy_after: u8) -> Self {
        Self {
            healthy_after: healthy_after.max(1),
            unhealthy_after: unhealthy_after.max(1),
            healthy: true,
            run: 0,
            run_ok: true,
        }
    }

    /// Takes one result; returns the new verdict if it changed by it.
    pub(crate) fn record(&mut self, ok: bool) -> Option<bool> {
        self.run = if ok == self.run_ok {
            self.run.saturating_add(1)
        } else {
            1
        };
        self.run_ok = ok;
        let needed = if ok {
            self.healthy_after
        } else {
            self.unhealthy_after
        };
        if ok == self.healthy || self.run < u32::from(needed) {
            return None;
        }
        self.healthy = ok;
        Some(ok)
    }

    /// Sets the verdict by other evidence, without a result.
    pub(crate) fn settle(&mut self, healthy: bool) {
        self.healthy = healthy;
    }

    /// The last result contradicts the verdict, but there haven't been enough of them.
    pub(crate) fn is_wavering(&self) -> bool {
        self.run > 0 && self.run_ok != self.healthy
    }

    /// Successes in a row up to now.
    pub(crate) fn successes(&self) -> u32 {
        if self.run_ok { self.run } else { 0 }
    }

    /// Failures in a row up to now.
    pub(crate) fn failures(&self) -> u32 {
        if self.run_ok { 0 } else { self.run }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each threshold counts results in a row; one contrary result starts over.
    #[test]
    fn flips_at_the_threshold_and_starts_over() {
        let mut counter = ConsecutiveCounter::new(2, 3);
        assert_eq!([false, false, true].map(|ok| counter.record(ok)), [None; 3]);
        assert_eq!(
            [false, false, false].map(|ok| counter.record(ok)),
            [None, None, Some(false)]
        );
        assert_eq!([true, false, true].map(|ok| counter.record(ok)), [None; 3]);
        assert!(counter.is_wavering());
        assert_eq!(counter.record(true), Some(true));
        assert!(!counter.is_wavering());
    }

    /// A verdict set from outside is the one that the next results have to overturn.
    #[test]
    fn settling_needs_the_full_threshold_to_overturn() {
        let mut counter = ConsecutiveCounter::new(2, 3);
        counter.record(false);
        counter.settle(false);
        assert!(!counter.is_wavering());
        assert_eq!(
            [true, true].map(|ok| counter.record(ok)),
            [None, Some(true)]
        );
    }

    proptest! {
        /// The verdict after any history is what the definition says: the last run long enough
        /// to matter decides.
        #[test]
        fn agrees_with_its_definition(
            healthy_after in 1_u8..5,
            unhealthy_after in 1_u8..5,
            results in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let mut counter = ConsecutiveCounter::new(healthy_after, unhealthy_after);
            let mut verdict = true;
            for (index, &ok) in results.iter().enumerate() {
                let run = results[..=index].iter().rev().take_while(|&&r| r == ok).count();
                let needed = if ok { healthy_after } else { unhealthy_after };
                let expected = (ok != verdict && run >= usize::from(needed)).then_some(ok);
                prop_assert_eq!(counter.record(ok), expected);
                verdict = expected.unwrap_or(verdict);
                prop_assert_eq!(counter.successes() + counter.failures(), u32::try_from(run).unwrap());
                prop_assert_eq!(counter.is_wavering(), ok != verdict);
            }
        }
    }
}
