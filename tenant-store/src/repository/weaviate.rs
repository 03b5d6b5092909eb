//! Weaviate, where tenants are kept there already: several routers, by its REST API.
//!
//! It has no compare-and-set, no transactions and no feed of changes. So a write goes by a *claim*,
//! see `write`; whether anything changed is found out by listing every
//! [`WeaviateOptions::poll_interval`]; and what was listed is held in a `Mirror`. A replica may
//! answer with an older revision than another has given before: nobody takes that back. Nothing is
//! removed but claims, so that nothing can be resurrected: what is purged keeps its revision.

mod client;
mod objects;
mod poll;
mod schema;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use url::Url;
use uuid::Uuid;

use self::{
    client::{Client, Failure, Properties},
    objects::{object_id, to_event, to_record, to_use},
    schema::Classes,
};
use super::{
    AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Kind, Record, RecordKey,
    RecordPage, RecordQuery, RecordStore, RecordWrite, RepositoryError, mirror::Mirror,
    unavailable, wait::Wait,
};

const KIND: &str = "weaviate";

/// Writes of this process that may be under way at one time. Those of one record take turns.
const TURNS: usize = 16;

/// Objects listed at a time.
const PAGE: usize = 500;

/// How Weaviate is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeaviateOptions {
    /// How long to wait for one answer. Default 2 s.
    pub timeout: Duration,
    /// How often to look for changes. Default 5 s.
    pub poll_interval: Duration,
    /// Replicas of each object, where classes are yet to be made; as many as there are nodes, at
    /// most. Default 1.
    pub replication_factor: u32,
    /// How long after a claim it is certain whose it is: longer than the server takes from finding
    /// that there is no such object to writing it. Default 100 ms.
    pub settling: Duration,
    /// How the names of classes begin. Default `Mirador`.
    pub class_prefix: String,
}

impl Default for WeaviateOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            poll_interval: Duration::from_secs(5),
            replication_factor: 1,
            settling: Duration::from_millis(100),
            class_prefix: "Mirador".into(),
        }
    }
}

/// Records in Weaviate.
pub struct WeaviateRepository {
    shared: Arc<Shared>,
    polling: JoinHandle<()>,
}

struct Shared {
    place: Url,
    client: Client,
    classes: Classes,
    options: WeaviateOptions,
    mirror: RwLock<Mirror>,
    /// Why it could not be listed the last time.
    unreachable: RwLock<Option<String>>,
    /// Held by whoever lists: when that was last done.
    listed: tokio::sync::Mutex<Option<Instant>>,
    /// Claims that were seen, and since when.
    claims: Mutex<HashMap<String, Instant>>,
    turns: [tokio::sync::Mutex<()>; TURNS],
    /// Told of every change.
    stirred: watch::Sender<()>,
    /// The last sequence given to an event.
    sequence: AtomicU64,
}

impl WeaviateRepository {
    /// Makes the classes that are missing, and lists all there is. `http` says how TLS is verified.
    ///
    /// # Errors
    /// `Open`, naming the place: it can't be reached, refuses the key, or has classes of these
    /// names that are something else.
    pub async fn open(
        http: reqwest::Client,
        place: &Url,
        api_key: Option<String>,
        options: WeaviateOptions,
    ) -> Result<Self, RepositoryError> {
        let client = Client::new(http, place.clone(), api_key, options.timeout);
        let classes = Classes::new(&options.class_prefix);
        let failed = |source| RepositoryError::Open {
            kind: KIND,
            path: place.as_str().into(),
            source,
        };
        schema::bring_about(&client, &classes, options.replication_factor)
            .await
            .map_err(|error| failed(error.into()))?;
        let poll_interval = options.poll_interval;
        let shared = Arc::new(Shared {
            place: place.clone(),
            client,
            classes,
            options,
            mirror: RwLock::default(),
            unreachable: RwLock::default(),
            listed: tokio::sync::Mutex::default(),
            claims: Mutex::default(),
            turns: Default::default(),
            stirred: watch::Sender::new(()),
            sequence: AtomicU64::new(0),
        });
        shared
            .look(Duration::ZERO)
            .await
            .map_err(|error| failed(error.into()))?;
        let polling = tokio::spawn(poll::keep_looking(shared.clone(), poll_interval));
        Ok(Self { shared, polling })
    }
}

impl fmt::Debug for WeaviateRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeaviateRepository")
            .field("place", &self.shared.place.as_str())
            .finish_non_exhaustive()
    }
}

impl Drop for WeaviateRepository {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

impl Shared {
    /// The record as most replicas have it, or as it was seen here if that is newer; and whose write
    /// it is.
    async fn record(&self, key: &RecordKey) -> Result<Option<(Record, String)>, Trouble> {
        let properties = self.record_object(key).await?;
        let Some(properties) = properties else {
            return Ok(None);
        };
        let record = to_record(key, &properties).map_err(|source| Trouble::Corrupt {
            key: key.clone(),
            source,
        })?;
        Ok(Some((record, objects::claim_of(&properties).to_owned())))
    }

    async fn record_object(&self, key: &RecordKey) -> Result<Option<Properties>, Failure> {
        let class = self.classes.of(key.kind);
        self.client.get(class, object_id(class, &key.id)).await
    }

