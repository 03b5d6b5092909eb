//! All records of one kind, held in memory and kept in step with the store: for what is small and
//! asked about with each request, such as tiers and API keys.
//!
//! Readers see an immutable snapshot and wait for nobody. A store that fails leaves the last one as
//! it is. A revision is never replaced by an older one, whichever way the news came.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ahash::RandomState;
use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use crate::{
    model::Revision,
    repository::{
        ChangeCursor, Kept, KeptWritten, Record, RecordKey, RecordQuery, Repository,
        RepositoryError, Stored, unavailable,
    },
};

/// How long the store may keep us waiting for a change.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take for any other answer, and for that one beyond our patience.
const LIMIT: Duration = Duration::from_secs(10);

/// Between attempts to follow a store that fails: from the first, doubling, to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// The records of one kind, each as a view `V` that is made once per revision.
pub struct Mirror<T: Kept, V = Stored<T>> {
    repository: Arc<Repository>,
    view: Box<View<T, V>>,
    held: ArcSwap<Held<V>>,
    /// Whoever replaces the snapshot has this.
    writing: Mutex<()>,
    /// The store's changes up to here are taken in; `None` if that is not known.
    followed_to: Mutex<Option<ChangeCursor>>,
    /// Everything was read at least once.
    filled: AtomicBool,
}

type View<T, V> = dyn Fn(&Stored<T>, Option<&V>) -> V + Send + Sync;

/// What was known of the records at one moment.
#[derive(Debug, Clone)]
pub struct Held<V> {
    by_id: HashMap<Arc<str>, Seen<V>, RandomState>,
}

#[derive(Debug)]
struct Seen<V> {
    revision: Revision,
    /// `None` if it was deleted.
    view: Option<Arc<V>>,
}

/// What was learnt of a record.
struct News<T> {
    id: Arc<str>,
    revision: Revision,
    alive: Option<Stored<T>>,
}

