//! The change feed.

use std::{collections::BTreeSet, time::Duration};

use tenant_store::repository::{
    ChangeCursor, Changes, Expect, Kind, ListQuery, RecordKey, TenantRepository,
};
use tokio::time::timeout;

use crate::{
    Store,
    samples::{delete, id, keep, key, named, put, tenant, tier},
};

/// Longer than any test should take: a feed that hangs fails, one that is slow does not.
const DEADLINE: Duration = Duration::from_mins(2);

pub(crate) async fn names_what_changed_after_a_position(store: &impl Store) {
    let store = store.open().await;
    let start = store.position().await.unwrap();
    for (name, display_name) in [("aa", "1"), ("bb", "1"), ("aa", "2"), ("aa", "3")] {
        let tenant = named(name, display_name);
        put(&*store, tenant, Expect::Anything).await.unwrap();
    }
    delete(&*store, id("bb"), Expect::Anything).await.unwrap();

    let changes = store.changes(start, Duration::ZERO).await.unwrap();
    assert_eq!(tenants(&changes), [id("aa"), id("bb")]);
    assert_eq!(changes.next, store.position().await.unwrap());
    let later = store.changes(changes.next, Duration::ZERO).await.unwrap();
    assert_eq!((later.keys, later.next), (vec![], changes.next));
}

pub(crate) async fn a_write_wakes_who_waits(store: &impl Store) {
    let store = store.open().await;
    let start = store.position().await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.changes(start, DEADLINE * 2).await }
    });
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let changes = timeout(DEADLINE, waiting).await.expect("it was not woken");
    assert_eq!(tenants(&changes.unwrap().unwrap()), [id("acme")]);
}

pub(crate) async fn sees_writes_of_another_instance(store: &impl Store) {
    let reader = store.open().await;
    let writer = store.open().await;
    let start = reader.position().await.unwrap();
    let waiting = tokio::spawn({
        let reader = reader.clone();
        async move { reader.changes(start, DEADLINE * 2).await }
    });
    put(&*writer, tenant("acme"), Expect::Absent).await.unwrap();
    let changes = timeout(DEADLINE, waiting).await.expect("it never looked");
    assert_eq!(tenants(&changes.unwrap().unwrap()), [id("acme")]);
    assert!(reader.get(&id("acme")).await.unwrap().is_some());
}

pub(crate) async fn an_unchanged_put_is_no_change(store: &impl Store) {
    let store = store.open().await;
    let put = || put(&*store, tenant("acme"), Expect::Anything);
    put().await.unwrap();
    let position = store.position().await.unwrap();
    put().await.unwrap();
    assert_eq!(store.position().await.unwrap(), position);
}

pub(crate) async fn waits_no_longer_than_told(store: &impl Store) {
    let store = store.open().await;
    let patience = Duration::from_millis(20);
    let waited = timeout(DEADLINE, store.changes(ChangeCursor(0), patience)).await;
    let changes = waited.expect("it goes on waiting").unwrap();
    assert_eq!(changes.keys, []);
    // A position that was never reached is not an error: the reader finds out by asking.
    let ahead = ChangeCursor(u64::MAX);
    let changes = store.changes(ahead, Duration::ZERO).await.unwrap();
    assert_eq!((changes.keys, changes.next), (vec![], ahead));
}

/// More changes than a batch, read while they are being written: a reader that asked for the
/// position before it listed ends up with every tenant.
pub(crate) async fn position_before_a_listing_misses_nothing(store: &impl Store) {
    const TENANTS: usize = 1_500;
    let reader = store.open().await;
    let writer = store.open().await;
    let writing = tokio::spawn(async move {
        for number in 0..TENANTS {
            let tenant = tenant(&format!("t-{number:04}"));
            put(&*writer, tenant, Expect::Absent).await.unwrap();
        }
    });
    let mut cursor = reader.position().await.unwrap();
    let query = ListQuery {
        limit: 1_000,
        ..ListQuery::default()
    };
    let listed = reader.list(&query).await.unwrap().records;
    let mut seen: BTreeSet<_> = listed.into_iter().map(|record| record.tenant.id).collect();
    // Not necessarily in the order in which they were written: a store that finds changes by listing
    // may come by a later one first.
    let follow = async {
        while seen.len() < TENANTS {
            let changes = reader.changes(cursor, DEADLINE).await.unwrap();
            assert!(changes.next > cursor);
            cursor = changes.next;
            seen.extend(changes.tenants());
        }
    };
    timeout(DEADLINE, follow)
        .await
        .expect("some were passed by");
    writing.await.unwrap();
}

/// The feed is one for all kinds; who follows one of them picks its own.
pub(crate) async fn names_records_of_every_kind(store: &impl Store) {
    let store = store.open().await;
    let start = store.position().await.unwrap();
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let written = keep(&store, tier("gold"), Expect::Absent);
    written.await.unwrap();
    let written = keep(&store, key("abcdef012345", "acme"), Expect::Absent);
    written.await.unwrap();
    let changes = store.changes(start, Duration::ZERO).await.unwrap();
    assert_eq!(tenants(&changes), [id("acme")]);
    let mut keys = changes.keys;
    keys.sort();
    let expected = [
        RecordKey::new(Kind::Tenant, "acme"),
        RecordKey::new(Kind::Tier, "gold"),
        RecordKey::new(Kind::Key, "abcdef012345"),
    ];
    assert_eq!(keys, expected);
}

fn tenants(changes: &Changes) -> Vec<tenant_store::model::TenantId> {
    let mut ids: Vec<_> = changes.tenants().collect();
    ids.sort();
    ids
}
