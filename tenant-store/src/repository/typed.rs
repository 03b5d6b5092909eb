//! Tenants, tiers and API keys over any back end: reads documents, decides on writes by the rules
//! all share, and has the back end commit what was decided.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Expect, Kept, Kind,
    ListQuery, Outcome, Page, Record, RecordKey, RecordQuery, RecordStatus, RecordStore,
    RepositoryError, Stored, TenantRepository, Written,
    change::{Case, Change, Draft},
};
use crate::model::{Tenant, TenantId, Tier, TierDefinition};

/// How often a write is decided anew because others wrote first. Each time one of them went ahead,
/// so only a store that forgets what it is told comes to the end of these.
const ATTEMPTS: usize = 1_000;

/// Everything that is kept, whatever keeps it.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Arc<dyn RecordStore>,
}

/// One page of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPage<T> {
    /// In the order of their ids.
    pub records: Vec<Stored<T>>,
    /// The id to ask on from; `None` on the last page.
    pub next: Option<Arc<str>>,
}

/// What a write did to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptWritten<T> {
    /// The record as it is now; a purged one as the tombstone readers should believe in.
    pub record: Stored<T>,
    /// What was done.
    pub outcome: Outcome,
}

impl Repository {
    /// A repository on `store`.
    pub fn new(store: impl RecordStore) -> Self {
        Self::on(Arc::new(store))
    }

    /// A repository on a store that others use too.
    pub fn on(store: Arc<dyn RecordStore>) -> Self {
        Self { store }
    }

    /// The store it stands on.
    pub fn store(&self) -> &Arc<dyn RecordStore> {
        &self.store
    }

    /// Lets go of files and connections; whatever is asked later fails.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// One record, tombstones included; `None` if it never was, or was purged.
    ///
    /// # Errors
    /// The store can't be asked, or what it has does not read as a `T`.
    pub async fn find<T: Kept>(&self, id: &str) -> Result<Option<Stored<T>>, RepositoryError> {
        match self.store.read(&RecordKey::new(T::KIND, id)).await? {
            Some(record) => Stored::read(&record),
            None => Ok(None),
        }
    }

    /// One page of records. The kind of `query` is that of `T`, whatever it says.
    ///
    /// # Errors
    /// The store can't be asked, or one record does not read as a `T`.
    pub async fn page<T: Kept>(&self, query: RecordQuery) -> Result<KeptPage<T>, RepositoryError> {
        let kind = T::KIND;
        let page = self.store.page(&RecordQuery { kind, ..query }).await?;
        let mut records = Vec::with_capacity(page.records.len());
        for record in &page.records {
            records.extend(Stored::read(record)?);
        }
        let next = page.next;
        Ok(KeptPage { records, next })
    }

    /// Creates or replaces a record, if it is as `expect` says.
    ///
    /// # Errors
    /// As [`TenantRepository::put`].
    pub async fn store_as<T: Kept>(
        &self,
        value: &T,
        expect: Expect,
        by: &Author,
    ) -> Result<KeptWritten<T>, RepositoryError> {
        let status = value.status();
        if status == RecordStatus::Deleted {
            return self.remove(value.id(), expect, by).await;
        }
        let key = RecordKey::new(T::KIND, value.id());
        let document = form(value, &key)?;
        let draft = Draft { status, document };
        self.write(&key, expect, by, |case| case.put(&draft)).await
    }

    /// Turns a record into a tombstone, if it is as `expect` says.
    ///
    /// # Errors
    /// As [`TenantRepository::delete`].
    pub async fn remove<T: Kept>(
        &self,
        id: &str,
        expect: Expect,
        by: &Author,
    ) -> Result<KeptWritten<T>, RepositoryError> {
        let key = RecordKey::new(T::KIND, id);
        self.write(&key, expect, by, Case::delete).await
    }

    /// Brings a tombstone back as it was.
    ///
    /// # Errors
    /// As [`TenantRepository::restore`].
    pub async fn revive<T: Kept>(
        &self,
        id: &str,
        expect: Expect,
        by: &Author,
    ) -> Result<KeptWritten<T>, RepositoryError> {
        let key = RecordKey::new(T::KIND, id);
        self.write(&key, expect, by, Case::restore).await
    }

    /// Forgets a record for good.
    ///
    /// # Errors
    /// As [`TenantRepository::purge`].
    pub async fn forget<T: Kept>(
        &self,
        id: &str,
        alive_too: bool,
        expect: Expect,
        by: &Author,
    ) -> Result<KeptWritten<T>, RepositoryError> {
        let key = RecordKey::new(T::KIND, id);
        self.write(&key, expect, by, |case| case.purge(alive_too))
            .await
    }

