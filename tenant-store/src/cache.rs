//! What the request path knows of tenants: the store's records, each with the route built from it,
//! within bounded memory.
//!
//! The contract: a known tenant costs no I/O; an unknown one asks the store once, however many
//! wait. Past its soft expiry a tenant is served while it is re-read; a store that fails leaves
//! everything as it is until the hard expiry. Unknown ids are remembered briefly and in bounded
//! number. A revision is never replaced by an older one.
//!
//! What a route is, the cache does not know: whoever makes one brings the function that builds it.

mod entry;
mod follow;
mod load;
mod merge;
mod stats;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use ahash::RandomState;
use moka::{notification::RemovalCause, sync::Cache};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

pub use self::{entry::Entry, load::LookupError, stats::CacheStats};
use self::{
    entry::{Absent, Clock, milliseconds},
    load::{Flight, landed},
    merge::Word,
    stats::{Counters, add_one},
};
use crate::{
    model::{TenantId, TenantRecord},
    repository::{ChangeCursor, RepositoryError, TenantRepository},
};

/// How much the cache holds, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    /// Tenants held at most. Default 100,000.
    pub capacity: u64,
    /// Age from which a tenant that is asked for is re-read in the background. Default 30 s.
    pub soft_ttl: Duration,
    /// Age from which a tenant is served no longer, if the store has failed for so long.
    /// Default 24 h.
    pub hard_ttl: Duration,
    /// How long an unknown id is believed to be unknown. Default 10 s.
    pub negative_ttl: Duration,
    /// Unknown ids remembered at most. Default 10,000.
    pub negative_capacity: u64,
    /// Deadline for one answer of the store. Default 2 s.
    pub load_timeout: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            soft_ttl: Duration::from_secs(30),
            hard_ttl: Duration::from_hours(24),
            negative_ttl: Duration::from_secs(10),
            negative_capacity: 10_000,
            load_timeout: Duration::from_secs(2),
        }
    }
}

/// What the cache knows of an id, without asking anybody.
#[derive(Debug)]
pub enum Known<R> {
    /// The tenant, perhaps past its soft expiry.
    Tenant(Arc<Entry<R>>),
    /// There is none, or was none a moment ago.
    NoSuchTenant,
    /// Only [`TenantCache::fetch`] can tell.
    NeverAsked,
}

/// The tenants the request path knows, each with a route `R`.
pub struct TenantCache<R> {
    repository: Arc<dyn TenantRepository>,
    config: CacheConfig,
    /// The expiries of `config` in the unit of the stamps.
    soft_ttl: u64,
    hard_ttl: u64,
    negative_ttl: u64,
    runtime: Handle,
    build: Box<BuildRoute<R>>,
    entries: Cache<TenantId, Arc<Entry<R>>, RandomState>,
    absent: Cache<TenantId, Absent, RandomState>,
    flights: Mutex<Flights<R>>,
    /// How many may ask the store at one time.
    loads: Semaphore,
    /// How many of these may be refreshes of tenants that are served meanwhile.
    refreshes: Arc<Semaphore>,
    /// The store's changes up to here are taken in; `None` before the first reading.
    followed_to: Mutex<Option<ChangeCursor>>,
    clock: Clock,
    counters: Arc<Counters>,
}

type BuildRoute<R> = dyn Fn(&TenantRecord, Option<&R>) -> R + Send + Sync;
type Flights<R> = HashMap<TenantId, Flight<R>, RandomState>;

/// Reads of single tenants that run at one time.
const LOADS_AT_ONCE: usize = 64;

/// Refreshes among them. Requests wait for the others: tens of thousands of tenants can be past their
/// soft expiry at one time, and a look-up must not wait until they all have been read.
const REFRESHES_AT_ONCE: usize = 16;

