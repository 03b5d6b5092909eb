//! Where tenants, tiers and API keys are kept: the contract every store fulfils, and the rules that
//! hold whichever store it is.
//!
//! A back end is a [`RecordStore`]: it keeps raw records. On any of them stands a [`Repository`],
//! which knows what the records say and which writes make sense. [`TenantRepository`] is the part
//! of it that the cache of tenants reads.
//!
//! Knows no caches and no requests. A store may be slow, locked or gone; whoever calls decides
//! what that means.

mod audit;
mod change;
mod error;
pub mod files;
mod kept;
mod mirror;
pub mod postgres;
mod record;
mod rows;
pub mod sqlite;
mod store;
mod typed;
mod wait;
pub mod weaviate;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{
    audit::{AuditEvent, AuditQuery, Author},
    error::RepositoryError,
    kept::{Kept, Stored},
    record::{
        BATCH_MAX, Committed, Kind, KindError, Record, RecordKey, RecordPage, RecordQuery,
        RecordStatus, RecordWrite,
    },
    store::{RecordStore, StoreFault},
    typed::{KeptPage, KeptWritten, Repository},
};
use crate::model::{Revision, Status, Tenant, TenantId, TenantRecord, Tier};

/// Keeps tenants. All methods are cancel-safe: dropped half-way, a write has happened whole, with
/// its audit event, or not at all.
#[async_trait]
pub trait TenantRepository: Send + Sync + fmt::Debug + 'static {
    /// The record of one tenant, tombstones (`Status::Deleted`) included; `None` if it never was,
    /// or was purged.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn get(&self, id: &TenantId) -> Result<Option<TenantRecord>, RepositoryError>;

    /// One page of records in the order of their ids.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn list(&self, query: &ListQuery) -> Result<Page, RepositoryError>;

    /// Creates or replaces a tenant, if it is as `expect` says. An equal tenant is left as it is,
    /// revision included. A tombstone's successor goes on from its revision; putting a tenant
    /// whose status is `Deleted` is the same as [`TenantRepository::delete`].
    ///
    /// # Errors
    /// `Conflict` if it is not as expected, `Invalid` if it breaks its own model's rules, `Missing`
    /// if there is nothing to delete; otherwise the store can't be written.
    async fn put(
        &self,
        tenant: &Tenant,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError>;

    /// Turns a tenant into a tombstone, if it is as `expect` says. A tombstone stays one.
    ///
    /// # Errors
    /// `Missing` if there is none, `Conflict` if it is not as expected; otherwise the store can't
    /// be written.
    async fn delete(
        &self,
        id: &TenantId,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError>;

    /// Brings a tombstone back as it was before it was deleted, its status included. One that is
    /// alive is left as it is.
    ///
    /// # Errors
    /// As [`TenantRepository::delete`].
    async fn restore(
        &self,
        id: &TenantId,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError>;

    /// Forgets a tombstone, or with `alive_too` any tenant, for good. What is answered is the
    /// tombstone that readers should believe in; the store keeps no more of it than its revision.
    ///
    /// # Errors
    /// `NotDeleted` if it is alive and not `alive_too`; otherwise as [`TenantRepository::delete`].
    async fn purge(
        &self,
        id: &TenantId,
        alive_too: bool,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError>;

    /// The position after the newest change: where a reader who has just listed everything
    /// *before* asking goes on from.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn position(&self) -> Result<ChangeCursor, RepositoryError>;

    /// Which records changed after `after`, each named at least once, in no more than one batch.
    /// Waits up to `patience` for a change if there is none, then answers an empty batch.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError>;

    /// Audit events, newest first.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError>;

    /// What kind of store this is, as in `store.kind`.
    fn kind(&self) -> &'static str;
}

/// What a writer believes a record to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Whatever it is.
    Anything,
    /// Not there, or a tombstone.
    Absent,
    /// At exactly this revision.
    Revision(Revision),
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The record as it is now.
    pub record: TenantRecord,
    /// Whether it is new, other, or as it was.
    pub outcome: Outcome,
}

/// Whether a write made something new, changed something, or found it so already.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// There was none, or a tombstone.
    Created,
    /// It was another before.
    Updated,
    /// It was just so; no revision, no audit event.
    Unchanged,
    /// It is a tombstone now.
    Deleted,
    /// It was a tombstone, and is as it was before that.
    Restored,
    /// Nothing is left of it.
    Purged,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Created,
        Self::Updated,
        Self::Unchanged,
        Self::Deleted,
        Self::Restored,
        Self::Purged,
    ];

    /// The lower-case name, as in audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::Purged => "purged",
        }
    }

    /// The outcome of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

/// Which tenants, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Ids after this one; from the beginning if `None`.
    pub after: Option<TenantId>,
    /// At most so many, 1 to 1000; what is outside is brought within.
    pub limit: u16,
    /// Only this status; without it, all but tombstones.
    pub status: Option<Status>,
    /// Only this tier.
    pub tier: Option<Tier>,
    /// Only those with this label, key and value.
    pub label: Option<(String, String)>,
}

/// One page of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of their ids.
    pub records: Vec<TenantRecord>,
    /// The id to ask on from; `None` on the last page.
    pub next: Option<TenantId>,
}

/// A position in a store's sequence of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ChangeCursor(pub u64);

/// Records that changed, of all kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Which, each once.
    pub keys: Vec<RecordKey>,
    /// Where to ask on from.
    pub next: ChangeCursor,
}

impl Changes {
    /// The tenants among them.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.keys.iter().filter_map(RecordKey::as_tenant)
    }
}

/// What a store says, as the error of its `kind` while doing `action`.
pub(crate) fn unavailable<E>(
    kind: &'static str,
    action: &'static str,
) -> impl Fn(E) -> RepositoryError + Copy
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| RepositoryError::Unavailable {
        kind,
        action,
        source: source.into(),
    }
}
