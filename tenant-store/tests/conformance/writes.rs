//! Creating, replacing and deleting, and what a writer may expect.

use tenant_store::{
    model::{Revision, Status},
    repository::{AuditQuery, Expect, Kind, Outcome, RecordKey, RepositoryError, TenantRepository},
};

use crate::{
    Store,
    samples::{delete, id, named, put, tenant},
};

pub(crate) async fn creates_gets_and_updates(store: &impl Store) {
    let store = store.open().await;
    assert_eq!(store.get(&id("acme")).await.unwrap(), None);

    let created = put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    assert_eq!(created.outcome, Outcome::Created);
    assert_eq!(created.record.revision, Revision(1));
    assert_eq!(created.record.tenant, tenant("acme"));

    let expect = Expect::Revision(Revision(1));
    let updated = put(&*store, named("acme", "ACME"), expect).await.unwrap();
    assert_eq!(updated.outcome, Outcome::Updated);
    assert_eq!(updated.record.revision, Revision(2));
    assert_eq!(updated.record.created_at, created.record.created_at);
    assert!(updated.record.updated_at >= created.record.updated_at);
    let stored = store.get(&id("acme")).await.unwrap();
    assert_eq!(stored, Some(updated.record));
}

pub(crate) async fn refuses_what_is_not_as_expected(store: &impl Store) {
    let store = store.open().await;
    let attempt = |expect| put(&*store, named("acme", "other"), expect);
    let conflict = |result| match result {
        Err(RepositoryError::Conflict {
            revision, found, ..
        }) => (revision, found),
        other => panic!("expected a conflict, not {other:?}"),
    };

    let (revision, found) = conflict(attempt(Expect::Revision(Revision(1))).await);
    assert_eq!((revision, found.as_str()), (None, "absent"));

    put(&*store, tenant("acme"), Expect::Anything)
        .await
        .unwrap();
    for expect in [Expect::Absent, Expect::Revision(Revision(2))] {
        let (revision, found) = conflict(attempt(expect).await);
        assert_eq!(revision, Some(Revision(1)), "{expect:?}");
        assert_eq!(found, "at revision 1");
        let deleting = delete(&*store, id("acme"), expect).await;
        assert_eq!(conflict(deleting).0, Some(Revision(1)), "{expect:?}");
    }
    let stored = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(stored.tenant, tenant("acme"));
}

pub(crate) async fn an_equal_put_changes_nothing(store: &impl Store) {
    let store = store.open().await;
    let put = || async { put(&*store, tenant("acme"), Expect::Anything).await };
    let first = put().await.unwrap();
    let second = put().await.unwrap();
    assert_eq!(second.outcome, Outcome::Unchanged);
    assert_eq!(second.record, first.record);
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap().len(), 1);
}

pub(crate) async fn deleting_leaves_a_tombstone(store: &impl Store) {
    let store = store.open().await;
    let acme = id("acme");
    put(&*store, tenant("acme"), Expect::Anything)
        .await
        .unwrap();

    let expect = Expect::Revision(Revision(1));
    let deleted = delete(&*store, acme.clone(), expect).await.unwrap();
    assert_eq!(deleted.outcome, Outcome::Deleted);
    assert_eq!(deleted.record.revision, Revision(2));
    assert_eq!(deleted.record.tenant.status, Status::Deleted);
    let tombstone = store.get(&acme).await.unwrap();
    assert_eq!(tombstone, Some(deleted.record.clone()));

    let again = delete(&*store, acme.clone(), Expect::Anything)
        .await
        .unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
    assert_eq!(again.record, deleted.record);
    let mut marked = tenant("acme");
    marked.status = Status::Deleted;
    assert_eq!(
        put(&*store, marked, Expect::Anything)
            .await
            .unwrap()
            .outcome,
        Outcome::Unchanged
    );
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap().len(), 2);
}

