//! Who is due next: a time-ordered queue that gives back what was cancelled.
//!
//! One queue serves all endpoints, so that twenty thousand of them cost one sleeping task and one
//! map entry each. Knows nothing of probes.

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use tokio::time::Instant;

/// A place in a [`Schedule`], unique for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    /// Nanoseconds after the schedule's beginning: half as large as an `Instant`, and there is one in
    /// every endpoint as well.
    after: u64,
    /// Not zero, so that an optional slot takes no more room.
    sequence: NonZeroU64,
}

/// Items ordered by when they are due; equal times in the order they came.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    began: Instant,
    slots: BTreeMap<Slot, T>,
    next: NonZeroU64,
}

impl<T> Schedule<T> {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            slots: BTreeMap::new(),
            next: NonZeroU64::MIN,
        }
    }

    pub(crate) fn insert(&mut self, at: Instant, item: T) -> Slot {
        let slot = Slot {
            after: self.after(at),
            sequence: self.next,
        };
        self.next = self.next.saturating_add(1);
        self.slots.insert(slot, item);
        slot
    }

    /// Forgets an item that wasn't due yet; harmless if it was.
    pub(crate) fn cancel(&mut self, slot: Slot) {
        self.slots.remove(&slot);
    }

    /// Takes the earliest item if its time has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Slot, T)> {
        let now = self.after(now);
        let earliest = self.slots.first_entry()?;
        (earliest.key().after <= now).then(|| earliest.remove_entry())
    }

    /// When the earliest item is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let (slot, _) = self.slots.first_key_value()?;
        Some(self.began + Duration::from_nanos(slot.after))
    }

    /// Five centuries at most, which nothing is planned for.
    fn after(&self, at: Instant) -> u64 {
        let after = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(after).unwrap_or(u64::MAX)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Equal times must not overwrite each other, and leave in the order they came.
    #[test]
    fn equal_times_keep_their_order() {
        let now = Instant::now();
        let mut schedule = Schedule::new();
        for item in 0..3 {
            schedule.insert(now, item);
        }
        let popped: Vec<i32> =
            std::iter::from_fn(|| schedule.pop_due(now).map(|(_, item)| item)).collect();
        assert_eq!(popped, [0, 1, 2]);
    }

    proptest! {
        /// Whatever goes in comes out once, in time order, not early, and not if cancelled.
        #[test]
        fn gives_back_what_is_due(
            plan in prop::collection::vec((0_u64..50, any::<bool>()), 0..60),
            until in 0_u64..60,
        ) {
            let start = Instant::now();
            let mut schedule = Schedule::new();
            for (index, &(ms, cancelled)) in plan.iter().enumerate() {
                let slot = schedule.insert(start + Duration::from_millis(ms), (ms, index));
                if cancelled {
                    schedule.cancel(slot);
                }
            }
            let now = start + Duration::from_millis(until);
            let popped: Vec<_> =
                std::iter::from_fn(|| schedule.pop_due(now).map(|(_, item)| item)).collect();
            let mut expected: Vec<_> = plan
                .iter()
                .enumerate()
                .filter(|(_, (ms, cancelled))| !cancelled && *ms <= until)
                .map(|(index, (ms, _))| (*ms, index))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(popped, expected);
            prop_assert!(schedule.next_at().is_none_or(|at| at > now));
        }
    }
}
