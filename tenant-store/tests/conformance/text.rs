//! Texts and fields come back as they went in.

use tenant_store::{
    model::Tenant,
    repository::{AuditQuery, Author, Expect, TenantRepository},
};

use crate::{
    Store,
    samples::{every_field, id, named, put, tenant},
};

/// Texts that mean something to SQL, JSON, URLs, formatting or terminals.
pub(crate) const TEXTS: [&str; 6] = [
    "'; DROP TABLE tenants; --",
    "\" OR 1=1 --",
    "?1 :a $b @c %s %00 \\ \\n",
    "Ünïcødé 租户 مستأجر 🦀",
    "\u{202e}right to left\u{202c} e\u{301}",
    "{\"json\": [true]}",
];

pub(crate) async fn keeps_any_text_of_a_tenant(store: &impl Store) {
    let store = store.open().await;
    let written = put(&*store, tenant("other"), Expect::Absent).await;
    assert_eq!(written.unwrap().record.tenant, tenant("other"));
    let other = store.get(&id("other")).await.unwrap();
    assert!(other.is_some());
    for text in TEXTS {
        let mut tenant = named("acme", text);
        tenant.name = Some(text.into());
        tenant.labels = [(text.to_owned(), text.to_owned())].into();
        tenant.features = [(text.to_owned(), true)].into();
        put(&*store, tenant.clone(), Expect::Anything)
            .await
            .unwrap();
        let stored = store.get(&id("acme")).await.unwrap().unwrap();
        assert_eq!(stored.tenant, tenant, "{text:?}");
    }
    assert_eq!(store.get(&id("other")).await.unwrap(), other);
}

/// What an author says of himself may hold anything, and be of any length.
pub(crate) async fn keeps_any_text_of_an_author(store: &impl Store) {
    let store = store.open().await;
    let long = "ü".repeat(100_000);
    let wild = ["", "\n \r \t \u{1} \u{7f}", "nul \0 inside", &long];
    for (number, text) in TEXTS.into_iter().chain(wild).enumerate() {
        let by = Author {
            name: text.into(),
            origin: text.into(),
            request_id: text.into(),
        };
        let tenant = named("acme", &number.to_string());
        store.put(&tenant, Expect::Anything, &by).await.unwrap();
        let event = store.audit(&AuditQuery::newest(1)).await.unwrap().remove(0);
        let said = [&event.author, &event.origin, &event.request_id];
        assert_eq!(said, [text; 3], "{text:.40?}");
    }
}

pub(crate) async fn keeps_every_field(store: &impl Store) {
    let store = store.open().await;
    let tenant: Tenant = serde_json::from_value(every_field()).unwrap();
    let written = put(&*store, tenant.clone(), Expect::Absent).await.unwrap();
    assert_eq!(written.record.tenant, tenant);
    let stored = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(stored.tenant, tenant);
}
