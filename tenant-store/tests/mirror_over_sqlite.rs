//! A mirror over the store it is made for, with writers of its own and of another process.

#![expect(
    clippy::unwrap_used,
    reason = "the steps that the tests share are tests too"
)]

use std::{path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use tenant_store::{
    mirror::Mirror,
    model::{AllowedTenants, ApiKey, ApiKeyId, KeyHash},
    repository::{
        Author, Expect, KeptWritten, Repository, Stored,
        sqlite::{SqliteOptions, SqliteRepository},
    },
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

const OPTIONS: SqliteOptions = SqliteOptions {
    busy_timeout: Duration::from_secs(10),
    poll_interval: Duration::from_millis(20),
};

const SOON: Duration = Duration::from_secs(20);

type Names = Mirror<ApiKey, (u64, String)>;

/// A mirror of keys' names, each with how many revisions were seen.
fn names(repository: &Arc<Repository>) -> Arc<Names> {
    Mirror::new(
        repository.clone(),
        |stored: &Stored<ApiKey>, before: Option<&(u64, _)>| {
            let seen = before.map_or(0, |(seen, _)| *seen);
            (seen + 1, stored.value.name.clone())
        },
    )
}

fn name(mirror: &Names, number: u64) -> Option<(u64, String)> {
    let held = mirror.load();
    held.get(ApiKeyId::from_bits(number).as_str())
        .map(|view| (**view).clone())
}

async fn open(directory: &TempDir) -> Arc<Repository> {
    let path: &Path = directory.path();
    let store = SqliteRepository::open_with(&path.join("mirador.db"), OPTIONS).await;
    Arc::new(Repository::new(store.unwrap()))
}

fn author() -> Author {
    Author {
        name: "test".into(),
        origin: String::new(),
        request_id: String::new(),
    }
}

fn key(number: u64, name: &str) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_bits(number),
        name: name.into(),
        tenant: "acme".parse().unwrap(),
        allowed: AllowedTenants::Own,
        scopes: [].into(),
        expires_at: None,
        replaced_by: None,
        retires_at: None,
        revoked_at: None,
        hash: KeyHash::from([0; 32]),
    }
}

async fn write(repository: &Repository, key: &ApiKey) -> KeptWritten<ApiKey> {
    let written = repository.store_as(key, Expect::Anything, &author()).await;
    written.unwrap()
}

async fn remove(repository: &Repository, id: &ApiKeyId) -> KeptWritten<ApiKey> {
    let by = author();
    let removed = repository.remove(id.as_str(), Expect::Anything, &by);
    removed.await.unwrap()
}

async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "it never was so");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_another_process_writes_is_seen_and_told() {
    let directory = TempDir::new().unwrap();
    let (ours, theirs) = (open(&directory).await, open(&directory).await);
    for number in 0..1_100 {
        // More than a page of them.
        write(&ours, &key(number, "old")).await;
    }
    let mirror = names(&ours);
    assert_eq!(mirror.fill().await.unwrap().len(), 1_100);
    assert_eq!(name(&mirror, 1_099), Some((1, "old".into())));
    assert!(mirror.fill().await.unwrap().is_empty(), "nothing is new");

    let (tell, mut told) = mpsc::unbounded_channel();
    let following = tokio::spawn(mirror.clone().follow(move |ids| {
        for id in ids {
            tell.send(id.clone()).unwrap();
        }
    }));
    write(&theirs, &key(7, "new")).await;
    let id = timeout(SOON, told.recv()).await.unwrap().unwrap();
    assert_eq!(&*id, ApiKeyId::from_bits(7).as_str());
    assert_eq!(name(&mirror, 7), Some((2, "new".into())));
    let id = ApiKeyId::from_bits(7);
    remove(&theirs, &id).await;
    until(|| name(&mirror, 7).is_none()).await;
    assert_eq!(mirror.load().views().count(), 1_099);
    following.abort();
}

#[tokio::test]
async fn what_was_written_here_is_known_at_once_and_never_forgotten_for_something_older() {
    let directory = TempDir::new().unwrap();
    let repository = open(&directory).await;
    let mirror = names(&repository);
    let first = write(&repository, &key(1, "first")).await;
    let second = write(&repository, &key(1, "second")).await;
    assert!(mirror.take_in(&second));
    assert!(!mirror.take_in(&first), "it is older");
    assert_eq!(name(&mirror, 1), Some((1, "second".into())));

    let id = ApiKeyId::from_bits(1);
    let removed = remove(&repository, &id).await;
    assert!(mirror.take_in(&removed));
    assert!(!mirror.take_in(&second), "it is older");
    assert_eq!(name(&mirror, 1), None);
}

#[tokio::test]
async fn what_was_deleted_while_nobody_followed_is_found_gone() {
    let directory = TempDir::new().unwrap();
    let (ours, theirs) = (open(&directory).await, open(&directory).await);
    write(&ours, &key(1, "stays")).await;
    write(&ours, &key(2, "goes")).await;
    let mirror = names(&ours);
    mirror.fill().await.unwrap();
    let id = ApiKeyId::from_bits(2);
    let by = author();
    let forgotten = theirs.forget::<ApiKey>(id.as_str(), true, Expect::Anything, &by);
    forgotten.await.unwrap();
    assert_eq!(mirror.fill().await.unwrap(), [id.as_str().into()]);
    assert_eq!((name(&mirror, 1).is_some(), name(&mirror, 2)), (true, None));
}

#[tokio::test]
async fn a_store_that_is_gone_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let repository = open(&directory).await;
    write(&repository, &key(1, "stays")).await;
    let mirror: Arc<Mirror<ApiKey, Stored<ApiKey>>> =
        Mirror::new(repository.clone(), |stored, _| stored.clone());
    mirror.fill().await.unwrap();
    repository.close().await;
    assert!(mirror.fill().await.is_err());
    assert_eq!(mirror.load().views().count(), 1);
}