    /// Notes when a record was last used: cheap, late, and no change of it.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn touch<T: Kept>(
        &self,
        id: &str,
        used_at: Timestamp,
    ) -> Result<(), RepositoryError> {
        let key = RecordKey::new(T::KIND, id);
        self.store.touch(&key, used_at).await
    }

    /// A tier: as an operator defined it, or else as it is built in.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn tier(&self, name: &Tier) -> Result<Option<TierDefinition>, RepositoryError> {
        let stored = self.find::<TierDefinition>(name.as_str()).await?;
        let defined = stored.filter(|stored| !stored.deleted);
        Ok(defined
            .map(|stored| stored.value)
            .or_else(|| TierDefinition::built_in(name)))
    }

    /// All tiers by name, those that are built in included unless an operator redefined them.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn tiers(&self) -> Result<Vec<TierDefinition>, RepositoryError> {
        let mut tiers = TierDefinition::all_built_in();
        let mut query = RecordQuery::all(Kind::Tier);
        loop {
            let page = self.page::<TierDefinition>(query.clone()).await?;
            for stored in page.records {
                tiers.retain(|tier| tier.name != stored.value.name);
                tiers.push(stored.value);
            }
            query.after = page.next;
            if query.after.is_none() {
                tiers.sort_by(|one, other| one.name.cmp(&other.name));
                return Ok(tiers);
            }
        }
    }

    /// Decides on a write and commits it, again and again until nobody wrote in between.
    async fn write<T: Kept>(
        &self,
        key: &RecordKey,
        expect: Expect,
        by: &Author,
        decide: impl Fn(Case) -> Result<Change, RepositoryError> + Send + Sync,
    ) -> Result<KeptWritten<T>, RepositoryError> {
        for _ in 0..ATTEMPTS {
            let held = self.store.read(key).await?;
            // What can't be read is not written over: somebody should look at it first.
            let stored = held.as_ref().map(Stored::<T>::read).transpose()?;
            let reads_as = stored.flatten().map(|stored| form(&stored.value, key));
            let last = held.clone();
            let change = decide(Case {
                key: key.clone(),
                held,
                reads_as: reads_as.transpose()?.unwrap_or_default(),
                expect,
                now: now(),
                secrets: T::SECRETS,
            })?;
            let write = match change {
                Change::None(record) => return answer(record, None, Outcome::Unchanged),
                Change::Write(write) => write,
            };
            match self.store.commit(&write, by).await? {
                Committed::Done => return answer(write.record, last, write.outcome),
                Committed::Overtaken => {}
            }
        }
        Err(RepositoryError::Unavailable {
            kind: self.store.kind(),
            action: "write a record",
            source: format!("others wrote {key} first, {ATTEMPTS} times").into(),
        })
    }
}

/// What was written, as it reads. What was purged is told as the tombstone of what was there.
fn answer<T: Kept>(
    mut record: Record,
    last: Option<Record>,
    outcome: Outcome,
) -> Result<KeptWritten<T>, RepositoryError> {
    if outcome == Outcome::Purged {
        record.status = RecordStatus::Deleted;
        record.document = last.map(|last| last.document).unwrap_or_default();
    }
    let record = Stored::read(&record)?;
    let record = record.ok_or_else(|| RepositoryError::Missing(RecordKey::new(T::KIND, "")))?;
    Ok(KeptWritten { record, outcome })
}

/// The document of a value, read back once: its fields are open, so code may have broken what
/// parsing ensures.
fn form<T: Kept>(value: &T, key: &RecordKey) -> Result<Value, RepositoryError> {
    let form = || {
        let document = serde_json::to_value(value)?;
        serde_json::from_value::<T>(document.clone())?;
        Ok(document)
    };
    form().map_err(|source: serde_json::Error| RepositoryError::Invalid {
        key: key.clone(),
        source: source.into(),
    })
}

/// Now, as exactly as every store can keep it: in microseconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

#[async_trait]
impl TenantRepository for Repository {
    async fn get(
        &self,
        id: &TenantId,
    ) -> Result<Option<crate::model::TenantRecord>, RepositoryError> {
        let found = self.find::<Tenant>(id.as_str()).await?;
        Ok(found.map(Into::into))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, RepositoryError> {
        let page = self.page::<Tenant>(RecordQuery {
            kind: Kind::Tenant,
            after: query.after.as_ref().map(|id| id.as_str().into()),
            limit: query.limit,
            status: query.status.map(Into::into),
            tier: query.tier.clone(),
            tenant: None,
            label: query.label.clone(),
        });
        let page = page.await?;
        let last = page.records.last().filter(|_| page.next.is_some());
        let next = last.map(|record| record.value.id.clone());
        let records = page.records.into_iter().map(Into::into).collect();
        Ok(Page { records, next })
    }

    async fn put(
        &self,
        tenant: &Tenant,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError> {
        Ok(self.store_as(tenant, expect, by).await?.into())
    }

    async fn delete(
        &self,
        id: &TenantId,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError> {
        let written = self.remove::<Tenant>(id.as_str(), expect, by).await?;
        Ok(written.into())
    }

    async fn restore(
        &self,
        id: &TenantId,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError> {
        let written = self.revive::<Tenant>(id.as_str(), expect, by).await?;
        Ok(written.into())
    }

    async fn purge(
        &self,
        id: &TenantId,
        alive_too: bool,
        expect: Expect,
        by: &Author,
    ) -> Result<Written, RepositoryError> {
        let purged = self.forget::<Tenant>(id.as_str(), alive_too, expect, by);
        Ok(purged.await?.into())
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        self.store.position().await
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        self.store.changes(after, patience).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        self.store.audit(query).await
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }
}

impl From<KeptWritten<Tenant>> for Written {
    fn from(written: KeptWritten<Tenant>) -> Self {
        Self {
            record: written.record.into(),
            outcome: written.outcome,
        }
    }
}
