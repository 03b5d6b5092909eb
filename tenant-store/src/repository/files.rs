//! A folder of tenant files, as Git or a `ConfigMap` delivers it: read-only here, changed there.
//!
//! The folder is looked into every [`FilesOptions::poll_interval`]; nothing depends on being told of
//! changes, which links that are swapped and network file systems don't reliably do. What was read
//! is held: a file that turns faulty, a folder that can't be read or is suddenly empty changes
//! nothing of what is known, and is reported by name.
//!
//! A revision is the time at which the tenant's file was last changed, in milliseconds, or one more
//! than the revision before: it only rises, in this process and, as far as files' times do, over
//! restarts. Positions of changes are this process's own.

mod folder;
mod holding;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, watch},
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use self::holding::Holding;
use super::{
    AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Record, RecordKey,
    RecordPage, RecordQuery, RecordStore, RecordWrite, RepositoryError, StoreFault, unavailable,
    wait::Wait,
};

const KIND: &str = "files";

/// How a folder is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesOptions {
    /// How often to look for changes. Default 1 s.
    pub poll_interval: Duration,
}

impl Default for FilesOptions {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Tenants in the files of a folder, and tiers in those of its folder `tiers`.
#[derive(Debug)]
pub struct FilesRepository {
    watched: Arc<Watched>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    holding: RwLock<Holding>,
    /// Held by whoever looks into the folder.
    turn: Mutex<()>,
    /// Told of every change.
    stirred: watch::Sender<()>,
}

impl FilesRepository {
    /// Reads the files of `folder`, and goes on looking into it. Files that are faulty are left out
    /// and reported.
    ///
    /// # Errors
    /// `Open`, naming the folder: it can't be read.
    pub async fn open(folder: &Path, options: FilesOptions) -> Result<Self, RepositoryError> {
        let watched = Arc::new(Watched {
            folder: folder.to_owned(),
            holding: RwLock::default(),
            turn: Mutex::default(),
            stirred: watch::Sender::new(()),
        });
        watched.look().await;
        if let Some(reason) = watched.holding.read().unreadable() {
            return Err(RepositoryError::Open {
                kind: KIND,
                path: folder.to_owned(),
                source: reason.into(),
            });
        }
        let task = tokio::spawn(keep_looking(watched.clone(), options.poll_interval));
        Ok(Self { watched, task })
    }

    /// Looks into the folder now; what has changed is known when this returns.
    pub async fn look(&self) {
        self.watched.look().await;
    }
}

impl Drop for FilesRepository {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_looking(watched: Arc<Watched>, poll_interval: Duration) {
    loop {
        sleep(poll_interval).await;
        watched.look().await;
    }
}

impl Watched {
    /// Reads what is not as it was, and takes it in.
    async fn look(&self) {
        let _turn = self.turn.lock().await;
        let known = self.holding.read().stamps();
        let folder = self.folder.clone();
        let looked = spawn_blocking(move || folder::look(&folder, &known)).await;
        let looked = looked.unwrap_or_else(|_| Err("reading it failed".into()));
        if self.holding.write().take_in(&self.folder, looked) {
            self.stirred.send_replace(());
        }
    }

    /// Fails if the folder could not be read when it was last looked into.
    fn check(&self, action: &'static str) -> Result<(), RepositoryError> {
        match self.holding.read().unreadable() {
            Some(reason) => {
                let place = self.folder.display();
                Err(unavailable(KIND, action)(format!("{place} {reason}")))
            }
            None => Ok(()),
        }
    }
}

/// What is held is answered whatever has become of the folder; whether anything has changed is
/// answered only by a folder that can be read.
#[async_trait]
impl RecordStore for FilesRepository {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, RepositoryError> {
        Ok(self.watched.holding.read().mirror().record(key).cloned())
    }

    async fn page(&self, query: &RecordQuery) -> Result<RecordPage, RepositoryError> {
        Ok(self.watched.holding.read().mirror().page(query))
    }

    async fn commit(&self, _: &RecordWrite, _: &Author) -> Result<Committed, RepositoryError> {
        Err(RepositoryError::ReadOnly {
            kind: KIND,
            place: format!("the files in {}", self.watched.folder.display()),
        })
    }

    async fn touch(&self, _: &RecordKey, _: Timestamp) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        self.watched.check("tell its position")?;
        Ok(self.watched.holding.read().mirror().position())
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        let mut wait = Wait::begin(&self.watched.stirred, patience, Duration::MAX);
        loop {
            self.watched.check("tell what changed")?;
            let changes = self.watched.holding.read().mirror().changes(after);
            if wait.is_over(&changes, after).await {
                return Ok(changes);
            }
        }
    }

    /// None: who changed a file is the business of whoever keeps them.
    async fn audit(&self, _: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn close(&self) {
        self.task.abort();
    }

    fn faults(&self) -> Vec<StoreFault> {
        self.watched.holding.read().faults().to_vec()
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}
