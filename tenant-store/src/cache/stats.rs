//! What the cache counts of itself. Turning it into metrics is the reader's business.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::entry::milliseconds;

/// What the cache has done since it began, and what it holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheStats {
    /// Look-ups answered with a tenant, stale ones included.
    pub hits: u64,
    /// Look-ups answered with "no such tenant" without asking the store.
    pub negative_hits: u64,
    /// Look-ups of ids the cache could say nothing of.
    pub misses: u64,
    /// Hits past the soft expiry.
    pub stale: u64,
    /// Tenants dropped for want of room.
    pub evictions: u64,
    /// Tenants told to be re-read.
    pub invalidations: u64,
    /// Reads of one tenant that the store answered.
    pub loads_ok: u64,
    /// Reads of one tenant that failed or took too long.
    pub loads_failed: u64,
    /// Tenants held.
    pub entries: u64,
    /// Unknown ids held.
    pub negative_entries: u64,
    /// When the store last answered anything.
    pub last_contact: Option<SystemTime>,
}

/// Threads count hot events on stripes of their own, so that they don't fight for a cache line.
const STRIPES: usize = 16;

#[derive(Debug, Default)]
#[repr(align(128))] // two lines: adjacent ones are prefetched in pairs
struct Stripe {
    hits: AtomicU64,
    negative_hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
}

/// The counters behind [`CacheStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    stripes: [Stripe; STRIPES],
    pub(super) evictions: AtomicU64,
    pub(super) invalidations: AtomicU64,
    loads_ok: AtomicU64,
    loads_failed: AtomicU64,
    /// Milliseconds since the Unix epoch; 0 is never.
    last_contact: AtomicU64,
    out_of_reach: AtomicBool,
}

impl Counters {
    pub(super) fn hit(&self) {
        add_one(&self.stripe().hits);
    }

    pub(super) fn stale_hit(&self) {
        let stripe = self.stripe();
        add_one(&stripe.hits);
        add_one(&stripe.stale);
    }

    pub(super) fn negative_hit(&self) {
        add_one(&self.stripe().negative_hits);
    }

    pub(super) fn miss(&self) {
        add_one(&self.stripe().misses);
    }

    pub(super) fn load_succeeded(&self) {
        add_one(&self.loads_ok);
        self.reached();
    }

    pub(super) fn load_failed(&self, error: &dyn std::error::Error) {
        add_one(&self.loads_failed);
        self.missed(error);
    }

    /// The store answered.
    pub(super) fn reached(&self) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        self.last_contact.store(
            since_epoch.map_or(0, milliseconds).max(1),
            Ordering::Relaxed,
        );
        if self.out_of_reach.swap(false, Ordering::Relaxed) {
            tracing::info!("the tenant store answers again");
        }
    }

    /// The store did not answer. One line for an outage, however many tenants ask meanwhile.
    pub(super) fn missed(&self, error: &dyn std::error::Error) {
        if !self.out_of_reach.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the tenant store fails; known tenants are served on");
        }
    }

    pub(super) fn read(&self, entries: u64, negative_entries: u64) -> CacheStats {
        let sum = |of: fn(&Stripe) -> &AtomicU64| self.stripes.iter().map(|s| read(of(s))).sum();
        let contact = read(&self.last_contact);
        CacheStats {
            hits: sum(|stripe| &stripe.hits),
            negative_hits: sum(|stripe| &stripe.negative_hits),
            misses: sum(|stripe| &stripe.misses),
            stale: sum(|stripe| &stripe.stale),
            evictions: read(&self.evictions),
            invalidations: read(&self.invalidations),
            loads_ok: read(&self.loads_ok),
            loads_failed: read(&self.loads_failed),
            entries,
            negative_entries,
            last_contact: (contact > 0).then(|| UNIX_EPOCH + Duration::from_millis(contact)),
        }
    }

    fn stripe(&self) -> &Stripe {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static OWN: Cell<usize> = Cell::new(
            NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES
        ));
        &self.stripes[OWN.get()]
    }
}

pub(super) fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
