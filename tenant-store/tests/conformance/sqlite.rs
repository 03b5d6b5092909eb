//! The embedded store: the common demands, and what may happen to a file.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tenant_store::{
    model::Tenant,
    repository::{
        AuditQuery, ChangeCursor, Expect, Kind, ListQuery, RecordKey, Repository, RepositoryError,
        TenantRepository,
        sqlite::{SqliteOptions, SqliteRepository},
    },
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    Store, conformance,
    samples::{author, id, named, put, tenant},
};

/// Longer than any answer may take, however slow the machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A database in a directory of its own.
pub(crate) struct SqliteFile(TempDir);

impl SqliteFile {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        // Characters that would mean something in a URL or a statement.
        self.0.path().join("mirador's 100%? #1.db")
    }

    async fn repository(&self) -> Repository {
        Repository::new(SqliteRepository::open(&self.path()).await.unwrap())
    }

    /// One that gives up on a lock soon.
    async fn impatient(&self) -> Repository {
        let options = SqliteOptions {
            busy_timeout: Duration::from_millis(50),
            poll_interval: Duration::from_millis(10),
        };
        let store = SqliteRepository::open_with(&self.path(), options).await;
        Repository::new(store.unwrap())
    }

    /// Another program that uses the file.
    async fn intruder(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

impl Store for SqliteFile {
    async fn open(&self) -> Arc<Repository> {
        Arc::new(self.repository().await)
    }
}

conformance!(SqliteFile::new());

#[tokio::test]
async fn a_new_file_is_private() {
    let file = SqliteFile::new();
    let store = file.repository().await;
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    let files = fs::read_dir(file.0.path()).unwrap();
    for entry in files.map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
    assert!(file.path().exists());
}

#[tokio::test]
async fn an_open_error_names_the_path() {
    let directory = TempDir::new().unwrap();
    let garbage = directory.path().join("garbage.db");
    fs::write(&garbage, "this is no database ".repeat(100)).unwrap();
    let missing = directory.path().join("no-such-directory/mirador.db");
    for path in [&garbage, &missing, &directory.path().to_owned()] {
        let error = SqliteRepository::open(path).await.unwrap_err();
        assert!(matches!(error, RepositoryError::Open { .. }), "{error:?}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    assert_eq!(fs::read(&garbage).unwrap().len(), 2_000, "it was touched");
}

/// A write of this process is not found by looking for it now and then.
#[tokio::test]
async fn a_local_write_wakes_without_polling() {
    let file = SqliteFile::new();
    let options = SqliteOptions {
        poll_interval: DEADLINE * 2,
        ..SqliteOptions::default()
    };
    let store = SqliteRepository::open_with(&file.path(), options).await;
    let store = Repository::new(store.unwrap());
    let patience = DEADLINE * 2;
    let (changes, written) = tokio::join!(
        timeout(DEADLINE, store.changes(ChangeCursor(0), patience)),
        put(&store, tenant("acme"), Expect::Absent),
    );
    assert_eq!(changes.expect("it slept on").unwrap().keys, [acme()]);
    assert_eq!(written.unwrap().record.revision.0, 1);
}

/// Processes that start together on a missing file all get the same store.
#[tokio::test(flavor = "multi_thread")]
async fn many_open_a_new_file_at_once() {
    let file = SqliteFile::new();
    let mut opening = JoinSet::new();
    for number in 0..8 {
        let path = file.path();
        opening.spawn(async move {
            // Seven others bring the schema up to date before the last one does.
            let options = SqliteOptions {
                busy_timeout: Duration::from_secs(30),
                ..SqliteOptions::default()
            };
            let store = SqliteRepository::open_with(&path, options).await;
            let store = Repository::new(store.unwrap());
            let tenant = tenant(&format!("t-{number}"));
            put(&store, tenant, Expect::Absent).await.unwrap();
        });
    }
    while let Some(opened) = opening.join_next().await {
        opened.unwrap();
    }
    let events = file
        .repository()
        .await
        .audit(&AuditQuery::newest(100))
        .await
        .unwrap();
    assert_eq!(events.len(), 8);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let file = SqliteFile::new();
    file.repository().await.close().await;
    let mut intruder = file.intruder().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut intruder)
    .await
    .unwrap();
    let error = SqliteRepository::open(&file.path()).await.unwrap_err();
    assert!(error.to_string().contains("9999"), "{error}");
}

/// Another program holds the write lock: reads and the feed go on, writes fail soon, and succeed
/// when it lets go.
#[tokio::test]
async fn a_writer_elsewhere_stops_writes_only() {
    let file = SqliteFile::new();
    let store = file.impatient().await;
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    let mut intruder = file.intruder().await;
    let lock = intruder.begin_with("BEGIN EXCLUSIVE").await.unwrap();

    let refused = put(&store, named("acme", "other"), Expect::Anything);
    let error = timeout(DEADLINE, refused).await.expect("it hung");
    assert!(matches!(error, Err(RepositoryError::Unavailable { .. })));
    assert!(store.get(&id("acme")).await.unwrap().is_some());
    let changes = store.changes(ChangeCursor(0), Duration::ZERO).await;
    assert_eq!(changes.unwrap().keys, [acme()]);

    lock.rollback().await.unwrap();
    put(&store, named("acme", "other"), Expect::Anything)
        .await
        .unwrap();
}

/// Another program keeps the file to itself: everything fails soon, and works when it is gone.
#[tokio::test]
async fn a_locked_file_is_unavailable_until_it_is_let_go() {
    let file = SqliteFile::new();
    let store = file.impatient().await;
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    store.close().await;
    drop(store);
    let mut intruder = file.intruder().await;
    for statement in [
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA journal_mode = DELETE",
        "BEGIN EXCLUSIVE",
    ] {
        sqlx::query(statement).execute(&mut intruder).await.unwrap();
    }

    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(50),
        ..SqliteOptions::default()
    };
    let path = file.path();
    let opened = SqliteRepository::open_with(&path, options);
    let error = timeout(DEADLINE, opened).await.expect("it hung");
    assert!(error.unwrap_err().to_string().contains("locked"));

    intruder.close().await.unwrap();
    let store = file.impatient().await;
    assert!(store.get(&id("acme")).await.unwrap().is_some());
}

/// The file is removed, or another takes its name, while it is open: every call says so.
#[tokio::test]
async fn a_displaced_file_is_an_error() {
    let file = SqliteFile::new();
    let store = file.impatient().await;
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    let aside = file.0.path().join("aside.db");
    fs::rename(file.path(), &aside).unwrap();
    for said in ["is gone", "was replaced"] {
        let errors = every_call(&store).await;
        assert_eq!(errors.len(), 8);
        for error in errors {
            assert!(error.contains(said), "{error}");
        }
        fs::write(file.path(), "").unwrap();
    }
    fs::rename(&aside, file.path()).unwrap();
    assert!(store.get(&id("acme")).await.unwrap().is_some());
}

/// The file is moved away and back, and something is written to it in between: who follows the feed is
/// told that nothing is heard, and then what was missed.
#[tokio::test]
async fn what_is_written_while_the_file_is_away_is_found_afterwards() {
    let file = SqliteFile::new();
    let store = file.impatient().await;
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    let cursor = store.position().await.unwrap();
    let aside = file.0.path().join("aside.db");
    let files = ["", "-wal", "-shm"];
    let renamed = |from: &Path, to: &Path| {
        for suffix in files {
            let with = |path: &Path| format!("{}{suffix}", path.display());
            fs::rename(with(from), with(to)).unwrap();
        }
    };
    renamed(&file.path(), &aside);
    let unheard = timeout(DEADLINE, store.changes(cursor, DEADLINE * 2)).await;
    let error = unheard.expect("it noticed nothing").unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
    let elsewhere = Repository::new(SqliteRepository::open(&aside).await.unwrap());
    put(&elsewhere, named("acme", "missed"), Expect::Anything)
        .await
        .unwrap();
    renamed(&aside, &file.path());
    let changes = timeout(DEADLINE, store.changes(cursor, DEADLINE * 2)).await;
    let changes = changes.expect("it was missed").unwrap();
    assert_eq!(changes.keys, [acme()]);
    let found = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(found.tenant, named("acme", "missed"));
}

/// The file is overwritten with garbage while it is open: errors, no panic, no hang.
#[tokio::test]
async fn a_corrupted_file_is_an_error() {
    let file = SqliteFile::new();
    let store = file.impatient().await;
    for number in 0..200 {
        let tenant = tenant(&format!("t-{number}"));
        put(&store, tenant, Expect::Absent).await.unwrap();
    }
    store.close().await;
    let store = file.impatient().await;
    let length = fs::metadata(file.path()).unwrap().len();
    fs::write(file.path(), vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    let errors = timeout(DEADLINE, every_call(&store)).await;
    assert_eq!(errors.expect("it hung").len(), 8);
}

/// A record that is no tenant fails by name, and hides no other.
#[tokio::test]
async fn an_unreadable_record_is_named() {
    let file = SqliteFile::new();
    let store = file.repository().await;
    for name in ["acme", "globex"] {
        put(&store, tenant(name), Expect::Absent).await.unwrap();
    }
    let mut intruder = file.intruder().await;
    let specs = [r#"{"id": "acme", "tomorrow": 1}"#, r#"{"id": "globex"}"#];
    for spec in specs {
        sqlx::query("UPDATE records SET document = ? WHERE id = 'acme'")
            .bind(spec)
            .execute(&mut intruder)
            .await
            .unwrap();
        let error = store.get(&id("acme")).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Corrupt { key, .. } if *key == acme()));
    }
    assert!(store.get(&id("globex")).await.unwrap().is_some());
}

fn acme() -> RecordKey {
    RecordKey::new(Kind::Tenant, "acme")
}

/// The errors of all eight calls, those that fail.
async fn every_call(store: &Repository) -> Vec<String> {
    let query = ListQuery {
        limit: 1_000,
        ..ListQuery::default()
    };
    let (acme, by) = (id("t-1"), author());
    let results = [
        store.get(&acme).await.err(),
        store.list(&query).await.err(),
        store
            .put(&named("t-1", "new"), Expect::Anything, &by)
            .await
            .err(),
        store.delete(&acme, Expect::Anything, &by).await.err(),
        store.touch::<Tenant>("t-1", Timestamp::now()).await.err(),
        store.position().await.err(),
        store.changes(ChangeCursor(0), Duration::ZERO).await.err(),
        store.audit(&AuditQuery::newest(1_000)).await.err(),
    ];
    results
        .into_iter()
        .flatten()
        .map(|error| error.to_string())
        .collect()
}