/// Revisions go on rising over a tombstone: readers ignore what is older than what they hold.
pub(crate) async fn a_tombstone_is_succeeded(store: &impl Store) {
    let store = store.open().await;
    put(&*store, tenant("acme"), Expect::Anything)
        .await
        .unwrap();
    delete(&*store, id("acme"), Expect::Anything).await.unwrap();

    let stale = Expect::Revision(Revision(1));
    let refused = put(&*store, tenant("acme"), stale).await;
    assert!(matches!(refused, Err(RepositoryError::Conflict { .. })));

    let anew = put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    assert_eq!(anew.outcome, Outcome::Created);
    assert_eq!(anew.record.revision, Revision(3));
    assert_eq!(anew.record.created_at, anew.record.updated_at);
}

pub(crate) async fn deleting_what_never_was_is_an_error(store: &impl Store) {
    let store = store.open().await;
    let nobody = id("nobody");
    let missing = RecordKey::new(Kind::Tenant, "nobody");
    let deleted = delete(&*store, nobody.clone(), Expect::Anything).await;
    assert!(matches!(deleted, Err(RepositoryError::Missing(key)) if key == missing));
    let mut marked = tenant("nobody");
    marked.status = Status::Deleted;
    let put = put(&*store, marked, Expect::Anything).await;
    assert!(matches!(put, Err(RepositoryError::Missing(key)) if key == missing));
}

/// Twenty writers, on two instances, go through ten rounds of compare-and-set.
pub(crate) async fn one_of_many_writers_wins_each_revision(store: &impl Store) {
    const ROUNDS: u64 = 10;
    let instances = [store.open().await, store.open().await];
    put(&*instances[0], tenant("acme"), Expect::Absent)
        .await
        .unwrap();

    for round in 1..=ROUNDS {
        let race = (0..20).map(|writer: usize| {
            let instance = instances[writer % 2].clone();
            let tenant = named("acme", &format!("{round} by {writer}"));
            let expect = Expect::Revision(Revision(round));
            tokio::spawn(async move { put(&*instance, tenant, expect).await })
        });
        let mut won = 0;
        for writer in race.collect::<Vec<_>>() {
            match writer.await.unwrap() {
                Ok(written) => {
                    assert_eq!(written.record.revision, Revision(round + 1));
                    won += 1;
                }
                Err(RepositoryError::Conflict { revision, .. }) => {
                    assert_eq!(revision, Some(Revision(round + 1)));
                }
                Err(other) => panic!("neither won nor lost: {other}"),
            }
        }
        assert_eq!(won, 1, "in round {round}");
    }
    let events = instances[1].audit(&AuditQuery::newest(100)).await.unwrap();
    let revisions: Vec<u64> = events.iter().rev().map(|event| event.after.0).collect();
    assert_eq!(revisions, (1..=ROUNDS + 1).collect::<Vec<_>>());
}

pub(crate) async fn survives_closing(store: &impl Store) {
    let first = store.open().await;
    let put = put(&*first, tenant("acme"), Expect::Anything);
    let written = put.await.unwrap().record;
    let position = first.position().await.unwrap();
    let events = first.audit(&AuditQuery::newest(10)).await.unwrap();
    drop(first);

    let second = store.open().await;
    assert_eq!(second.get(&id("acme")).await.unwrap(), Some(written));
    assert_eq!(second.position().await.unwrap(), position);
    assert_eq!(second.audit(&AuditQuery::newest(10)).await.unwrap(), events);
}

/// A tenant put together in code may break the rules that one read from a file can't. It must not
/// get into the store, where nothing could read it.
pub(crate) async fn refuses_what_would_not_read_back(store: &impl Store) {
    let store = store.open().await;
    let mut tenant = tenant("acme");
    if let Some(metrics) = &mut tenant.deployments.metrics {
        metrics.endpoints.clear();
    }
    let error = put(&*store, tenant, Expect::Anything).await.unwrap_err();
    assert!(
        matches!(&error, RepositoryError::Invalid { key, .. } if key.as_tenant() == Some(id("acme"))),
        "{error:?}"
    );
    assert_eq!(store.get(&id("acme")).await.unwrap(), None);
}
