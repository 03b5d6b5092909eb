//! The account of writes.

use std::time::Duration;

use tenant_store::{
    model::Revision,
    repository::{ChangeCursor, Expect, Outcome},
};
use tokio::time::timeout;

use crate::{
    Store,
    samples::{author, delete, id, named, put, tenant},
};

pub(crate) async fn each_write_has_its_audit_event(store: &impl Store) {
    let store = store.open().await;
    let acme = id("acme");
    for tenant in [tenant("acme"), named("acme", "ACME")] {
        put(&*store, tenant, Expect::Anything).await.unwrap();
    }
    delete(&*store, acme.clone(), Expect::Anything)
        .await
        .unwrap();
    let put = put(&*store, tenant("acme"), Expect::Anything);
    let last = put.await.unwrap().record;

    let events = store.audit(None, 10).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.outcome, event.before, event.after))
        .collect();
    let expected = [
        (Outcome::Created, Some(Revision(3)), Revision(4)),
        (Outcome::Deleted, Some(Revision(2)), Revision(3)),
        (Outcome::Updated, Some(Revision(1)), Revision(2)),
        (Outcome::Created, None, Revision(1)),
    ];
    assert_eq!(told, expected);
    assert_eq!(events[0].at, last.updated_at);
    for event in &events {
        assert_eq!(event.tenant, acme);
        assert_eq!(event.author, "admin-token");
        assert_eq!(event.origin, "127.0.0.1:40000");
        assert_eq!(event.request_id, "req-1");
    }
}

pub(crate) async fn audit_is_paged_newest_first(store: &impl Store) {
    let store = store.open().await;
    for number in 0..5 {
        let tenant = named("acme", &number.to_string());
        put(&*store, tenant, Expect::Anything).await.unwrap();
    }
    let mut revisions = Vec::new();
    let mut before = None;
    loop {
        let page = store.audit(before, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        revisions.extend(page.iter().map(|event| event.after.0));
    }
    assert_eq!(revisions, [5, 4, 3, 2, 1]);
}

pub(crate) async fn a_refused_write_leaves_no_trace(store: &impl Store) {
    let store = store.open().await;
    let expect = Expect::Revision(Revision(7));
    let refused = put(&*store, tenant("acme"), expect).await;
    assert!(refused.is_err());
    assert_eq!(store.audit(None, 10).await.unwrap(), []);
    assert_eq!(store.get(&id("acme")).await.unwrap(), None);
    assert_eq!(store.position().await.unwrap(), ChangeCursor::default());
}

/// Writes dropped at whatever point they have reached: record, audit event and position always
/// agree, and the store takes the next write.
pub(crate) async fn a_dropped_write_is_whole_or_nothing(store: &impl Store) {
    let store = store.open().await;
    for step in 0..200 {
        let tenant = named("acme", &step.to_string());
        let by = author();
        let put = store.put(&tenant, Expect::Anything, &by);
        let _ = timeout(Duration::from_micros(step * 10), put).await;
    }
    let tenant = named("acme", "at last");
    let put = put(&*store, tenant, Expect::Anything);
    let written = put.await.unwrap().record;

    let events = store.audit(None, 1_000).await.unwrap();
    let revisions: Vec<u64> = events.iter().rev().map(|event| event.after.0).collect();
    assert_eq!(revisions, (1..=written.revision.0).collect::<Vec<_>>());
    assert_eq!(store.get(&id("acme")).await.unwrap(), Some(written));
}
