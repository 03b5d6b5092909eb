//! A store in memory that counts what it is asked, and fails or hangs when told to.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};

use super::id;
use crate::{
    model::{Revision, Status, Tenant, TenantId, TenantRecord},
    repository::{
        AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Expect, Kind, ListQuery, Page,
        RecordKey, RepositoryError, TenantRepository, Written,
    },
};

/// How the store does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mood {
    #[default]
    Answering,
    Failing,
    /// Reads what it is asked for, and keeps it to itself until its mood changes.
    Hanging,
    /// As if every record were written by somebody else.
    Garbling,
}

#[derive(Debug, Default)]
pub(super) struct Scripted {
    tenants: Mutex<BTreeMap<TenantId, TenantRecord>>,
    log: watch::Sender<Vec<TenantId>>,
    mood: watch::Sender<Mood>,
    gets: AtomicUsize,
    /// Questions for the position or changes, unanswered ones included.
    follows: AtomicUsize,
}

impl Scripted {
    /// Writes a tenant, as another process would, and returns what is stored.
    pub(super) fn write(&self, name: &str) -> TenantRecord {
        self.write_as(name, Status::Active)
    }

    pub(super) fn bury(&self, name: &str) -> TenantRecord {
        self.write_as(name, Status::Deleted)
    }

    fn write_as(&self, name: &str, status: Status) -> TenantRecord {
        let id = id(name);
        let mut tenants = self.tenants.lock();
        let before = tenants.get(&id).map_or(0, |record| record.revision.0);
        let record = record(name, before + 1, status);
        tenants.insert(id.clone(), record.clone());
        drop(tenants);
        self.log.send_modify(|log| log.push(id));
        record
    }

    /// Becomes another, empty store.
    pub(super) fn wipe(&self) {
        self.tenants.lock().clear();
        self.log.send_modify(Vec::clear);
    }

    pub(super) fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How often a tenant was read.
    pub(super) fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    /// How often the position or changes were asked for.
    pub(super) fn follows(&self) -> usize {
        self.follows.load(Ordering::SeqCst)
    }

    async fn answer<T>(&self, id: &str, answer: T) -> Result<T, RepositoryError> {
        let mut mood = self.mood.subscribe();
        let mood = mood.wait_for(|mood| *mood != Mood::Hanging).await;
        match *mood.unwrap() {
            Mood::Answering | Mood::Hanging => Ok(answer),
            Mood::Failing => Err(RepositoryError::Unavailable {
                kind: "scripted",
                action: "answer",
                source: "the cable is cut".into(),
            }),
            Mood::Garbling => Err(RepositoryError::Corrupt {
                key: RecordKey::new(Kind::Tenant, id),
                source: "moths".into(),
            }),
        }
    }
}

/// The keys of these tenants, and some of other kinds with the same ids, which are no concern of
/// the cache's.
fn named(ids: &[TenantId]) -> Vec<RecordKey> {
    let kinds = [Kind::Key, Kind::Tenant, Kind::Tier];
    ids.iter()
        .flat_map(|id| kinds.map(|kind| RecordKey::new(kind, id.as_str())))
        .collect()
}

/// A record as a store would hold it.
pub(super) fn record(name: &str, revision: u64, status: Status) -> TenantRecord {
    let mut tenant: Tenant = serde_json::from_value(serde_json::json!({"id": name})).unwrap();
    tenant.status = status;
    TenantRecord {
        tenant,
        revision: Revision(revision),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

#[async_trait]
impl TenantRepository for Scripted {
    async fn get(&self, id: &TenantId) -> Result<Option<TenantRecord>, RepositoryError> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let found = self.tenants.lock().get(id).cloned();
        self.answer(id.as_str(), found).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, RepositoryError> {
        let limit = usize::from(query.limit);
        let after = |id: &TenantId| query.after.as_ref().is_none_or(|after| id > after);
        let mut records: Vec<_> = {
            let tenants = self.tenants.lock();
            let alive = tenants
                .iter()
                .filter(|(_, record)| record.tenant.status != Status::Deleted);
            let wanted = alive.filter(|(id, _)| after(id)).take(limit + 1);
            wanted.map(|(_, record)| record.clone()).collect()
        };
        let more = records.len() > limit;
        records.truncate(limit);
        let last = records.last().filter(|_| more);
        let next = last.map(|record| record.tenant.id.clone());
        self.answer("", Page { records, next }).await
    }

    async fn put(&self, _: &Tenant, _: Expect, _: &Author) -> Result<Written, RepositoryError> {
        unreachable!("the cache never writes")
    }

    async fn delete(
        &self,
        _: &TenantId,
        _: Expect,
        _: &Author,
    ) -> Result<Written, RepositoryError> {
        unreachable!("the cache never writes")
    }

    async fn restore(
        &self,
        _: &TenantId,
        _: Expect,
        _: &Author,
    ) -> Result<Written, RepositoryError> {
        unreachable!("the cache never writes")
    }

    async fn purge(
        &self,
        _: &TenantId,
        _: bool,
        _: Expect,
        _: &Author,
    ) -> Result<Written, RepositoryError> {
        unreachable!("the cache never writes")
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        self.follows.fetch_add(1, Ordering::SeqCst);
        let position = ChangeCursor(self.log.borrow().len() as u64);
        self.answer("", position).await
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        self.follows.fetch_add(1, Ordering::SeqCst);
        let from = usize::try_from(after.0).unwrap();
        let mut log = self.log.subscribe();
        let _ = timeout(patience, log.wait_for(|log| log.len() > from)).await;
        let changes = {
            let log = log.borrow();
            Changes {
                keys: named(log.get(from..).unwrap_or_default()),
                next: ChangeCursor(after.0.max(log.len() as u64)),
            }
        };
        // Unreadable records are not the feed's business.
        if *self.mood.borrow() == Mood::Garbling {
            return Ok(changes);
        }
        self.answer("", changes).await
    }

    async fn audit(&self, _: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        unreachable!("the cache reads no audit events")
    }

    fn kind(&self) -> &'static str {
        "scripted"
    }
}
