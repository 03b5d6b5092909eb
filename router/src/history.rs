//! What is remembered of tenants' health: its changes, and how many requests were served.
//!
//! Listens to [`Standing`](crate::standing::Standing) and reads the counts that workers keep anyway,
//! so no request waits for it. What is to be remembered is written to the store in batches, and
//! while the store is down it is held here, in bounded memory. What it costs does not depend on how
//! often anything changes.

mod outlook;
mod pending;
mod recorder;
mod view;
mod window;

use std::{
    fmt,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use tenant_store::{
    history::{HistoryPage, HistoryQuery, HistoryStore, MemoryHistory},
    model::{Objective, TenantId},
    repository::{Repository, RepositoryError, sqlite::SqliteRepository},
};
use uuid::Uuid;

use self::{outlook::Outlook, pending::Pending};

pub use self::{
    outlook::ServiceState,
    recorder::Sources,
    view::{Availability, BudgetState, ErrorBudget, SignalAvailability, WindowAvailability},
    window::{Window, burn_rate},
};

/// What is remembered, where, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryConfig {
    /// An `SQLite` file for it. Without one it is kept in the store of tenants, or in memory if
    /// that keeps none.
    pub path: Option<PathBuf>,
    /// How often counts of requests are written.
    pub write_interval: Duration,
    /// How long changes are kept.
    pub keep_for: Duration,
    /// How many changes of a tenant are kept.
    pub max_changes_per_tenant: NonZeroU32,
}

/// What is remembered of tenants' health.
pub struct History {
    store: Arc<dyn HistoryStore>,
    config: HistoryConfig,
    /// What this router calls itself.
    router: String,
    /// The process, to the store.
    writer: Uuid,
    pending: Mutex<Pending>,
    /// One at a time writes: batches are numbered.
    writing: tokio::sync::Mutex<()>,
    outlook: Mutex<Outlook>,
    written: AtomicU64,
    failed: AtomicU64,
}

/// What history tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryStats {
    /// Batches written.
    pub written: u64,
    /// Batches that could not be written, each time it was tried.
    pub failed: u64,
    /// Changes and counts that wait to be written.
    pub waiting: usize,
    /// Changes that were forgotten before they could be written, for want of room.
    pub changes_lost: u64,
    /// Counts that were forgotten before they could be written, for want of room.
    pub counts_lost: u64,
}

impl History {
    /// History in the file that `config` names, or else in the store of tenants, or else in memory.
    ///
    /// # Errors
    /// The file can't be opened.
    pub async fn open(
        config: HistoryConfig,
        repository: &Repository,
    ) -> Result<Arc<Self>, RepositoryError> {
        let own = match &config.path {
            Some(path) => Repository::new(SqliteRepository::open(path).await?)
                .store()
                .history(),
            None => repository.store().history(),
        };
        let store = own.unwrap_or_else(|| Arc::<MemoryHistory>::default());
        Ok(Self::new(config, store))
    }

    /// History in this store.
    pub fn new(config: HistoryConfig, store: Arc<dyn HistoryStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            config,
            router: host_name(),
            writer: Uuid::new_v4(),
            pending: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            outlook: Mutex::default(),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// One page of a tenant's changes, newest first. What happened in the last second may be
    /// missing.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn changes(&self, query: &HistoryQuery) -> Result<HistoryPage, RepositoryError> {
        self.store.page(query).await
    }

    /// How many of a tenant's requests were served, all routers together; what came since the last
    /// [`HistoryConfig::write_interval`] is missing.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn availability(
        &self,
        tenant: &TenantId,
        objective: Option<Objective>,
    ) -> Result<Availability, RepositoryError> {
        let sums = window::sums(&*self.store, std::slice::from_ref(tenant), Timestamp::now());
        Ok(Availability::new(tenant.clone(), objective, &sums.await?))
    }

    /// Forgets everything of a tenant, once it is purged.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn forget(&self, tenant: &TenantId) -> Result<(), RepositoryError> {
        self.pending.lock().forget(tenant);
        self.outlook.lock().forget(tenant);
        self.store.forget(tenant).await
    }

    /// What it tells of itself.
    pub fn stats(&self) -> HistoryStats {
        use std::sync::atomic::Ordering::Relaxed;
        let pending = self.pending.lock();
        HistoryStats {
            written: self.written.load(Relaxed),
            failed: self.failed.load(Relaxed),
            waiting: pending.waiting(),
            changes_lost: pending.changes_lost,
            counts_lost: pending.counts_lost,
        }
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("store", &self.store)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What this machine, or pod, is called.
fn host_name() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let named = named.ok().or_else(|| std::env::var("HOSTNAME").ok());
    let named = named.map(|name| name.trim().to_owned());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "router".into())
}
