//! Tiers and API keys beside tenants.

use std::{fmt::Debug, sync::Arc};

use jiff::Timestamp;
use tenant_store::{
    model::{ApiKey, Revision, Tenant, TierDefinition},
    repository::{
        AuditQuery, Expect, Kept, Kind, Outcome, RecordQuery, Repository, RepositoryError,
        TenantRepository,
    },
};

use crate::{
    Store,
    samples::{author, delete, id, keep, key, put, tenant, tier},
};

const KEY: &str = "abcdef012345";

/// One id may be that of a tenant and of a tier; neither knows of the other.
pub(crate) async fn kinds_do_not_meet(store: &impl Store) {
    let store = store.open().await;
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let written = keep(&store, tier("acme"), Expect::Absent);
    assert_eq!(written.await.unwrap().record.revision, Revision(1));
    delete(&*store, id("acme"), Expect::Anything).await.unwrap();
    let found = store.find::<TierDefinition>("acme").await.unwrap().unwrap();
    assert_eq!((found.value, found.deleted), (tier("acme"), false));
    let listed = store.page::<Tenant>(RecordQuery::all(Kind::Tenant)).await;
    assert_eq!(listed.unwrap().records, []);
    let listed = store.page::<TierDefinition>(RecordQuery::all(Kind::Tier));
    assert_eq!(listed.await.unwrap().records.len(), 1);
}

pub(crate) async fn tiers_are_built_in_until_defined(store: &impl Store) {
    let store = store.open().await;
    let names = |tiers: Vec<TierDefinition>| -> Vec<String> {
        tiers.iter().map(|tier| tier.name.to_string()).collect()
    };
    let free = "free".parse().unwrap();
    let built_in = store.tier(&free).await.unwrap();
    assert_eq!(built_in, TierDefinition::built_in(&free));
    for tier in [tier("gold"), tier("free")] {
        let written = keep(&store, tier.clone(), Expect::Absent);
        written.await.unwrap();
    }
    let tiers = store.tiers().await.unwrap();
    assert_eq!(names(tiers), ["enterprise", "free", "gold", "pro"]);
    assert_eq!(store.tier(&free).await.unwrap(), Some(tier("free")));
    // What is deleted is as it was built in again.
    let by = author();
    let removed = store.remove::<TierDefinition>("free", Expect::Anything, &by);
    removed.await.unwrap();
    assert_eq!(store.tier(&free).await.unwrap(), built_in);
    let nobody = store.tier(&"nobodys".parse().unwrap()).await;
    assert_eq!(nobody.unwrap(), None);
}

pub(crate) async fn keeps_keys(store: &impl Store) {
    let store = store.open().await;
    let new = key("abcdef012345", "acme");
    let written = keep(&store, new.clone(), Expect::Absent);
    let written = written.await.unwrap().record;
    let found = store.find::<ApiKey>("abcdef012345").await.unwrap();
    assert_eq!(found.as_ref(), Some(&written));
    assert_eq!(written.value, new);
    let revoked = ApiKey {
        revoked_at: Some(Timestamp::UNIX_EPOCH),
        ..new
    };
    let expect = Expect::Revision(written.revision);
    let written = keep(&store, revoked.clone(), expect).await.unwrap();
    assert_eq!(written.record.revision, Revision(2));
    let found = store.find::<ApiKey>("abcdef012345").await.unwrap();
    assert_eq!(found.unwrap().value, revoked);
}

pub(crate) async fn keys_are_listed_by_tenant(store: &impl Store) {
    let store = store.open().await;
    for (id, tenant) in [
        ("aaaaaaaaaaaa", "acme"),
        ("bbbbbbbbbbbb", "globex"),
        ("cccccccccccc", "acme"),
    ] {
        let written = keep(&store, key(id, tenant), Expect::Absent);
        written.await.unwrap();
    }
    let query = RecordQuery {
        tenant: Some(id("acme")),
        ..RecordQuery::all(Kind::Key)
    };
    let page = store.page::<ApiKey>(query).await.unwrap();
    let ids: Vec<_> = page
        .records
        .iter()
        .map(|record| record.value.id.as_str())
        .collect();
    assert_eq!(ids, ["aaaaaaaaaaaa", "cccccccccccc"]);
}

