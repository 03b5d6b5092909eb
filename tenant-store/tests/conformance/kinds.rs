//! Tiers and API keys beside tenants.

use jiff::Timestamp;
use tenant_store::{
    model::{ApiKey, Revision, Tenant, TierDefinition},
    repository::{AuditQuery, Expect, Kind, RecordQuery, TenantRepository},
};

use crate::{
    Store,
    samples::{author, delete, id, keep, key, put, tenant, tier},
};

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