    /// When a key was last used, if it is a key and was.
    async fn used_at(&self, key: &RecordKey) -> Result<Option<Timestamp>, Failure> {
        if key.kind != Kind::Key {
            return Ok(None);
        }
        let class = &self.classes.usage;
        let properties = self.client.get(class, usage_id(class, key)).await?;
        let found = properties.as_ref().and_then(to_use);
        Ok(found.map(|(_, used_at)| used_at))
    }

    /// Takes in a record, unless what is known is as new.
    fn notice(&self, record: Record) {
        let mut mirror = self.mirror.write();
        let held = mirror.record(&record.key);
        if held.is_none_or(|held| held.revision < record.revision) {
            let used_at = held.and_then(|held| held.used_at);
            mirror.change(Record { used_at, ..record });
            drop(mirror);
            self.stirred.send_replace(());
        }
    }

    /// Fails if it could not be listed the last time: what changed since is not known.
    fn check(&self, action: &'static str) -> Result<(), RepositoryError> {
        match &*self.unreachable.read() {
            Some(reason) => Err(unavailable(KIND, action)(reason.clone())),
            None => Ok(()),
        }
    }

    fn turn(&self, key: &RecordKey) -> &tokio::sync::Mutex<()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        &self.turns[place]
    }

    /// The next place in the sequence of events: the time in microseconds, which all routers have
    /// in common, and in any case later than this router's last.
    fn next_sequence(&self) -> u64 {
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
        let last = self
            .sequence
            .update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                now.max(last + 1)
            });
        now.max(last + 1)
    }
}

fn usage_id(class: &str, key: &RecordKey) -> Uuid {
    object_id(class, &objects::subject(key))
}

/// Why something could not be done here.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Call(#[from] Failure),
    #[error("the object of {key} can't be read: {source}")]
    Corrupt {
        key: RecordKey,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{0}")]
    Late(&'static str),
}

impl Trouble {
    fn while_doing(self, action: &'static str) -> RepositoryError {
        match self {
            Self::Corrupt { key, source } => RepositoryError::Corrupt { key, source },
            other => unavailable(KIND, action)(other),
        }
    }
}

#[async_trait]
impl RecordStore for WeaviateRepository {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, RepositoryError> {
        const ACTION: &str = "read a record";
        let (found, used_at) = tokio::join!(self.shared.record(key), self.shared.used_at(key));
        let found = found.map_err(|trouble| trouble.while_doing(ACTION))?;
        let used_at = used_at.map_err(|failure| Trouble::from(failure).while_doing(ACTION))?;
        if let Some((record, _)) = found {
            self.shared.notice(record);
        }
        // What was noticed, or what is newer than that.
        let record = self.shared.mirror.read().record(key).cloned();
        Ok(record.map(|record| Record {
            used_at: used_at.max(record.used_at),
            ..record
        }))
    }

    /// The first page is as of a second ago at most, later ones as of when they were last listed.
    async fn page(&self, query: &RecordQuery) -> Result<RecordPage, RepositoryError> {
        if query.after.is_none() {
            self.shared
                .look(Duration::from_secs(1))
                .await
                .map_err(|trouble| trouble.while_doing("list records"))?;
        }
        Ok(self.shared.mirror.read().page(query))
    }

    async fn commit(&self, write: &RecordWrite, by: &Author) -> Result<Committed, RepositoryError> {
        const ACTION: &str = "write a record";
        let (shared, write, by) = (self.shared.clone(), write.clone(), by.clone());
        // By itself, so that whoever stops waiting for it leaves nothing half-done.
        let committing = tokio::spawn(async move { shared.commit(&write, &by).await });
        match committing.await {
            Ok(committed) => committed.map_err(|trouble| trouble.while_doing(ACTION)),
            Err(error) => Err(unavailable(KIND, ACTION)(error)),
        }
    }

    async fn touch(&self, key: &RecordKey, used_at: Timestamp) -> Result<(), RepositoryError> {
        self.shared
            .touch(key, used_at)
            .await
            .map_err(|trouble| trouble.while_doing("note a use"))
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        self.shared.check("tell its position")?;
        Ok(self.shared.mirror.read().position())
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        let mut wait = Wait::begin(&self.shared.stirred, patience, Duration::MAX);
        loop {
            self.shared.check("tell what changed")?;
            let changes = self.shared.mirror.read().changes(after);
            if wait.is_over(&changes, after).await {
                return Ok(changes);
            }
        }
    }

    /// Reads all events there are: they can be listed only in the order of their ids.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        const ACTION: &str = "read its audit events";
        let mut newest: BTreeMap<(u64, Uuid), AuditEvent> = BTreeMap::new();
        let mut after = None;
        loop {
            let class = &self.shared.classes.event;
            let listed = self.shared.client.list(class, after, PAGE).await;
            let listed = listed.map_err(|failure| Trouble::from(failure).while_doing(ACTION))?;
            let Some(last) = listed.last() else {
                return Ok(newest.into_values().rev().collect());
            };
            after = Some(last.id);
            for object in listed {
                match to_event(&object.properties) {
                    Ok(event) if query.means(&event) => {
                        newest.insert((event.sequence, object.id), event);
                        if newest.len() > query.bounded_limit() {
                            newest.pop_first();
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(%error, id = %object.id, "skipped an audit event");
                    }
                }
            }
        }
    }

    async fn close(&self) {
        self.polling.abort();
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}