/// Uses come out of order and from several routers; the latest stands, and nothing else moves.
pub(crate) async fn a_use_is_noted_and_changes_nothing(store: &impl Store) {
    let store = store.open().await;
    let written = keep(&store, key("abcdef012345", "acme"), Expect::Absent);
    let written = written.await.unwrap().record;
    assert_eq!(written.used_at, None);
    let position = store.position().await.unwrap();
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap();
    for second in [10, 20, 15] {
        store
            .touch::<ApiKey>("abcdef012345", at(second))
            .await
            .unwrap();
    }
    store.touch::<ApiKey>("unknown00000", at(1)).await.unwrap();
    let found = store.find::<ApiKey>("abcdef012345").await.unwrap().unwrap();
    assert_eq!(found.used_at, Some(at(20)));
    assert_eq!(found.revision, written.revision);
    assert_eq!(found.updated_at, written.updated_at);
    assert_eq!(store.position().await.unwrap(), position);
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap().len(), 1);
    assert_eq!(store.find::<ApiKey>("unknown00000").await.unwrap(), None);
    // A write goes by what it says, and forgets no use.
    let mut changed = found.value;
    changed.name = "changed".into();
    let written = keep(&store, changed.clone(), Expect::Anything);
    assert_eq!(written.await.unwrap().record.used_at, Some(at(20)));
    let found = store.find::<ApiKey>("abcdef012345").await.unwrap().unwrap();
    assert_eq!(found.used_at, Some(at(20)));
}

/// What holds of tenants holds of tiers and keys.
pub(crate) async fn tiers_and_keys_go_by_revisions(store: &impl Store) {
    let store = store.open().await;
    let described = |text: &str| TierDefinition {
        description: Some(text.into()),
        ..tier("gold")
    };
    go_by_revisions(&store, [described("one"), described("two")]).await;
    let named = |name: &str| ApiKey {
        name: name.into(),
        ..key(KEY, "acme")
    };
    go_by_revisions(&store, [named("one"), named("two")]).await;
}

async fn go_by_revisions<T: Kept + PartialEq + Debug>(store: &Repository, [one, two]: [T; 2]) {
    let (key_of, by) = (one.id().to_owned(), author());
    let at = |revision| Expect::Revision(Revision(revision));
    let refused = |result: Result<_, RepositoryError>| match result {
        Err(RepositoryError::Conflict { revision, .. }) => revision,
        Err(other) => panic!("{other}"),
        Ok::<(), _>(()) => panic!("it was not refused"),
    };
    let put = async |value: &T, expect| store.store_as(value, expect, &by).await;
    let lost = async |value: &T, expect| refused(put(value, expect).await.map(drop));

    assert_eq!(lost(&one, at(1)).await, None);
    let created = put(&one, Expect::Absent).await.unwrap();
    assert_eq!(created.record.revision, Revision(1));
    assert_eq!(lost(&two, Expect::Absent).await, Some(Revision(1)));
    assert_eq!(lost(&two, at(2)).await, Some(Revision(1)));
    assert_eq!(put(&two, at(1)).await.unwrap().record.value, two);
    assert_eq!(lost(&one, at(1)).await, Some(Revision(2)));

    let stale = store.remove::<T>(&key_of, at(1), &by).await;
    assert_eq!(refused(stale.map(drop)), Some(Revision(2)));
    store.remove::<T>(&key_of, at(2), &by).await.unwrap();
    let found = store.find::<T>(&key_of).await.unwrap().unwrap();
    assert!(found.deleted && found.revision == Revision(3), "{found:?}");
    let listed = store.page::<T>(RecordQuery::all(T::KIND)).await.unwrap();
    assert_eq!(listed.records, []);
    let stale = store.revive::<T>(&key_of, at(2), &by).await;
    refused(stale.map(drop));
    let restored = store.revive::<T>(&key_of, at(3), &by).await.unwrap();
    assert_eq!(
        (restored.outcome, restored.record.value),
        (Outcome::Restored, two)
    );

    store.forget::<T>(&key_of, true, at(4), &by).await.unwrap();
    assert_eq!(store.find::<T>(&key_of).await.unwrap(), None);
    for revision in 1..=5 {
        assert_eq!(lost(&one, at(revision)).await, None);
    }
    let anew = put(&one, Expect::Absent).await.unwrap();
    assert_eq!(anew.record.revision, Revision(6));
    let query = AuditQuery {
        kind: Some(T::KIND),
        ..AuditQuery::newest(100)
    };
    let events = store.audit(&query).await.unwrap();
    let told: Vec<_> = events.iter().rev().map(|event| event.after.0).collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 6]);
}