impl<T: Kept + 'static, V: Send + Sync + 'static> Mirror<T, V> {
    /// An empty mirror. `view` makes what readers see of a record; it is given the view of the
    /// revision before, if there is one.
    pub fn new(
        repository: Arc<Repository>,
        view: impl Fn(&Stored<T>, Option<&V>) -> V + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            repository,
            view: Box::new(view),
            held: ArcSwap::from_pointee(Held {
                by_id: HashMap::default(),
            }),
            writing: Mutex::new(()),
            followed_to: Mutex::new(None),
            filled: AtomicBool::new(false),
        })
    }

    /// What is known this moment. Writes to nothing that threads share.
    pub fn load(&self) -> Guard<Arc<Held<V>>> {
        self.held.load()
    }

    /// Whether everything was read at least once: until then, what is not held may be there.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }

    /// Makes all views anew, because something else they are made of has changed.
    pub fn rebuild(&self, rebuilt: impl Fn(&V) -> V) {
        let _writing = self.writing.lock();
        let held = self.held.load();
        let by_id = held.by_id.iter().map(|(id, seen)| {
            let view = seen.view.as_ref().map(|view| Arc::new(rebuilt(view)));
            let revision = seen.revision;
            (id.clone(), Seen { revision, view })
        });
        self.held.store(Arc::new(Held {
            by_id: by_id.collect(),
        }));
    }

    /// Takes in what was just written here: from this call on, it is what is known, unless
    /// something newer is. Answers whether anything is other than before.
    pub fn take_in(&self, written: &KeptWritten<T>) -> bool {
        let stored = written.record.clone();
        let news = News {
            id: stored.value.id().into(),
            revision: stored.revision,
            alive: (!stored.deleted).then_some(stored),
        };
        !self.merge([news]).is_empty()
    }

    /// Reads all records, and answers the ids of those that are other than before. Records that
    /// can't be read are logged, and stay as they were.
    ///
    /// # Errors
    /// The store failed, or took longer than ten seconds for one answer; what was read until then
    /// is kept.
    pub async fn fill(&self) -> Result<Vec<Arc<str>>, RepositoryError> {
        let store = self.repository.store();
        // Before the listing: what changes during it is then seen by the follower.
        let position = self.bounded(LIMIT, store.position()).await?;
        let mut changed = Vec::new();
        let mut listed = HashSet::new();
        let mut query = RecordQuery::all(T::KIND);
        loop {
            let page = self.bounded(LIMIT, store.page(&query)).await?;
            listed.extend(page.records.iter().map(|record| record.key.id.clone()));
            changed.extend(self.merge(page.records.iter().filter_map(read)));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        // What is known and not listed was deleted meanwhile, or made after its page was read.
        let held = self.held.load_full();
        let alive = held.by_id.iter().filter(|(_, seen)| seen.view.is_some());
        let doubtful = alive.map(|(id, _)| id).filter(|id| !listed.contains(*id));
        changed.extend(self.reread(doubtful).await?);
        *self.followed_to.lock() = Some(position);
        self.filled.store(true, Ordering::Relaxed);
        Ok(changed)
    }

    /// Follows the store's changes, and tells `tell` the ids of what is other than before. Never
    /// returns; a store that fails is asked again after a pause of 250 ms, doubling up to 30 s. Run
    /// one of these per mirror.
    pub async fn follow(self: Arc<Self>, tell: impl Fn(&[Arc<str>]) + Send + Sync) {
        let (first, last) = BACK_OFF;
        let mut pause = first;
        loop {
            match self.follow_once(&tell).await {
                Ok(()) => pause = first,
                Err(error) => {
                    tracing::debug!(%error, kind = %T::KIND, ?pause, "following the store failed");
                    *self.followed_to.lock() = None;
                    sleep(pause).await;
                    pause = (pause * 2).min(last);
                }
            }
        }
    }

    /// Waits for one batch of changes and takes it in. The position moves on only after that, so
    /// that a failure half-way misses nothing.
    async fn follow_once(
        &self,
        tell: &(impl Fn(&[Arc<str>]) + Sync),
    ) -> Result<(), RepositoryError> {
        let followed_to = *self.followed_to.lock();
        let Some(after) = followed_to else {
            return self.fill().await.map(|ids| tell(&ids));
        };
        let changes = self.repository.store().changes(after, PATIENCE);
        let changes = self.bounded(PATIENCE + LIMIT, changes).await?;
        let ours = changes.keys.iter().filter(|key| key.kind == T::KIND);
        let ids = self.reread(ours.map(|key| &key.id)).await?;
        if !ids.is_empty() {
            tell(&ids);
        }
        *self.followed_to.lock() = Some(changes.next);
        Ok(())
    }

    async fn reread(
        &self,
        ids: impl Iterator<Item = &Arc<str>>,
    ) -> Result<Vec<Arc<str>>, RepositoryError> {
        let mut news = Vec::new();
        for id in ids {
            let key = RecordKey::new(T::KIND, id);
            let record = self.repository.store().read(&key);
            let record = self.bounded(LIMIT, record).await?;
            news.extend(record.as_ref().and_then(read));
        }
        Ok(self.merge(news))
    }

    /// Puts a new snapshot in the place of the one that is there, and answers the ids of what is
    /// other than in that.
    fn merge(&self, news: impl IntoIterator<Item = News<T>>) -> Vec<Arc<str>> {
        let _writing = self.writing.lock();
        let held = self.held.load();
        let is_new = |news: &News<T>| {
            let seen = held.by_id.get(&news.id);
            seen.is_none_or(|seen| seen.revision < news.revision)
        };
        let news: Vec<_> = news.into_iter().filter(is_new).collect();
        if news.is_empty() {
            return Vec::new();
        }
        let mut by_id = held.by_id.clone();
        let mut changed = Vec::with_capacity(news.len());
        for News {
            id,
            revision,
            alive,
        } in news
        {
            let before = by_id.get(&id).and_then(|seen| seen.view.clone());
            let view = alive.map(|stored| Arc::new((self.view)(&stored, before.as_deref())));
            by_id.insert(id.clone(), Seen { revision, view });
            changed.push(id);
        }
        self.held.store(Arc::new(Held { by_id }));
        changed
    }

    async fn bounded<R>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<R, RepositoryError>>,
    ) -> Result<R, RepositoryError> {
        let late = unavailable(self.repository.store().kind(), "answer in time");
        timeout(limit, answer).await.map_err(late)?
    }
}

impl<V> Held<V> {
    /// One record's view; `None` if there is no such record, or it was deleted.
    pub fn get(&self, id: &str) -> Option<&Arc<V>> {
        self.by_id.get(id)?.view.as_ref()
    }

    /// All of them, in no order.
    pub fn views(&self) -> impl Iterator<Item = &Arc<V>> {
        self.by_id.values().filter_map(|seen| seen.view.as_ref())
    }
}

impl<V> Clone for Seen<V> {
    fn clone(&self) -> Self {
        let (revision, view) = (self.revision, self.view.clone());
        Self { revision, view }
    }
}

impl<T: Kept, V> fmt::Debug for Mirror<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("kind", &T::KIND)
            .field("held", &self.held.load().by_id.len())
            .finish_non_exhaustive()
    }
}

/// What a record says; `None` if it can't be read.
fn read<T: Kept>(record: &Record) -> Option<News<T>> {
    match Stored::read(record) {
        Ok(stored) => Some(News {
            id: record.key.id.clone(),
            revision: record.revision,
            alive: stored.filter(|stored: &Stored<T>| !stored.deleted),
        }),
        Err(error) => {
            tracing::error!(%error, "a record is passed over, and stays as it was known");
            None
        }
    }
}
