//! The cache over the embedded store, on a real file, in real time: nothing that happens to the
//! file fails a request of a known tenant.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the steps that the tests share are tests too"
)]

use std::{
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::Write,
    sync::Arc,
    time::Duration,
};

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tenant_store::{
    cache::{CacheConfig, Known, TenantCache},
    model::{Revision, Tenant, TenantId, TenantRecord},
    repository::{
        Author, Expect, Repository, TenantRepository,
        sqlite::{SqliteOptions, SqliteRepository},
    },
};
use tokio::{runtime::Handle, time::sleep};

type Cache = Arc<TenantCache<Revision>>;

const OPTIONS: SqliteOptions = SqliteOptions {
    busy_timeout: Duration::from_millis(50),
    poll_interval: Duration::from_millis(20),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_another_process_takes_effect() {
    let (directory, cache) = warm_cache().await;
    let elsewhere = open(&directory).await;
    put(&elsewhere, "acme", "changed").await;
    until(|| revision(&cache, "acme") == Some(2)).await;
    elsewhere
        .delete(&id("globex"), Expect::Anything, &author())
        .await
        .unwrap();
    until(|| matches!(cache.known("globex"), Known::NoSuchTenant)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_store_fails_no_known_tenant() {
    let (directory, cache) = warm_cache().await;
    let options = SqliteConnectOptions::new().filename(directory.path().join("mirador.db"));
    let mut intruder = SqliteConnection::connect_with(&options).await.unwrap();
    let lock = intruder.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    serve_all_for_a_while(&cache).await;
    lock.rollback().await.unwrap();
    put(&open(&directory).await, "acme", "changed").await;
    until(|| revision(&cache, "acme") == Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_fails_no_known_tenant() {
    let (directory, cache) = warm_cache().await;
    let failed = cache.stats().loads_failed;
    let file = directory.path().join("mirador.db");
    let aside = directory.path().join("aside.db");
    fs::rename(&file, &aside).unwrap();
    serve_all_for_a_while(&cache).await;
    until(|| cache.stats().loads_failed > failed).await;
    assert!(cache.get(&id("nobody")).await.is_err());
    assert!(matches!(cache.known("nobody"), Known::NeverAsked));

    fs::rename(&aside, &file).unwrap();
    put(&open(&directory).await, "acme", "changed").await;
    until(|| revision(&cache, "acme") == Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_store_fails_no_known_tenant() {
    let (directory, cache) = warm_cache().await;
    let failed = cache.stats().loads_failed;
    // Opened together: SQLite removes two of them when it finds the third at fault.
    let files = ["mirador.db-wal", "mirador.db-shm", "mirador.db"].map(|name| {
        let path = directory.path().join(name);
        OpenOptions::new().write(true).open(path).unwrap()
    });
    files.into_iter().for_each(fill_with_garbage);
    serve_all_for_a_while(&cache).await;
    until(|| cache.stats().loads_failed > failed).await;
}

/// In place: `SQLite` maps its `-shm` file into memory, and a process that touches what was cut off a
/// mapped file is ended by the system (SIGBUS).
fn fill_with_garbage(mut file: File) {
    let length = file.metadata().unwrap().len();
    let garbage = vec![0xa5; usize::try_from(length).unwrap()];
    file.write_all(&garbage).unwrap();
}

/// A cache that knows all tenants of a new store and follows it, so short-lived that it re-reads
/// them all the time.
async fn warm_cache() -> (TempDir, Cache) {
    let directory = TempDir::new().unwrap();
    let store = open(&directory).await;
    for name in ["acme", "globex", "initech"] {
        put(&store, name, "new").await;
    }
    let config = CacheConfig {
        soft_ttl: Duration::from_millis(20),
        ..CacheConfig::default()
    };
    let build = |record: &TenantRecord, _: Option<&Revision>| record.revision;
    let cache = TenantCache::new(Arc::new(store), config, Handle::current(), build);
    let known = patiently("warm", async || cache.warm().await).await;
    assert_eq!(known, 3);
    tokio::spawn(Arc::clone(&cache).follow());
    (directory, cache)
}

/// Half a second of requests, which is many refreshes, and ten of the store's lock timeouts.
async fn serve_all_for_a_while(cache: &Cache) {
    for _ in 0..500 {
        for name in ["acme", "globex", "initech"] {
            assert_eq!(revision(cache, name), Some(1), "{name}");
            assert!(cache.get(&id(name)).await.unwrap().is_some());
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert!(cache.stats().stale > 0, "nothing was ever stale");
}

async fn open(directory: &TempDir) -> Repository {
    let path = directory.path().join("mirador.db");
    let open = async || SqliteRepository::open_with(&path, OPTIONS).await;
    Repository::new(patiently("open", open).await)
}

/// Tries until it succeeds: a busy machine may need longer to sync pages to disk, or to open a
/// connection, than these options wait.
async fn patiently<T, E: Display>(what: &str, attempt: impl AsyncFn() -> Result<T, E>) -> T {
    for _ in 0..300 {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => eprintln!("again, {what}: {error}"),
        }
    }
    panic!("could not {what} within half a minute");
}

async fn put(store: &Repository, name: &str, display_name: &str) {
    let tenant: Tenant = serde_json::from_value(serde_json::json!({
        "id": name,
        "display_name": display_name,
    }))
    .unwrap();
    let author = author();
    patiently("put", async || {
        store.put(&tenant, Expect::Anything, &author).await
    })
    .await;
}

fn revision(cache: &Cache, name: &str) -> Option<u64> {
    match cache.known(name) {
        Known::Tenant(entry) => Some(entry.route().0),
        Known::NoSuchTenant | Known::NeverAsked => None,
    }
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

fn author() -> Author {
    Author {
        name: "test".into(),
        origin: String::new(),
        request_id: String::new(),
    }
}

/// Waits until `condition` holds, half a minute at most.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come to pass within half a minute");
}
