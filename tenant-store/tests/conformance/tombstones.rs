//! The end of a record, and what comes after.

use std::time::Duration;

use tenant_store::{
    model::{Revision, Status},
    repository::{
        AuditQuery, Expect, ListQuery, Outcome, Repository, RepositoryError, TenantRepository,
        Written,
    },
};

use crate::{
    Store,
    samples::{author, delete, id, named, put, tenant},
};

async fn restore(store: &Repository, expect: Expect) -> Result<Written, RepositoryError> {
    store.restore(&id("acme"), expect, &author()).await
}

async fn purge(
    store: &Repository,
    alive_too: bool,
    expect: Expect,
) -> Result<Written, RepositoryError> {
    store.purge(&id("acme"), alive_too, expect, &author()).await
}

pub(crate) async fn a_tombstone_is_restored_as_it_was(store: &impl Store) {
    let store = store.open().await;
    let mut suspended = named("acme", "ACME");
    suspended.status = Status::Suspended;
    let created = put(&*store, suspended.clone(), Expect::Anything)
        .await
        .unwrap();
    delete(&*store, id("acme"), Expect::Anything).await.unwrap();
    let stale = restore(&store, Expect::Revision(Revision(1))).await;
    assert!(matches!(stale, Err(RepositoryError::Conflict { .. })));

    let restored = restore(&store, Expect::Revision(Revision(2)))
        .await
        .unwrap();
    assert_eq!(restored.outcome, Outcome::Restored);
    assert_eq!(restored.record.revision, Revision(3));
    assert_eq!(restored.record.tenant, suspended);
    assert_eq!(restored.record.created_at, created.record.created_at);
    let found = store.get(&id("acme")).await.unwrap();
    assert_eq!(found, Some(restored.record));
    let event = store.audit(&AuditQuery::newest(1)).await.unwrap().remove(0);
    assert_eq!(
        (event.outcome, event.after),
        (Outcome::Restored, Revision(3))
    );
}

pub(crate) async fn only_tombstones_are_restored(store: &impl Store) {
    let store = store.open().await;
    let never = restore(&store, Expect::Anything).await;
    assert!(matches!(never, Err(RepositoryError::Missing(_))));
    let created = put(&*store, tenant("acme"), Expect::Anything)
        .await
        .unwrap();
    let alive = restore(&store, Expect::Anything).await.unwrap();
    assert_eq!(
        (alive.outcome, alive.record),
        (Outcome::Unchanged, created.record)
    );
    delete(&*store, id("acme"), Expect::Anything).await.unwrap();
    purge(&store, false, Expect::Anything).await.unwrap();
    let purged = restore(&store, Expect::Anything).await;
    assert!(matches!(purged, Err(RepositoryError::Missing(_))));
}

pub(crate) async fn what_was_purged_is_gone(store: &impl Store) {
    let store = store.open().await;
    let start = store.position().await.unwrap();
    put(&*store, named("acme", "a secret plan"), Expect::Anything)
        .await
        .unwrap();
    delete(&*store, id("acme"), Expect::Anything).await.unwrap();
    let purged = purge(&store, false, Expect::Revision(Revision(2)))
        .await
        .unwrap();
    assert_eq!(purged.outcome, Outcome::Purged);
    assert_eq!(purged.record.tenant.status, Status::Deleted);
    assert_eq!(purged.record.revision, Revision(3));

    assert_eq!(store.get(&id("acme")).await.unwrap(), None);
    for status in [None, Some(Status::Deleted)] {
        let query = ListQuery {
            limit: 10,
            status,
            ..ListQuery::default()
        };
        assert_eq!(store.list(&query).await.unwrap().records, [], "{status:?}");
    }
    let changes = store.changes(start, Duration::ZERO).await.unwrap();
    assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);
    // Who did it stays known; the account of that repeats nothing of what was purged.
    let event = store.audit(&AuditQuery::newest(1)).await.unwrap().remove(0);
    assert_eq!(
        (event.outcome, event.before),
        (Outcome::Purged, Some(Revision(2)))
    );
    assert!(event.changes.is_null(), "{event:?}");
}

