//! One tenant as the cache holds it, and how long it may be served without asking again.
//!
//! Times are milliseconds since the cache began, so that one atomic holds one; the clock is
//! tokio's, so that tests can move it.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{Revision, TenantId};

/// A known tenant at one revision, with the route built from it.
///
/// Whoever keeps one across requests asks [`Entry::is_current`] before each use.
#[derive(Debug)]
pub struct Entry<R> {
    id: TenantId,
    revision: Revision,
    route: R,
    state: AtomicU8,
    /// When the read began that last found the tenant at this revision.
    confirmed: AtomicU64,
    /// When the next background refresh may start: claimed by moving it on.
    next_refresh: AtomicU64,
    /// Whether its route is to be built anew at the next reading, though the revision is the same.
    outdated: AtomicBool,
}

const CURRENT: u8 = 0;
/// Past hard expiry: not served, but kept for the counters in its route until it is read again.
const DORMANT: u8 = 1;
/// Replaced, evicted or deleted, for good.
const RETIRED: u8 = 2;

impl<R> Entry<R> {
    pub(super) fn new(id: TenantId, revision: Revision, route: R) -> Self {
        Self {
            id,
            revision,
            route,
            state: AtomicU8::new(CURRENT),
            confirmed: AtomicU64::new(0),
            next_refresh: AtomicU64::new(0),
            outdated: AtomicBool::new(false),
        }
    }

    /// The same tenant at the same revision with another route, as fresh as this one.
    pub(super) fn with_route(&self, route: R) -> Self {
        Self {
            id: self.id.clone(),
            revision: self.revision,
            route,
            state: AtomicU8::new(CURRENT),
            confirmed: AtomicU64::new(self.confirmed.load(Ordering::Relaxed)),
            next_refresh: AtomicU64::new(self.next_refresh.load(Ordering::Relaxed)),
            outdated: AtomicBool::new(self.is_outdated()),
        }
    }

    /// What was built from the tenant's record at this revision.
    pub fn route(&self) -> &R {
        &self.route
    }

    /// Whose entry this is.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The revision it was built from.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether the cache still stands by it: false once it is replaced, evicted, deleted or past
    /// hard expiry. One atomic load. Idle entries are found past hard expiry by a sweep, at most
    /// ten seconds late.
    pub fn is_current(&self) -> bool {
        self.state.load(Ordering::Acquire) == CURRENT
    }

    /// Milliseconds since the store last confirmed this revision.
    pub(super) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.confirmed.load(Ordering::Relaxed))
    }

    /// The store has this revision still; `read_at` is when that read began.
    pub(super) fn confirm(&self, read_at: u64, soft_ttl: u64) {
        self.confirmed.fetch_max(read_at, Ordering::Relaxed);
        self.next_refresh
            .fetch_max(read_at.saturating_add(soft_ttl), Ordering::Relaxed);
        // Fails on purpose for a retired entry: that state is final.
        let _ = self
            .state
            .compare_exchange(DORMANT, CURRENT, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether a caller would be the one who is to refresh it.
    pub(super) fn is_refresh_due(&self, now: u64) -> bool {
        now >= self.next_refresh.load(Ordering::Relaxed)
    }

    /// True for one caller in each `pause`: the one who is to refresh it.
    pub(super) fn claim_refresh(&self, now: u64, pause: u64) -> bool {
        let due = self.next_refresh.load(Ordering::Relaxed);
        now >= due
            && self
                .next_refresh
                .compare_exchange(
                    due,
                    now.saturating_add(pause),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// Its route is to be built anew: what it was built from besides the record has changed.
    pub(super) fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    pub(super) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    /// Past hard expiry.
    pub(super) fn rest(&self) {
        // Fails on purpose for a retired entry: that state is final.
        let _ = self
            .state
            .compare_exchange(CURRENT, DORMANT, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Replaced, evicted or deleted.
    pub(super) fn retire(&self) {
        self.state.store(RETIRED, Ordering::Release);
    }
}

/// That there is no such tenant, for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absent {
    /// Until when this is believed.
    pub(super) until: u64,
    /// The tombstone's revision, if it was one: nothing older is believed after it.
    pub(super) revision: Option<Revision>,
}

/// Milliseconds since the cache began.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(&self) -> u64 {
        milliseconds(self.0.elapsed())
    }
}

/// A span in whole milliseconds; what does not fit is forever.
pub(super) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
