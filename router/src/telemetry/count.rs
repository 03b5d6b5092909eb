//! A number that one thread counts and all may read.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};

/// A count with one writer. What the writer counted before is seen by whoever sees this.
///
/// Adding is a load and a store: with one writer nothing is lost between them, and the line they
/// touch stays in the writer's cache, where a locked addition would cost ten times as much.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds to it. Only its one writer may: two at a time lose what the other added.
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Acquire)
    }
}