pub(crate) async fn only_tombstones_are_purged_unless_told(store: &impl Store) {
    let store = store.open().await;
    put(&*store, tenant("acme"), Expect::Anything)
        .await
        .unwrap();
    let alive = purge(&store, false, Expect::Anything).await;
    assert!(matches!(
        alive,
        Err(RepositoryError::NotDeleted {
            revision: Revision(1),
            ..
        })
    ));
    let stale = purge(&store, true, Expect::Revision(Revision(7))).await;
    assert!(matches!(stale, Err(RepositoryError::Conflict { .. })));
    assert!(store.get(&id("acme")).await.unwrap().is_some());
    purge(&store, true, Expect::Revision(Revision(1)))
        .await
        .unwrap();
    assert_eq!(store.get(&id("acme")).await.unwrap(), None);
    let again = purge(&store, true, Expect::Anything).await;
    assert!(matches!(again, Err(RepositoryError::Missing(_))));
}

/// A writer who still believes in what was purged is refused, and what is created anew is newer
/// than whatever anybody remembers.
pub(crate) async fn what_was_purged_never_comes_back(store: &impl Store) {
    let first = store.open().await;
    put(&*first, tenant("acme"), Expect::Anything)
        .await
        .unwrap();
    delete(&*first, id("acme"), Expect::Anything).await.unwrap();
    let purged = purge(&first, false, Expect::Anything).await.unwrap();
    let last = purged.record.revision;
    drop(first);

    let second = store.open().await;
    for revision in 1..=last.0 {
        let stale = Expect::Revision(Revision(revision));
        let refused = put(&*second, named("acme", "stale"), stale).await;
        assert!(matches!(
            refused,
            Err(RepositoryError::Conflict { revision: None, .. })
        ));
        let refused = delete(&*second, id("acme"), stale).await;
        assert!(matches!(refused, Err(RepositoryError::Missing(_))));
    }
    let anew = put(&*second, named("acme", "anew"), Expect::Absent)
        .await
        .unwrap();
    assert_eq!(anew.outcome, Outcome::Created);
    assert_eq!(anew.record.revision, Revision(last.0 + 1));
    assert_eq!(anew.record.created_at, anew.record.updated_at);
}

/// Deleting, restoring, purging and creating at one time: whoever comes first, record and account
/// agree, and no revision is given twice.
pub(crate) async fn racing_ends_leave_one_truth(store: &impl Store) {
    let instances = [store.open().await, store.open().await];
    put(&*instances[0], tenant("acme"), Expect::Anything)
        .await
        .unwrap();
    let race = (0..20).map(|writer: usize| {
        let store = instances[writer % 2].clone();
        tokio::spawn(async move {
            let written = match writer % 4 {
                0 => delete(&*store, id("acme"), Expect::Anything).await,
                1 => restore(&store, Expect::Anything).await,
                2 => purge(&store, true, Expect::Anything).await,
                _ => put(&*store, tenant("acme"), Expect::Absent).await,
            };
            match written {
                Ok(written) if written.outcome == Outcome::Unchanged => None,
                Ok(written) => Some(written.record.revision.0),
                Err(RepositoryError::Missing(_) | RepositoryError::Conflict { .. }) => None,
                Err(other) => panic!("neither done nor refused: {other}"),
            }
        })
    });
    let mut given = vec![1];
    for writer in race.collect::<Vec<_>>() {
        given.extend(writer.await.unwrap());
    }
    given.sort_unstable();
    let events = instances[1].audit(&AuditQuery::newest(100)).await.unwrap();
    let told: Vec<u64> = events.iter().rev().map(|event| event.after.0).collect();
    assert_eq!(told, (1..=told.len() as u64).collect::<Vec<_>>());
    assert_eq!(given, told);
    let found = instances[1].get(&id("acme")).await.unwrap();
    match (events[0].outcome, found) {
        (Outcome::Purged, None) => {}
        (outcome, Some(record)) => {
            assert_eq!(record.revision, events[0].after);
            let deleted = record.tenant.status == Status::Deleted;
            assert_eq!(deleted, outcome == Outcome::Deleted);
        }
        other => panic!("record and account disagree: {other:?}"),
    }
}
