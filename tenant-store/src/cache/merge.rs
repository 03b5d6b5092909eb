//! What a newer or older word about a tenant does to what the cache holds of it.
//!
//! All changes to one id go through the map's per-key compute step, one at a time; the set of
//! unknown ids and the mark on a load in flight are changed only inside it. Readers take no part.

use std::sync::{Arc, atomic::Ordering};

use moka::ops::compute::Op;

use super::{
    TenantCache,
    entry::{Absent, Entry},
};
use crate::model::{Revision, Status, TenantId, TenantRecord};

/// Where a word about a tenant comes from.
#[derive(Clone, Copy)]
pub(super) enum Word<'a> {
    /// From a writer or a listing: what is being read of this tenant just now may be older.
    Announced(&'a TenantRecord),
    /// The answer to a load; `None` if the store knows no such tenant.
    Loaded(Option<&'a TenantRecord>),
}

/// What holds after a word was taken in.
pub(super) enum Held<R> {
    Tenant(Arc<Entry<R>>),
    NoSuchTenant,
    /// Something was announced while this was being read: it must be read again.
    Overtaken,
}

impl<R: Send + Sync + 'static> TenantCache<R> {
    /// Takes in `word` about `id`, which was asked for at `read_at`.
    pub(super) fn merge(&self, id: &TenantId, word: Word<'_>, read_at: u64) -> Held<R> {
        let mut held_now = Held::Overtaken;
        let mut retired = None;
        self.entries.entry(id.clone()).and_compute_with(|slot| {
            let held = slot.map(moka::Entry::into_value);
            if self.overtaken(id, word) {
                return Op::Nop;
            }
            let (op, answer) = self.decide(id, word, held.as_ref(), read_at);
            held_now = answer;
            if !matches!(op, Op::Nop) {
                retired = held;
            }
            op
        });
        // Only now, so that who sees it retired and asks again finds its successor.
        if let Some(entry) = retired {
            entry.retire();
        }
        held_now
    }

    fn decide(
        &self,
        id: &TenantId,
        word: Word<'_>,
        held: Option<&Arc<Entry<R>>>,
        read_at: u64,
    ) -> (Op<Arc<Entry<R>>>, Held<R>) {
        let (Word::Announced(record) | Word::Loaded(Some(record))) = word else {
            return self.forget(id, None, held.is_some());
        };
        let stands = |entry: &&Arc<Entry<R>>| {
            entry.revision() > record.revision
                || (entry.revision() == record.revision && !entry.is_outdated())
        };
        if let Some(entry) = held.filter(stands) {
            if entry.revision() == record.revision {
                entry.confirm(read_at, self.soft_ttl);
            }
            return (Op::Nop, Held::Tenant(Arc::clone(entry)));
        }
        let buried = self.absent.get(id).and_then(|absent| absent.revision);
        let outlived = buried.is_some_and(|buried| buried > record.revision);
        if outlived || record.tenant.status == Status::Deleted {
            return self.forget(id, Some(record.revision), held.is_some());
        }
        let route = (self.build)(record, held.map(|entry| entry.route()));
        let entry = Arc::new(Entry::new(id.clone(), record.revision, route));
        entry.confirm(read_at, self.soft_ttl);
        self.absent.invalidate(id);
        (Op::Put(Arc::clone(&entry)), Held::Tenant(entry))
    }

    fn forget(
        &self,
        id: &TenantId,
        tombstone: Option<Revision>,
        held: bool,
    ) -> (Op<Arc<Entry<R>>>, Held<R>) {
        let buried = self.absent.get(id).and_then(|absent| absent.revision);
        let absent = Absent {
            until: self.clock.now().saturating_add(self.negative_ttl),
            revision: buried.max(tombstone),
        };
        self.absent.insert(id.clone(), absent);
        let op = if held { Op::Remove } else { Op::Nop };
        (op, Held::NoSuchTenant)
    }

    /// Marks a load in flight as overtaken by an announcement, or tells a load that it was.
    fn overtaken(&self, id: &TenantId, word: Word<'_>) -> bool {
        let mut flights = self.flights.lock();
        let flight = flights.get_mut(id);
        match word {
            Word::Announced(_) => {
                if let Some(flight) = flight {
                    flight.overtaken = true;
                }
                false
            }
            Word::Loaded(_) => flight.is_some_and(|flight| flight.overtaken),
        }
    }

    /// Replaces a tenant's route by what `renew` makes of it, at the revision it has: for when
    /// something that is not in its record has changed, and is at hand. Asks no store. Whether it
    /// was replaced: `renew` may leave it as it is, and what is not known is not renewed.
    pub fn renew(&self, id: &TenantId, renew: impl FnOnce(&R) -> Option<R>) -> bool {
        let mut retired = None;
        self.entries.entry(id.clone()).and_compute_with(|slot| {
            let held = slot.map(moka::Entry::into_value);
            let current = held.filter(|entry| entry.is_current());
            let renewed = current.and_then(|entry| {
                let renewed = entry.with_route(renew(entry.route())?);
                retired = Some(entry);
                Some(Arc::new(renewed))
            });
            renewed.map_or(Op::Nop, Op::Put)
        });
        // Only now, as in `merge`.
        let is_renewed = retired.is_some();
        if let Some(entry) = retired {
            entry.retire();
        }
        is_renewed
    }

    /// Puts an entry past hard expiry to rest, unless it was confirmed meanwhile.
    pub(super) fn expire(&self, entry: &Arc<Entry<R>>) {
        if !entry.is_current() {
            return;
        }
        self.entries
            .entry(entry.id().clone())
            .and_compute_with(|_| {
                if entry.age(self.clock.now()) >= self.hard_ttl {
                    entry.rest();
                }
                Op::Nop
            });
    }

    /// Stops believing that there is no such tenant; a tombstone's revision stays known.
    pub(super) fn doubt_absence(&self, id: &TenantId) {
        self.entries.entry(id.clone()).and_compute_with(|_| {
            if let Some(absent) = self.absent.get(id) {
                self.absent
                    .insert(id.clone(), Absent { until: 0, ..absent });
            }
            Op::Nop
        });
    }

    /// What moka drops for want of room is dropped for good.
    pub(super) fn evicted(counters: &super::stats::Counters, entry: &Entry<R>) {
        entry.retire();
        counters.evictions.fetch_add(1, Ordering::Relaxed);
    }
}
