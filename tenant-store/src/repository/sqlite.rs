//! The embedded store: one `SQLite` file, in WAL mode, shared by as many processes of this machine
//! as like.
//!
//! Readers never wait for a writer. Writers queue, within a process for the one writing
//! connection, between processes for the file's lock, both for no longer than the busy timeout.
//! The sequence of audit events is the change feed.
//!
//! Commits are synced to disk (`synchronous=FULL`): a write that was answered survives a power
//! cut. It costs one fsync per write, and writes are rare; losing the last ones would let
//! revisions be given twice, which readers rely on never to happen.

mod file;
mod history;
mod rows;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::watch;

use self::{file::DatabaseFile, history::SqliteHistory, rows::migrate};
use super::{
    AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Record, RecordKey,
    RecordPage, RecordQuery, RecordStore, RecordWrite, RepositoryError, unavailable, wait::Wait,
};
use crate::history::HistoryStore;

const KIND: &str = "sqlite";

const WRITE: &str = "write a record";

/// Reading connections: each is a thread, and a read takes some 50 µs.
const READERS: u32 = 4;

/// Pages each connection keeps, as the pragma wants it: negative is KiB. The file is in the system's
/// cache anyway, and five connections would hold 2 MB each after a listing.
const PAGE_CACHE: &str = "-256";

/// How the embedded store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How long to wait for another process's lock before the store counts as unavailable.
    /// Default 1 s.
    pub busy_timeout: Duration,
    /// How often a waiting reader of changes looks for those of other processes; this process's
    /// own wake it at once. Default 1 s.
    pub poll_interval: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(1),
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// Records in an `SQLite` file.
#[derive(Debug)]
pub struct SqliteRepository {
    file: Arc<DatabaseFile>,
    writer: SqlitePool,
    readers: SqlitePool,
    poll_interval: Duration,
    /// Told of every write of this process.
    written: watch::Sender<()>,
}

impl SqliteRepository {
    /// Opens the store at `path` and brings its schema up to date; a missing file is created,
    /// readable by this user alone. Its directory must exist.
    ///
    /// # Errors
    /// `Open`, naming the path: it can't be created or read, is locked, is no `SQLite` database or
    /// was written by a newer Mirador.
    pub async fn open(path: &Path) -> Result<Self, RepositoryError> {
        Self::open_with(path, SqliteOptions::default()).await
    }

    /// As [`SqliteRepository::open`], with other waiting times.
    ///
    /// # Errors
    /// As there.
    pub async fn open_with(path: &Path, options: SqliteOptions) -> Result<Self, RepositoryError> {
        Self::connect(path, options)
            .await
            .map_err(|source| RepositoryError::Open {
                kind: KIND,
                path: path.to_owned(),
                source,
            })
    }

    async fn connect(
        path: &Path,
        options: SqliteOptions,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let file = Arc::new(DatabaseFile::create_or_find(path)?);
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(options.busy_timeout)
            .foreign_keys(true)
            .pragma("cache_size", PAGE_CACHE)
            .disable_statement_logging();
        // A writer's turn comes after the one before it, which may have waited for the lock too.
        let pool = SqlitePoolOptions::new()
            .acquire_timeout(options.busy_timeout * 2)
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = pool
            .clone()
            .max_connections(1)
            .connect_with(connect.clone())
            .await?;
        migrate(&writer).await?;
        let readers = pool
            .max_connections(READERS)
            .connect_lazy_with(connect.pragma("query_only", "ON"));
        Ok(Self {
            file,
            writer,
            readers,
            poll_interval: options.poll_interval,
            written: watch::Sender::new(()),
        })
    }
}

async fn commit_on(
    connection: &mut SqliteConnection,
    write: &RecordWrite,
    by: &Author,
) -> Result<Committed, RepositoryError> {
    let failed = failed(WRITE);
    let transaction = connection.begin_with("BEGIN IMMEDIATE").await;
    let mut transaction = transaction.map_err(failed)?;
    if !rows::store(&mut transaction, write).await? {
        return Ok(Committed::Overtaken);
    }
    rows::account(&mut transaction, write, by).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(Committed::Done)
}

#[async_trait]
impl RecordStore for SqliteRepository {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, RepositoryError> {
        self.file.check("read a record")?;
        rows::record(&self.readers, key).await
    }

    async fn page(&self, query: &RecordQuery) -> Result<RecordPage, RepositoryError> {
        self.file.check("list records")?;
        rows::page(&self.readers, query).await
    }

    async fn commit(&self, write: &RecordWrite, by: &Author) -> Result<Committed, RepositoryError> {
        self.file.check(WRITE)?;
        let mut connection = self.writer.acquire().await.map_err(failed(WRITE))?;
        let result = commit_on(&mut connection, write, by).await;
        match &result {
            Ok(Committed::Done) => {
                self.written.send_replace(());
            }
            Ok(Committed::Overtaken) => {}
            // SQLite itself rolls back after some faults, behind the driver's back: such a
            // connection is not used again.
            Err(_) => connection.close_on_drop(),
        }
        result
    }

    async fn touch(&self, key: &RecordKey, used_at: Timestamp) -> Result<(), RepositoryError> {
        self.file.check("note a use")?;
        rows::touch(&self.writer, key, used_at).await
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        self.file.check("tell its position")?;
        rows::position(&self.readers).await
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        let mut wait = Wait::begin(&self.written, patience, self.poll_interval);
        loop {
            self.file.check("tell what changed")?;
            let changes = rows::changes(&self.readers, after).await?;
            if wait.is_over(&changes, after).await {
                return Ok(changes);
            }
        }
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        self.file.check("read its audit events")?;
        rows::audit(&self.readers, query).await
    }

    fn history(&self) -> Option<Arc<dyn HistoryStore>> {
        Some(Arc::new(SqliteHistory {
            file: self.file.clone(),
            writer: self.writer.clone(),
            readers: self.readers.clone(),
        }))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}

/// What the driver says, as the store's error while doing `action`.
fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> RepositoryError + Copy {
    unavailable(KIND, action)
}
