//! Listing.

use std::collections::BTreeSet;

use tenant_store::{
    model::Status,
    repository::{Expect, ListQuery, TenantRepository},
};

use crate::{
    Store,
    samples::{delete, id, put, tenant},
};

pub(crate) async fn lists_by_status(store: &impl Store) {
    let store = store.open().await;
    let statuses = [
        ("aa", Status::Active),
        ("bb", Status::Suspended),
        ("cc", Status::Provisioning),
        ("dd", Status::Active),
    ];
    for (id, status) in statuses {
        let mut tenant = tenant(id);
        tenant.status = status;
        put(&*store, tenant, Expect::Absent).await.unwrap();
    }
    delete(&*store, id("dd"), Expect::Anything).await.unwrap();

    let wanted = [
        (None, vec!["aa", "bb", "cc"]),
        (Some(Status::Active), vec!["aa"]),
        (Some(Status::Suspended), vec!["bb"]),
        (Some(Status::Deleted), vec!["dd"]),
    ];
    for (status, ids) in wanted {
        let query = ListQuery {
            limit: 10,
            status,
            ..ListQuery::default()
        };
        let page = store.list(&query).await.unwrap();
        let found: BTreeSet<_> = page.records.into_iter().map(|r| r.tenant.id).collect();
        assert_eq!(found, ids.into_iter().map(id).collect(), "{status:?}");
        assert_eq!(page.next, None);
    }
}

pub(crate) async fn lists_by_tier_and_label(store: &impl Store) {
    let store = store.open().await;
    let tenants = [
        ("aa", "gold", ("team", "sre")),
        ("bb", "gold", ("team", "dev")),
        ("cc", "tin", ("team", "sre")),
        ("dd", "gold", ("a.b\"'$[0]", "租户")),
        ("ee", "gold", ("team", "sre")),
    ];
    for (id, tier, (key, value)) in tenants {
        let mut tenant = tenant(id);
        tenant.tier = tier.parse().unwrap();
        tenant.labels = [(key.into(), value.into())].into();
        put(&*store, tenant, Expect::Absent).await.unwrap();
    }
    let wanted = [
        (Some("gold"), None, vec!["aa", "bb", "dd", "ee"]),
        (None, Some(("team", "sre")), vec!["aa", "cc", "ee"]),
        (Some("gold"), Some(("team", "sre")), vec!["aa", "ee"]),
        (None, Some(("a.b\"'$[0]", "租户")), vec!["dd"]),
        (None, Some(("team", "")), vec![]),
        (None, Some(("' OR 1=1 --", "sre")), vec![]),
        (Some("none"), None, vec![]),
    ];
    for (tier, label, ids) in wanted {
        // Page by page, of one tenant each.
        let mut query = ListQuery {
            limit: 1,
            tier: tier.map(|tier| tier.parse().unwrap()),
            label: label.map(|(key, value)| (key.into(), value.into())),
            ..ListQuery::default()
        };
        let mut found = Vec::new();
        loop {
            let page = store.list(&query).await.unwrap();
            found.extend(page.records.into_iter().map(|record| record.tenant.id));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let ids: Vec<_> = ids.into_iter().map(id).collect();
        assert_eq!(found, ids, "{tier:?} {label:?}");
    }
}

pub(crate) async fn caps_the_limit(store: &impl Store) {
    let store = store.open().await;
    for name in ["aa", "bb"] {
        put(&*store, tenant(name), Expect::Absent).await.unwrap();
    }
    let query = |limit| ListQuery {
        limit,
        ..ListQuery::default()
    };
    let least = store.list(&query(0)).await.unwrap();
    assert_eq!((least.records.len(), least.next), (1, Some(id("aa"))));
    let most = store.list(&query(u16::MAX)).await.unwrap();
    assert_eq!((most.records.len(), most.next), (2, None));
}
