//! The account of writes.

use std::time::Duration;

use tenant_store::{
    model::Revision,
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
    for (tenant, by) in [
        (tenant("acme"), &ann),
        (tenant("globex"), &bob),
        (named("acme", "ACME"), &bob),
    ] {
        store.put(&tenant, Expect::Anything, by).await.unwrap();
    }
    let tier = tier("acme");
    store.store_as(&tier, Expect::Absent, &ann).await.unwrap();

    let all = store.audit(&AuditQuery::newest(10)).await.unwrap();
    let none = || AuditQuery::newest(10);
    let queries = [
        (vec![1, 3], subject(Kind::Tenant, "acme")),
        (vec![0], subject(Kind::Tier, "acme")),
        (vec![0, 3], author_is("ann")),
        (vec![], author_is("' OR 1=1 --")),
        (
            vec![1, 2],
            AuditQuery {
                request_id: Some("2".into()),
                ..none()
            },
        ),
        (
            vec![1],
            AuditQuery {
                outcome: Some(Outcome::Updated),
                ..none()
            },
        ),
        (
            vec![2],
            AuditQuery {
                before: Some(all[1].sequence),
                ..author_is("bob")
            },
        ),
    ];
    for (places, query) in queries {
        let expected: Vec<_> = places.into_iter().map(|n: usize| all[n].clone()).collect();
        assert_eq!(store.audit(&query).await.unwrap(), expected, "{query:?}");
    }
    // Clocks are coarse: two events may bear one time.
    let (since, until) = (Some(all[2].at), Some(all[0].at));
    let span = AuditQuery {
        since,
        until,
        ..none()
    };
    let expected = all.into_iter().filter(|event| span.means(event));
    let found = store.audit(&span).await.unwrap();
    assert_eq!(found, expected.collect::<Vec<_>>());
}

fn subject(kind: Kind, id: &str) -> AuditQuery {
    AuditQuery {
        kind: Some(kind),
        id: Some(id.into()),
        ..AuditQuery::newest(10)
    }
}

fn author_is(name: &str) -> AuditQuery {
    AuditQuery {
        author: Some(name.into()),
        ..AuditQuery::newest(10)
    }
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
