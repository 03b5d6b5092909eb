//! Keeping the cache in step with the store: the first full reading, the endless following of
//! what changes, and the sweep over what nobody asked for.
//!
//! None of these ever drops a tenant for a store that fails.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    TenantCache,
    load::{LookupError, landed},
    merge::Word,
};
use crate::{
    model::TenantId,
    repository::{ListQuery, RepositoryError},
};

/// How long the store may keep us waiting for a change.
const PATIENCE: Duration = Duration::from_secs(30);

/// Records asked for at a time while warming.
const PAGE: u16 = 1_000;

/// Tenants re-read at a time, so that a long list of changes leaves room for first requests.
const REREAD_AT_ONCE: usize = 32;

/// Between attempts to follow a store that fails: from the first, doubling, to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How often idle entries are looked at, at the least and at the most.
const SWEEP: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Idle entries re-read in one sweep: those of a warm start all grow old in the same moment.
const RENEWED_PER_SWEEP: usize = 100;

/// Why the store could not be followed just now.
#[derive(Debug, Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] RepositoryError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

impl<R: Send + Sync + 'static> TenantCache<R> {
    /// Reads all tenants, as many as fit, and says how many there were. [`TenantCache::follow`]
    /// goes on from where this began. Cancel-safe: what was read until then is kept.
    ///
    /// # Errors
    /// The store failed, or took longer than the load timeout for one page.
    pub async fn warm(self: &Arc<Self>) -> Result<usize, RepositoryError> {
        let limit = self.config.load_timeout;
        // Before the listing: what changes during it is then seen by the follower.
        let position = self.repository.position();
        let position = self.bounded("tell its position", limit, position).await?;
        let mut count = 0;
        let mut query = ListQuery {
            limit: PAGE,
            ..ListQuery::default()
        };
        while count < self.capacity() {
            let read_at = self.clock.now();
            let page = self.repository.list(&query);
            let page = self.bounded("list tenants", limit, page).await?;
            self.counters.reached();
            for record in page.records.iter().take(self.capacity() - count) {
                self.merge(&record.tenant.id, Word::Announced(record), read_at);
                count += 1;
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        *self.followed_to.lock() = Some(position);
        Ok(count)
    }

    /// Follows the store's changes and re-reads each tenant that changed, if anything is known of
    /// it. Never returns; a store that fails is asked again after a pause of 250 ms, doubling up
    /// to 30 s. Run one of these per cache.
    pub async fn follow(self: Arc<Self>) {
        let (first, last) = BACK_OFF;
        let mut pause = first;
        let mut in_doubt = true;
        loop {
            match self.follow_once(in_doubt).await {
                Ok(()) => {
                    pause = first;
                    in_doubt = false;
                }
                Err(error) => {
                    self.counters.missed(&error);
                    tracing::debug!(%error, ?pause, "following the tenant store failed");
                    sleep(pause).await;
                    pause = (pause * 2).min(last);
                    in_doubt = true;
                }
            }
        }
    }

    /// Waits for one batch of changes and takes it in. The position moves on only after that, so
    /// that a failure half-way repeats the batch and misses nothing.
    async fn follow_once(self: &Arc<Self>, in_doubt: bool) -> Result<(), FollowError> {
        if in_doubt {
            self.settle_position().await?;
        }
        let after = self.followed_to.lock().unwrap_or_default();
        let limit = PATIENCE + self.config.load_timeout;
        let changes = self.repository.changes(after, PATIENCE);
        let changes = self.bounded("tell what changed", limit, changes).await?;
        self.counters.reached();
        let concerned: Vec<TenantId> = changes.tenants().filter(|id| self.concerns(id)).collect();
        self.reread(&concerned).await?;
        *self.followed_to.lock() = Some(changes.next);
        Ok(())
    }

    /// Makes sure that the position is one of this store's. Without one, or with one the store
    /// has not reached (it is another store now, or was restored), all that is known is re-read.
    async fn settle_position(self: &Arc<Self>) -> Result<(), FollowError> {
        let limit = self.config.load_timeout;
        let position = self.repository.position();
        let position = self.bounded("tell its position", limit, position).await?;
        let followed_to = *self.followed_to.lock();
        if followed_to.is_some_and(|followed_to| followed_to <= position) {
            return Ok(());
        }
        for (id, _) in &self.absent {
            self.doubt_absence(&id);
        }
        let known: Vec<TenantId> = self.entries.iter().map(|(id, _)| (*id).clone()).collect();
        self.reread(&known).await?;
        *self.followed_to.lock() = Some(position);
        Ok(())
    }

    async fn reread(self: &Arc<Self>, ids: &[TenantId]) -> Result<(), LookupError> {
        for some in ids.chunks(REREAD_AT_ONCE) {
            let mut flights = Vec::with_capacity(some.len());
            for id in some {
                self.doubt_absence(id);
                flights.push((id, self.reload(id, None)?));
            }
            for (id, flight) in flights {
                match landed(id, flight).await {
                    Err(error) if unreadable(&error) => {
                        tracing::error!(%error, "a changed tenant is served as it was before");
                    }
                    answer => drop(answer?),
                }
            }
        }
        Ok(())
    }

    /// Whether anything is known or being asked of `id`.
    fn concerns(&self, id: &TenantId) -> bool {
        self.entries.contains_key(id)
            || self.absent.contains_key(id)
            || self.flights.lock().contains_key(id)
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.config.capacity).unwrap_or(usize::MAX)
    }

    /// Puts to rest what is past hard expiry and re-reads what is half-way there: an entry that is
    /// kept in a front cache grows old without being asked for here.
    fn sweep_once(self: &Arc<Self>) {
        let now = self.clock.now();
        let mut renewed = 0;
        for entry in self.entries() {
            let age = entry.age(now);
            if age >= self.hard_ttl {
                self.expire(&entry);
            } else if age >= self.hard_ttl / 2
                && renewed < RENEWED_PER_SWEEP
                && entry.claim_refresh(now, self.soft_ttl)
            {
                renewed += 1;
                self.refresh(entry.id(), None);
            }
        }
        // Evictions of a map that nobody writes to would otherwise stay pending.
        self.entries.run_pending_tasks();
        self.absent.run_pending_tasks();
    }

    /// Sweeps until the cache is gone.
    pub(super) async fn sweep(cache: Weak<Self>, hard_ttl: Duration) {
        let (least, most) = SWEEP;
        let mut tick = interval((hard_ttl / 100).clamp(least, most));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match cache.upgrade() {
                Some(cache) => cache.sweep_once(),
                None => return,
            }
        }
    }
}

/// Whether asking again can't help: the store answers, but its record is no tenant.
fn unreadable(error: &LookupError) -> bool {
    matches!(error, LookupError::Store { source, .. }
        if matches!(**source, RepositoryError::Corrupt { .. }))
}
