//! Every text that stands anywhere in a record, in place of which comes one that means something to
//! somebody: it is refused before it gets to a store, or it comes back as it went in, and nothing
//! else is touched.

use std::{collections::BTreeSet, fmt::Debug};

use serde_json::Value;
use tenant_store::{
    model::{ApiKey, Tenant, TierDefinition},
    repository::{Expect, Kept, ListQuery, RecordQuery, Repository, TenantRepository},
};

use crate::{
    Store,
    samples::{author, every_field, id, keep, key, put, tenant, tier},
    text::TEXTS,
};

pub(crate) async fn no_text_of_a_tenant_means_anything(store: &impl Store) {
    let store = store.open().await;
    put(&*store, tenant("other"), Expect::Absent).await.unwrap();
    let before = store.get(&id("other")).await.unwrap();
    let taken = try_every_text::<Tenant>(&store, &every_field()).await;
    // Whatever people may call things, and where things are.
    for free in [
        "/display_name",
        "/labels/region",
        "/labels/*",
        "/features/*",
        "/deployments/metrics/endpoints/0/zone",
        "/deployments/metrics/auth/basic/username",
        "/deployments/metrics/auth/basic/password/file",
        "/deployments/metrics/tls/ca_file",
    ] {
        assert!(taken.contains(free), "{free} is not free: {taken:?}");
    }
    assert!(!taken.contains("/id"), "{taken:?}");
    assert_eq!(store.get(&id("other")).await.unwrap(), before);
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let listed = store.list(&query).await.unwrap().records;
    let ids: Vec<_> = listed
        .iter()
        .map(|record| record.tenant.id.as_str())
        .collect();
    assert_eq!(ids, ["acme", "other"]);
}

pub(crate) async fn no_text_of_a_tier_means_anything(store: &impl Store) {
    let store = store.open().await;
    keep(&store, tier("other"), Expect::Absent).await.unwrap();
    let gold = serde_json::to_value(tier("gold")).unwrap();
    let taken = try_every_text::<TierDefinition>(&store, &gold).await;
    for free in ["/description", "/features/*"] {
        assert!(taken.contains(free), "{free} is not free: {taken:?}");
    }
    assert!(!taken.contains("/name"), "{taken:?}");
    check_others::<TierDefinition>(&store, &tier("other")).await;
}

pub(crate) async fn no_text_of_a_key_means_anything(store: &impl Store) {
    let store = store.open().await;
    let other = key("other0000000", "acme");
    keep(&store, other.clone(), Expect::Absent).await.unwrap();
    let one = serde_json::to_value(key("abcdef012345", "acme")).unwrap();
    let taken = try_every_text::<ApiKey>(&store, &one).await;
    assert_eq!(taken, BTreeSet::from(["/name".to_owned()]));
    check_others::<ApiKey>(&store, &other).await;
}

/// Ids that nothing can have are looked for, and page on from there.
pub(crate) async fn no_id_that_is_asked_for_means_anything(store: &impl Store) {
    let store = store.open().await;
    keep(&store, tier("gold"), Expect::Absent).await.unwrap();
    for text in TEXTS {
        let found = store.find::<TierDefinition>(text).await.unwrap();
        assert_eq!(found, None, "{text:?}");
        let found = store.find::<ApiKey>(text).await.unwrap();
        assert_eq!(found, None, "{text:?}");
        let query = RecordQuery {
            after: Some(text.into()),
            ..RecordQuery::all(TierDefinition::KIND)
        };
        let listed = store.page::<TierDefinition>(query).await.unwrap();
        let is_after = "gold" > text;
        assert_eq!(listed.records.len(), usize::from(is_after), "{text:?}");
    }
}

/// Keeps what is left as a `T` when each text of `whole` in turn is another, and answers the places
/// where that was so.
async fn try_every_text<T>(store: &Repository, whole: &Value) -> BTreeSet<String>
where
    T: Kept + PartialEq + Debug,
{
    let mut places = Vec::new();
    texts_of(whole, "", &mut places);
    let mut taken = BTreeSet::new();
    for place in &places {
        for text in TEXTS {
            let changed = with_text(whole, place, text);
            let Ok(value) = serde_json::from_value::<T>(changed) else {
                continue;
            };
            let by = author();
            let written = store.store_as(&value, Expect::Anything, &by).await;
            assert_eq!(written.unwrap().record.value, value, "{place}: {text:?}");
            let found = store.find::<T>(value.id()).await.unwrap();
            assert_eq!(found.unwrap().value, value, "{place}: {text:?}");
            taken.insert(place.clone());
        }
    }
    taken
}

async fn check_others<T: Kept + PartialEq + Debug>(store: &Repository, other: &T) {
    let listed = store.page::<T>(RecordQuery::all(T::KIND)).await.unwrap();
    assert_eq!(listed.records.len(), 2);
    assert_eq!(&listed.records[1].value, other);
}

/// Where texts stand: pointers, that of a map's key with `*` in its place.
fn texts_of(value: &Value, place: &str, places: &mut Vec<String>) {
    match value {
        Value::String(_) => places.push(place.to_owned()),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                texts_of(item, &format!("{place}/{number}"), places);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                texts_of(field, &format!("{place}/{name}"), places);
            }
            if !fields.is_empty() {
                places.push(format!("{place}/*"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Names of files stay absolute: relative ones mean something to a store of files.
fn with_text(whole: &Value, place: &str, text: &str) -> Value {
    let mut changed = whole.clone();
    if let Some(map) = place.strip_suffix("/*") {
        let fields = changed.pointer_mut(map).unwrap().as_object_mut().unwrap();
        let name = fields.keys().next().unwrap().clone();
        let value = fields.remove(&name).unwrap();
        fields.insert(text.to_owned(), value);
    } else {
        let old = changed.pointer_mut(place).unwrap();
        let is_absolute = old.as_str().unwrap().starts_with('/');
        let root = if is_absolute { "/" } else { "" };
        *old = format!("{root}{text}").into();
    }
    changed
}