/// Twenty writers of one key, on two instances.
pub(crate) async fn one_of_many_writers_wins_each_revision_of_a_key(store: &impl Store) {
    const ROUNDS: u64 = 5;
    let instances = [store.open().await, store.open().await];
    let created = keep(&instances[0], key(KEY, "acme"), Expect::Absent);
    created.await.unwrap();
    for round in 1..=ROUNDS {
        let race = (0..20).map(|writer: usize| {
            let store: Arc<Repository> = instances[writer % 2].clone();
            let renamed = ApiKey {
                name: format!("{round} by {writer}"),
                ..key(KEY, "acme")
            };
            tokio::spawn(async move {
                let written = keep(&store, renamed, Expect::Revision(Revision(round))).await;
                match written {
                    Ok(written) => Some(written.record),
                    Err(RepositoryError::Conflict { .. }) => None,
                    Err(other) => panic!("neither won nor lost: {other}"),
                }
            })
        });
        let mut won = Vec::new();
        for writer in race.collect::<Vec<_>>() {
            won.extend(writer.await.unwrap());
        }
        assert_eq!(won.len(), 1, "in round {round}");
        for store in &instances {
            let found = store.find::<ApiKey>(KEY).await.unwrap();
            assert_eq!(found.as_ref(), won.first(), "in round {round}");
        }
    }
}

/// Page by page, in the order of ids, whatever was deleted in between.
pub(crate) async fn tiers_and_keys_are_listed_in_pages(store: &impl Store) {
    let store = store.open().await;
    for number in [4, 0, 3, 1, 6, 2, 5] {
        let name = format!("tier-{number}");
        keep(&store, tier(&name), Expect::Absent).await.unwrap();
        let name = format!("key{number:09}");
        keep(&store, key(&name, "acme"), Expect::Absent)
            .await
            .unwrap();
    }
    let by = author();
    let removed = store.remove::<TierDefinition>("tier-3", Expect::Anything, &by);
    removed.await.unwrap();
    let removed = store.remove::<ApiKey>("key000000003", Expect::Anything, &by);
    removed.await.unwrap();
    let expected = |name: fn(u32) -> String| -> Vec<String> {
        [0, 1, 2, 4, 5, 6].into_iter().map(name).collect()
    };
    let tiers = listed::<TierDefinition>(&store).await;
    assert_eq!(tiers, expected(|number| format!("tier-{number}")));
    let keys = listed::<ApiKey>(&store).await;
    assert_eq!(keys, expected(|number| format!("key{number:09}")));
}

async fn listed<T: Kept>(store: &Repository) -> Vec<String> {
    let mut query = RecordQuery {
        limit: 2,
        ..RecordQuery::all(T::KIND)
    };
    let mut ids = Vec::new();
    loop {
        let page = store.page::<T>(query.clone()).await.unwrap();
        assert!(page.records.len() <= 2);
        ids.extend(
            page.records
                .iter()
                .map(|record| record.value.id().to_owned()),
        );
        query.after = page.next;
        if query.after.is_none() {
            return ids;
        }
    }
}
