//! The contract of a back end.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Record, RecordKey,
    RecordPage, RecordQuery, RecordWrite, RepositoryError,
};
use crate::history::HistoryStore;

/// What is wrong with a part of what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFault {
    /// Where it is put right.
    pub place: PathBuf,
    /// What is wrong.
    pub message: String,
}

impl StoreFault {
    pub(super) fn new(place: &Path, message: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            message: message.into(),
        }
    }
}

/// Keeps raw records. What they say, and which writes make sense, is decided once for all back
/// ends by [`super::Repository`], which stands on this.
///
/// All methods are cancel-safe: dropped half-way, a write has happened whole, with its audit
/// event, or not at all.
#[async_trait]
pub trait RecordStore: Send + Sync + fmt::Debug + 'static {
    /// One record, tombstones and what is left of purged ones included; `None` if it never was.
    ///
    /// # Errors
    /// The store can't be asked.
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, RepositoryError>;

    /// One page of records, in the order of their ids (by byte).
    ///
    /// # Errors
    /// The store can't be asked.
    async fn page(&self, query: &RecordQuery) -> Result<RecordPage, RepositoryError>;

    /// Writes a record if it is still at the revision that `write` was decided on, and in the same
    /// transaction the audit event that says so. `used_at` of the record is not written.
    ///
    /// # Errors
    /// The store can't be written; `ReadOnly` if it never can.
    async fn commit(&self, write: &RecordWrite, by: &Author) -> Result<Committed, RepositoryError>;

    /// Notes when a record was last used, unless something later is noted: no new revision, no
    /// change, no audit event. Nothing happens if there is no such record.
    ///
    /// # Errors
    /// The store can't be written. One that never can passes over it.
    async fn touch(&self, key: &RecordKey, used_at: Timestamp) -> Result<(), RepositoryError>;

    /// The position after the newest change: where a reader who lists everything *after* asking
    /// goes on from.
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

    /// Where what is remembered of tenants' health can be kept beside their records, if it can.
    fn history(&self) -> Option<Arc<dyn HistoryStore>> {
        None
    }

    /// Lets go of files and connections; whatever is asked later fails. Leaving it out loses
    /// nothing.
    async fn close(&self) {}

    /// What is wrong with parts of what is stored, while the rest is served.
    fn faults(&self) -> Vec<StoreFault> {
        Vec::new()
    }

    /// What kind of store this is, as in `store.kind`.
    fn kind(&self) -> &'static str;
}