impl<R: Send + Sync + 'static> TenantCache<R> {
    /// An empty cache over `repository`. Loads run on `runtime`, whoever waits for them.
    ///
    /// `build` makes the route of a tenant's revision, once; it is given the route of the revision
    /// before, if one is held, so that counters survive. It must not call back into the cache.
    pub fn new(
        repository: Arc<dyn TenantRepository>,
        config: CacheConfig,
        runtime: Handle,
        build: impl Fn(&TenantRecord, Option<&R>) -> R + Send + Sync + 'static,
    ) -> Arc<Self> {
        let counters = Arc::new(Counters::default());
        let cache = Arc::new(Self {
            repository,
            config,
            soft_ttl: milliseconds(config.soft_ttl),
            hard_ttl: milliseconds(config.hard_ttl),
            negative_ttl: milliseconds(config.negative_ttl),
            build: Box::new(build),
            entries: entries(config.capacity, Arc::clone(&counters)),
            absent: Cache::builder()
                .max_capacity(config.negative_capacity)
                .build_with_hasher(RandomState::new()),
            flights: Mutex::default(),
            loads: Semaphore::new(LOADS_AT_ONCE),
            refreshes: Arc::new(Semaphore::new(REFRESHES_AT_ONCE)),
            followed_to: Mutex::new(None),
            clock: Clock::start(),
            counters,
            runtime,
        });
        let sweep = Self::sweep(Arc::downgrade(&cache), config.hard_ttl);
        cache.runtime.spawn(sweep);
        cache
    }

    /// What is known of `id` this moment. Does no I/O and waits for nobody; a tenant past its soft
    /// expiry is answered all the same, while one task re-reads it: as soon as there is room for that
    /// when it is asked for.
    pub fn known(self: &Arc<Self>, id: &str) -> Known<R> {
        let now = self.clock.now();
        if let Some(entry) = self.entries.get(id) {
            let age = entry.age(now);
            if age < self.soft_ttl {
                self.counters.hit();
                return Known::Tenant(entry);
            }
            if age < self.hard_ttl {
                self.counters.stale_hit();
                self.refresh_in_turn(&entry, now);
                return Known::Tenant(entry);
            }
            self.expire(&entry);
        } else if self.absent.get(id).is_some_and(|absent| now < absent.until) {
            self.counters.negative_hit();
            return Known::NoSuchTenant;
        }
        self.counters.miss();
        Known::NeverAsked
    }

    /// The tenant, from the cache if it is known, otherwise from the store; `None` if there is no
    /// such tenant. However many ask for one id at a time, the store is asked once.
    ///
    /// Cancel-safe: the load goes on for the others, and for the next who asks.
    ///
    /// # Errors
    /// It is not known, and the store failed or gave no answer within the load timeout.
    pub async fn get(
        self: &Arc<Self>,
        id: &TenantId,
    ) -> Result<Option<Arc<Entry<R>>>, LookupError> {
        match self.known(id.as_str()) {
            Known::Tenant(entry) => Ok(Some(entry)),
            Known::NoSuchTenant => Ok(None),
            Known::NeverAsked => self.fetch(id).await,
        }
    }

    /// The tenant from the store, for whoever has just heard from [`known`](Self::known) that it was
    /// never asked for; otherwise as [`get`](Self::get).
    ///
    /// # Errors
    /// As there.
    pub async fn fetch(
        self: &Arc<Self>,
        id: &TenantId,
    ) -> Result<Option<Arc<Entry<R>>>, LookupError> {
        landed(id, self.join(id)?).await
    }

    /// A tenant that is known this moment. Counts as no use of it, and refreshes nothing: for those
    /// who look on.
    pub fn held(&self, id: &TenantId) -> Option<Arc<Entry<R>>> {
        self.peek(id).flatten()
    }

    /// Takes in a record that was just written here: from this call on, it is what is known. One
    /// older than what is known is ignored.
    pub fn store(&self, record: &TenantRecord) {
        let now = self.clock.now();
        self.merge(&record.tenant.id, Word::Announced(record), now);
    }

    /// Re-reads a tenant in the background, now. What is known is served until the answer is
    /// there; that it was unknown is forgotten at once.
    pub fn invalidate(self: &Arc<Self>, id: &TenantId) {
        add_one(&self.counters.invalidations);
        self.doubt_absence(id);
        if self.entries.contains_key(id) || self.flights.lock().contains_key(id) {
            self.refresh(id, None);
        }
    }

    /// As [`invalidate`](Self::invalidate), and the route is built anew even if the record is the
    /// same: for when something else it is built from has changed, such as a secret's file.
    pub fn rebuild(self: &Arc<Self>, id: &TenantId) {
        if let Some(entry) = self.entries.get(id) {
            entry.outdate();
        }
        self.invalidate(id);
    }

    /// Builds the routes of all tenants anew, from one listing of the store. Those it fails to
    /// reach are built anew when they are next read. Answers how many tenants were listed.
    ///
    /// # Errors
    /// The store can't be listed; what is known stays as it is until it can be read.
    pub async fn rebuild_all(self: &Arc<Self>) -> Result<usize, RepositoryError> {
        for (_, entry) in &self.entries {
            entry.outdate();
        }
        self.warm().await
    }

    /// All tenants known this moment, in no order.
    pub fn entries(&self) -> impl Iterator<Item = Arc<Entry<R>>> + '_ {
        self.entries
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| entry.is_current())
    }

    /// What the cache has done and holds.
    pub fn stats(&self) -> CacheStats {
        // Moka settles its counts lazily.
        self.entries.run_pending_tasks();
        self.absent.run_pending_tasks();
        self.counters
            .read(self.entries.entry_count(), self.absent.entry_count())
    }

    /// Starts re-reading an entry past its soft expiry, if that is due and there is room.
    fn refresh_in_turn(self: &Arc<Self>, entry: &Entry<R>, now: u64) {
        if !entry.is_refresh_due(now) {
            return;
        }
        let Ok(turn) = Arc::clone(&self.refreshes).try_acquire_owned() else {
            return;
        };
        if entry.claim_refresh(now, self.soft_ttl) {
            self.refresh(entry.id(), Some(turn));
        }
    }

    /// Starts re-reading `id`. One that finds the store overloaded is left for later: what is
    /// known is served meanwhile.
    fn refresh(self: &Arc<Self>, id: &TenantId, turn: Option<OwnedSemaphorePermit>) {
        if let Err(error) = self.reload(id, turn) {
            tracing::debug!(%error, "a refresh was put off");
        }
    }

    /// What is known of `id`, uncounted and without refreshing; `None` if nothing is.
    #[expect(
        clippy::option_option,
        reason = "known to be unknown is not the same as unknown"
    )]
    fn peek(&self, id: &TenantId) -> Option<Option<Arc<Entry<R>>>> {
        let now = self.clock.now();
        if let Some(entry) = self.entries.get(id) {
            return (entry.age(now) < self.hard_ttl).then_some(Some(entry));
        }
        let absent = self.absent.get(id)?;
        (now < absent.until).then_some(None)
    }
}

impl<R> fmt::Debug for TenantCache<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantCache")
            .field("repository", &self.repository)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn entries<R: Send + Sync + 'static>(
    capacity: u64,
    counters: Arc<Counters>,
) -> Cache<TenantId, Arc<Entry<R>>, RandomState> {
    Cache::builder()
        .max_capacity(capacity)
        .eviction_listener(move |_id, entry: Arc<Entry<R>>, cause| {
            // The other causes are ours, and count as what they are.
            if cause == RemovalCause::Size {
                TenantCache::evicted(&counters, &entry);
            }
        })
        .build_with_hasher(RandomState::new())
}

#[cfg(test)]
mod tests;
