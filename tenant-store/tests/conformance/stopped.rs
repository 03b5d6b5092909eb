//! A server that ends in the middle of writes, and is there again later.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tenant_store::{
    model::{Revision, TenantId},
    repository::{
        AuditQuery, ChangeCursor, Expect, Kind, Repository, RepositoryError, TenantRepository,
    },
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep},
};

use crate::samples::{id, named, put};

const WRITERS: usize = 20;

/// Longer than anything may take, however slow the machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Long enough for writers to be in the middle of something.
const WHILE: Duration = Duration::from_millis(500);

/// What can be stopped, and run again with what is in it.
pub(crate) trait Server: Send + Sync + 'static {
    fn stop(&self);
    fn run_again(&self);
}

/// Writers go on until the server is gone and for a while after its return. What was answered as
/// written is there; what was answered as failed is there as a whole, with its event, or is not. Who
/// follows the feed meanwhile ends up with the last of everything.
pub(crate) async fn writes_are_whole_or_nothing(server: Arc<impl Server>, store: Arc<Repository>) {
    let (over, settled) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    // Asked before there is a crowd: many writers may keep others waiting for too long.
    let cursor = store.position().await.unwrap();
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, over) = (store.clone(), over.clone());
        writing.spawn(async move {
            let tenant = id(&format!("t-{writer}"));
            (tenant.clone(), write_on(&store, &tenant, &over).await)
        });
    }
    let watching = tokio::spawn(watch(store.clone(), cursor, settled.clone()));
    // Times in which writers write: what is tried here.
    sleep(WHILE).await;
    let stopping = server.clone();
    spawn_blocking(move || stopping.stop()).await.unwrap();
    sleep(WHILE).await;
    let starting = server.clone();
    spawn_blocking(move || starting.run_again()).await.unwrap();
    written_at_last(&store, &id("t-0")).await;
    sleep(WHILE).await;
    over.store(true, Ordering::Relaxed);

    let (mut last, mut failures) = (BTreeMap::new(), 0);
    while let Some(done) = writing.join_next().await {
        let (tenant, (acknowledged, failed)) = done.unwrap();
        assert!(acknowledged > Revision(0), "{tenant} was not written");
        failures += failed;
        // Puts in order what was left of the writes before.
        let revision = written_at_last(&store, &tenant).await;
        assert!(
            revision > acknowledged,
            "{tenant} was lost: {revision}, {acknowledged}"
        );
        last.insert(tenant, revision);
    }
    settled.store(true, Ordering::Relaxed);
    assert!(failures > 0, "the server was not gone");
    for (tenant, revision) in &last {
        let query = AuditQuery {
            kind: Some(Kind::Tenant),
            id: Some(tenant.to_string()),
            ..AuditQuery::newest(1_000)
        };
        let events = store.audit(&query).await.unwrap();
        let told: Vec<u64> = events.iter().rev().map(|event| event.after.0).collect();
        assert_eq!(told, (1..=revision.0).collect::<Vec<_>>(), "of {tenant}");
    }
    assert_eq!(watching.await.unwrap(), last);
}

/// Writes a tenant again and again until all is over; answers the last revision that was
/// acknowledged, and how often that failed.
async fn write_on(store: &Repository, tenant: &TenantId, over: &AtomicBool) -> (Revision, usize) {
    let (mut acknowledged, mut failed) = (Revision(0), 0);
    for round in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let named = named(tenant.as_str(), &round.to_string());
        match put(store, named, Expect::Anything).await {
            Ok(written) => acknowledged = written.record.revision,
            Err(RepositoryError::Unavailable { .. }) => {
                failed += 1;
                sleep(Duration::from_millis(5)).await;
            }
            Err(other) => panic!("neither done nor unavailable: {other}"),
        }
    }
    (acknowledged, failed)
}

/// Writes once more, as soon as that can be done; answers the revision.
async fn written_at_last(store: &Repository, tenant: &TenantId) -> Revision {
    let began = Instant::now();
    loop {
        let last = named(tenant.as_str(), &format!("{:?}", Instant::now()));
        match put(store, last, Expect::Anything).await {
            Ok(written) => return written.record.revision,
            Err(error) => assert!(began.elapsed() < DEADLINE, "it never came back: {error}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Follows the feed, over whatever happens to it, and reads what it names; answers what it has when
/// nothing more comes.
async fn watch(
    store: Arc<Repository>,
    mut cursor: ChangeCursor,
    settled: Arc<AtomicBool>,
) -> BTreeMap<TenantId, Revision> {
    let mut seen = BTreeMap::new();
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < 2 * DEADLINE, "the feed does not end");
        let was_settled = settled.load(Ordering::Relaxed);
        let patience = Duration::from_secs(2);
        match followed(&store, cursor, patience, &mut seen).await {
            Ok(next) if next == cursor && was_settled => return seen,
            Ok(next) => cursor = next,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Takes in one batch; the position goes on only if all of it could be read.
async fn followed(
    store: &Repository,
    cursor: ChangeCursor,
    patience: Duration,
    seen: &mut BTreeMap<TenantId, Revision>,
) -> Result<ChangeCursor, RepositoryError> {
    let changes = store.changes(cursor, patience).await?;
    for tenant in changes.tenants() {
        if let Some(record) = store.get(&tenant).await? {
            seen.insert(tenant, record.revision);
        }
    }
    Ok(changes.next)
}
