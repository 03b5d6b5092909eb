//! The account of writes.

use std::time::Duration;

use tenant_store::{
    model::{Revision, Tenant},
    repository::{AuditQuery, Author, ChangeCursor, Expect, Kind, Outcome, TenantRepository},
};
use tokio::time::timeout;

use crate::{
    Store,
    samples::{author, delete, id, keep, key, named, put, tenant, tier},
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

    let events = store.audit(&AuditQuery::newest(10)).await.unwrap();
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
        assert_eq!(
            (event.kind, event.id.as_str()),
            (Kind::Tenant, acme.as_str())
        );
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
        let query = AuditQuery {
            before,
            ..AuditQuery::newest(2)
        };
        let page = store.audit(&query).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        revisions.extend(page.iter().map(|event| event.after.0));
    }
    assert_eq!(revisions, [5, 4, 3, 2, 1]);
}

pub(crate) async fn audit_is_filtered(store: &impl Store) {
    let store = store.open().await;
    let by = |name: &str, request_id: &str| Author {
        name: name.into(),
        request_id: request_id.into(),
        ..author()
    };
    let (ann, bob) = (by("ann", "1"), by("bob", "2"));
    let put = |tenant: Tenant, by: Author| {
        let store = store.clone();
        async move { store.put(&tenant, Expect::Anything, &by).await.unwrap() }
    };
    put(tenant("acme"), ann.clone()).await;
    put(tenant("globex"), bob.clone()).await;
    put(named("acme", "ACME"), bob.clone()).await;
    let tier = tier("acme");
    store.store_as(&tier, Expect::Absent, &ann).await.unwrap();

    let all = store.audit(&AuditQuery::newest(10)).await.unwrap();
    let some = |query: AuditQuery| {
        let (store, all) = (store.clone(), all.clone());
        async move {
            let query = AuditQuery { limit: 10, ..query };
            let found = store.audit(&query).await.unwrap();
            let meant: Vec<_> = all.into_iter().filter(|event| query.means(event)).collect();
            assert_eq!(found, meant, "{query:?}");
            found.iter().map(|event| event.sequence).collect::<Vec<_>>()
        }
    };
    let places: Vec<_> = all.iter().rev().map(|event| event.sequence).collect();
    let none = AuditQuery::default;
    let kind = Some(Kind::Tenant);
    let subject = AuditQuery {
        kind,
        id: Some("acme".into()),
        ..none()
    };
    assert_eq!(some(subject).await, [places[2], places[0]]);
    let author = AuditQuery {
        author: Some("ann".into()),
        ..none()
    };
    assert_eq!(some(author).await, [places[3], places[0]]);
    let request = AuditQuery {
        request_id: Some("2".into()),
        ..none()
    };
    assert_eq!(some(request).await, [places[2], places[1]]);
    let outcome = AuditQuery {
        outcome: Some(Outcome::Updated),
        ..none()
    };
    assert_eq!(some(outcome).await, [places[2]]);
    let (since, until) = (Some(all[2].at), Some(all[0].at));
    let span = AuditQuery {
        since,
        until,
        ..none()
    };
    let span = some(span).await;
    assert!(
        span.contains(&places[1]) && !span.contains(&places[3]),
        "{span:?}"
    );
    let cursor = AuditQuery {
        before: Some(places[2]),
        author: Some("bob".into()),
        ..none()
    };
    assert_eq!(some(cursor).await, [places[1]]);
    let nobody = AuditQuery {
        author: Some("' OR 1=1 --".into()),
        ..none()
    };
    assert_eq!(some(nobody).await, [] as [u64; 0]);
}

/// What changed stands in the event, but no secret.
pub(crate) async fn audit_tells_what_changed(store: &impl Store) {
    let store = store.open().await;
    put(&*store, named("acme", "old"), Expect::Anything)
        .await
        .unwrap();
    put(&*store, named("acme", "new"), Expect::Anything)
        .await
        .unwrap();
    let key = key("abcdef012345", "acme");
    let written = keep(&store, key.clone(), Expect::Absent);
    written.await.unwrap();
    let events = store.audit(&AuditQuery::newest(2)).await.unwrap();
    let expected = serde_json::json!({"display_name": {"before": "old", "after": "new"}});
    assert_eq!(events[1].changes, expected);
    assert_eq!(events[0].changes["name"]["after"], key.name);
    assert!(!events[0].changes.to_string().contains(key.hash.as_str()));
}

pub(crate) async fn a_refused_write_leaves_no_trace(store: &impl Store) {
    let store = store.open().await;
    let expect = Expect::Revision(Revision(7));
    let refused = put(&*store, tenant("acme"), expect).await;
    assert!(refused.is_err());
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap(), []);
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

    let events = store.audit(&AuditQuery::newest(1_000)).await.unwrap();
    let revisions: Vec<u64> = events.iter().rev().map(|event| event.after.0).collect();
    assert_eq!(revisions, (1..=written.revision.0).collect::<Vec<_>>());
    assert_eq!(store.get(&id("acme")).await.unwrap(), Some(written));
}
