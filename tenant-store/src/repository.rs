//! Where tenants are kept: the contract every store fulfils.
//!
//! Knows no caches and no requests. A store may be slow, locked or gone; whoever calls decides
//! what that means.

mod change;
pub mod sqlite;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Revision, Status, Tenant, TenantId, TenantRecord};

/// Keeps tenants. All methods are cancel-safe: dropped half-way, a write has happened whole, with
/// its audit event, or not at all.
#[async_trait]
pub trait TenantRepository: Send + Sync + fmt::Debug + 'static {
    /// The record of one tenant, tombstones (`Status::Deleted`) included; `None` if it never was.
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

    /// The position after the newest change: where a reader who has just listed everything
    /// *before* asking goes on from.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn position(&self) -> Result<ChangeCursor, RepositoryError>;

    /// Which tenants changed after `after`, each named at least once, in no more than one batch.
    /// Waits up to `patience` for a change if there is none, then answers an empty batch.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError>;

    /// Audit events, newest first, those before `before` only if it is given.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn audit(
        &self,
        before: Option<u64>,
        limit: u16,
    ) -> Result<Vec<AuditEvent>, RepositoryError>;

    /// What kind of store this is, as in `store.kind`.
    fn kind(&self) -> &'static str;
}

/// What a writer believes the tenant to be.
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
    /// There was no such tenant, or a tombstone.
    Created,
    /// It was another before.
    Updated,
    /// It was just so; no revision, no audit event.
    Unchanged,
    /// It is a tombstone now.
    Deleted,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Created, Self::Updated, Self::Unchanged, Self::Deleted];

    /// The lower-case name, as in audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

/// Which records, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Ids after this one; from the beginning if `None`.
    pub after: Option<TenantId>,
    /// At most so many, 1 to 1000; stores cap what is more.
    pub limit: u16,
    /// Only this status; without it, all but tombstones.
    pub status: Option<Status>,
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

/// Tenants that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Their ids, each once.
    pub ids: Vec<TenantId>,
    /// Where to ask on from.
    pub next: ChangeCursor,
}

/// On whose behalf something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who, e.g. `admin-token`.
    pub name: Arc<str>,
    /// From where, e.g. a peer address; empty if unknown.
    pub origin: String,
    /// The request that asked for it; empty if none did.
    pub request_id: String,
}

/// One line of the append-only account of writes.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its place in the sequence, rising.
    pub sequence: u64,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Who did it.
    pub author: String,
    /// From where.
    pub origin: String,
    /// The request that asked for it.
    pub request_id: String,
    /// What was done.
    pub outcome: Outcome,
    /// To whom.
    pub tenant: TenantId,
    /// The revision before, if there was one.
    pub before: Option<Revision>,
    /// The revision after.
    pub after: Revision,
}

/// Why a store did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The tenant is not as the writer believed.
    #[error("tenant {id} is {found}, not {expected}; read it again and repeat the change on that")]
    Conflict {
        /// Which tenant.
        id: TenantId,
        /// How it was believed to be, in words.
        expected: String,
        /// How it is, in words.
        found: String,
        /// The revision it is at, if it is there.
        revision: Option<Revision>,
    },
    /// There is no such tenant.
    #[error("there is no tenant {0}")]
    Missing(TenantId),
    /// The tenant breaks a rule of its own model, and would not be read back.
    #[error("tenant {id} is not well-formed and was not stored: {source}")]
    Invalid {
        /// Which tenant.
        id: TenantId,
        /// The rule it breaks.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store can't be reached, is locked, or refused: trying again may help.
    #[error("the {kind} store can't {action}: {source}")]
    Unavailable {
        /// The store's kind.
        kind: &'static str,
        /// What it was asked to do.
        action: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store could not be opened.
    #[error("the {kind} store {} can't be opened: {source}", path.display())]
    Open {
        /// The store's kind.
        kind: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong there.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored does not read as a tenant: somebody else wrote it, or a newer Mirador.
    #[error("the stored record of tenant {id} can't be read: {source}")]
    Corrupt {
        /// Which tenant, as stored.
        id: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
