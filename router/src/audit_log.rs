//! Audit events as JSON lines, in a file or on standard output, for whoever collects logs.
//!
//! The store's account is the one that counts: it is written with each change, in one transaction.
//! This one follows it, whichever router made the change, in order, and catches up after either of
//! store and file failed.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tenant_store::repository::{
    AuditEvent, AuditQuery, Repository, RepositoryError, TenantRepository,
};
use thiserror::Error;
use tokio::time;

use crate::config::AuditLogConfig;

/// How long the store may be asked to wait for a change.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries, when something fails.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Events read at a time.
const AT_A_TIME: u16 = 1000;

/// Bytes at the end of a file in which its last line is looked for.
const LAST_LINE: u64 = 64 << 10;

/// Where events go, and how far they have got.
#[derive(Debug)]
pub struct AuditLog {
    target: Target,
    /// The last event that was written; `None` before the store was first asked.
    last: Option<u64>,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File(PathBuf),
}

/// Why events could not be written. They are when it is over.
#[derive(Debug, Error)]
enum AuditLogError {
    #[error(transparent)]
    Store(#[from] RepositoryError),
    #[error("can't write audit events to {target}: {source}")]
    Write { target: String, source: io::Error },
}

impl AuditLog {
    /// A log as configured; `None` if there is to be none. A file that has lines already is gone on
    /// with after the last of them.
    pub fn open(config: &AuditLogConfig) -> Option<Self> {
        match config {
            AuditLogConfig::None => None,
            AuditLogConfig::Stdout => Some(Self {
                target: Target::Stdout,
                last: None,
            }),
            AuditLogConfig::File(path) => Some(Self {
                last: last_sequence(path),
                target: Target::File(path.clone()),
            }),
        }
    }

    /// Follows the store for good.
    pub async fn follow(mut self, repository: Arc<Repository>) {
        let mut pause = PAUSES.0;
        let mut position = None;
        loop {
            let step = async {
                let before = match position {
                    Some(position) => position,
                    None => repository.position().await?,
                };
                self.catch_up(&repository).await?;
                let changes = repository.changes(before, PATIENCE).await?;
                Ok::<_, AuditLogError>(changes.next)
            };
            match step.await {
                Ok(next) => {
                    position = Some(next);
                    pause = PAUSES.0;
                }
                Err(error) => {
                    tracing::warn!(%error, "audit events wait to be written");
                    time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Writes what has come since. The first time, without a file to go on with, that is nothing.
    async fn catch_up(&mut self, repository: &Repository) -> Result<(), AuditLogError> {
        let Some(last) = self.last else {
            let newest = repository.audit(&AuditQuery::newest(1)).await?;
            self.last = Some(newest.first().map_or(0, |event| event.sequence));
            return Ok(());
        };
        let mut events: Vec<AuditEvent> = Vec::new();
        let mut before = None;
        loop {
            let query = AuditQuery {
                before,
                ..AuditQuery::newest(AT_A_TIME)
            };
            let page = repository.audit(&query).await?;
            let full = page.len() == usize::from(AT_A_TIME);
            before = page.last().map(|event| event.sequence);
            let fresh = page.into_iter().take_while(|event| event.sequence > last);
            let found = events.len();
            events.extend(fresh);
            if !full || events.len() - found < usize::from(AT_A_TIME) {
                break;
            }
        }
        events.reverse();
        let Some(newest) = events.last().map(|event| event.sequence) else {
            return Ok(());
        };
        self.write(&events).map_err(|source| AuditLogError::Write {
            target: self.target.name(),
            source,
        })?;
        self.last = Some(newest);
        Ok(())
    }

    /// Files are opened anew each time: one that was moved away is not written any more.
    fn write(&self, events: &[AuditEvent]) -> io::Result<()> {
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        match &self.target {
            Target::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(&lines)?;
                out.flush()
            }
            Target::File(path) => {
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                file.write_all(&lines)?;
                file.sync_data()
            }
        }
    }
}

impl Target {
    fn name(&self) -> String {
        match self {
            Self::Stdout => "standard output".into(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// The sequence of the last whole line of a file; `None` if there is none.
fn last_sequence(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_LINE)))
        .ok()?;
    let lines = BufReader::new(file.take(LAST_LINE)).lines();
    let events = lines.map_while(Result::ok).filter_map(|line| {
        let event: AuditEvent = serde_json::from_str(&line).ok()?;
        Some(event.sequence)
    });
    events.last()
}

#[cfg(test)]
mod tests {
    use tenant_store::{
        document,
        repository::{Author, Expect, sqlite::SqliteRepository},
    };

    use super::*;

    async fn open(folder: &Path) -> Repository {
        let store = SqliteRepository::open(&folder.join("mirador.db")).await;
        Repository::new(store.expect("a store"))
    }

    async fn put(repository: &Repository, text: &str) {
        let author = Author {
            name: "alice".into(),
            origin: String::new(),
            request_id: String::new(),
        };
        let tenant = document::tenant(text).expect("a tenant");
        let written = repository.put(&tenant, Expect::Anything, &author).await;
        written.expect("written");
    }

    fn sequences(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().map(|line| {
            let event: AuditEvent = serde_json::from_str(line).expect("an event");
            event.sequence
        });
        lines.collect()
    }

    #[tokio::test]
    async fn a_file_is_gone_on_with_where_it_ends_and_has_every_event_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = open(folder.path()).await;
        let path = folder.path().join("audit.jsonl");
        let config = AuditLogConfig::File(path.clone());
        put(&repository, "id: before").await;

        let mut log = AuditLog::open(&config).expect("a log");
        log.catch_up(&repository).await.expect("asked");
        assert_eq!(sequences(&path), Vec::<u64>::new());
        put(&repository, "id: acme").await;
        put(&repository, "{id: acme, tier: pro}").await;
        log.catch_up(&repository).await.expect("written");
        log.catch_up(&repository).await.expect("nothing to write");
        assert_eq!(sequences(&path), [2, 3]);

        put(&repository, "id: globex").await;
        let mut again = AuditLog::open(&config).expect("a log");
        again.catch_up(&repository).await.expect("written");
        assert_eq!(sequences(&path), [2, 3, 4]);

        // A rotated file is left alone.
        std::fs::rename(&path, folder.path().join("audit.1")).expect("moved");
        put(&repository, "id: initech").await;
        again.catch_up(&repository).await.expect("written");
        assert_eq!(sequences(&path), [5]);
    }

    #[tokio::test]
    async fn what_can_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let repository = open(folder.path()).await;
        let path = folder.path().join("audit.jsonl");
        let mut log = AuditLog::open(&AuditLogConfig::File(path.clone())).expect("a log");
        log.catch_up(&repository).await.expect("asked");
        for n in 0..2500 {
            put(&repository, &format!("id: t{n}")).await;
        }
        std::fs::create_dir(&path).expect("something in the way");
        let error = log.catch_up(&repository).await.expect_err("refused");
        assert!(error.to_string().contains("audit.jsonl"), "{error}");
        std::fs::remove_dir(&path).expect("out of the way");
        log.catch_up(&repository).await.expect("written");
        assert_eq!(sequences(&path), (1..=2500).collect::<Vec<_>>());
    }
}
