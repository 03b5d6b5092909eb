//! The contract of what keeps history.

use std::{fmt, num::NonZeroU32};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Batch, HistoryPage, HistoryQuery, Span, Tally};
use crate::{
    model::{Signal, TenantId},
    repository::RepositoryError,
};

/// Keeps what is remembered of health. All methods are cancel-safe: dropped half-way, a batch has
/// been written whole or not at all.
#[async_trait]
pub trait HistoryStore: Send + Sync + fmt::Debug + 'static {
    /// Writes a batch, unless it was written before. Of each tenant that has changes in it, no more
    /// than the newest `most` changes are kept.
    ///
    /// # Errors
    /// The store can't be written.
    async fn write(&self, batch: &Batch, most: NonZeroU32) -> Result<(), RepositoryError>;

    /// One page of a tenant's changes, newest first.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn page(&self, query: &HistoryQuery) -> Result<HistoryPage, RepositoryError>;

    /// How many requests there were of these tenants, all routers together, since each of these
    /// moments; nothing of those that had none. All as of one moment, in the order of tenant and
    /// signal.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn sums(
        &self,
        tenants: &[TenantId],
        since: &[Since],
    ) -> Result<Vec<Sum>, RepositoryError>;

    /// Forgets what is older than it is kept; so many rows at most, that nobody waits long. True
    /// if there may be more.
    ///
    /// # Errors
    /// The store can't be written.
    async fn prune(&self, horizon: Horizon) -> Result<bool, RepositoryError>;

    /// Forgets everything of a tenant.
    ///
    /// # Errors
    /// The store can't be written.
    async fn forget(&self, tenant: &TenantId) -> Result<(), RepositoryError>;

    /// What keeps it: `sqlite`, `postgres` or `memory`.
    fn kind(&self) -> &'static str;
}

/// Buckets of one span that begin at a moment or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Of this span.
    pub span: Span,
    /// That begin no earlier, in seconds since the epoch.
    pub start: i64,
}

/// What came to a tenant's signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Whose.
    pub tenant: TenantId,
    /// Of which deployment.
    pub signal: Signal,
    /// How many, since each of the moments that were asked about.
    pub tallies: Vec<Tally>,
}

/// What is too old to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Changes before this moment.
    pub changes: Timestamp,
    /// Now: counts are kept as long as [`Span::kept_seconds`] says.
    pub now: Timestamp,
}

impl Horizon {
    /// Rows of one kind that are forgotten at one time.
    pub(crate) const AT_A_TIME: u16 = 1000;

    /// Before when buckets of `span` must begin to be forgotten, in seconds since the epoch.
    pub(crate) fn counts(self, span: Span) -> i64 {
        self.now.as_second() - span.kept_seconds()
    }
}
