//! Texts and fields come back as they went in.

use tenant_store::{
    model::Tenant,
    repository::{AuditQuery, Author, Expect, TenantRepository},
};

use crate::{
    Store,
    samples::{id, named, put, tenant},
};

/// Texts that mean something to SQL, JSON, URLs, formatting or terminals.
const TEXTS: [&str; 6] = [
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
    let tenant: Tenant = serde_json::from_value(serde_json::json!({
        "id": "acme",
        "name": "acme-corp",
        "display_name": "ACME Corp",
        "admin_email": "sre@acme.example",
        "status": "suspended",
        "tier": "enterprise",
        "labels": {"region": "eu"},
        "features": {"beta": false},
        "limits": {
            "max_query_lookback": "7d", "max_query_range": "1d", "max_query_duration": "30s",
            "max_request_bytes": 1, "max_response_bytes": u64::MAX, "max_concurrent_tails": 2,
        },
        "retention": {"metrics": "30d", "logs": "7d", "traces": "3d"},
        "health": {"interval": "5s", "timeout": "1s", "healthy_after": 2, "unhealthy_after": 4},
        "quotas": {
            "requests_per_second": 100, "concurrent_requests": u32::MAX,
            "ingest_bytes_per_day": u64::MAX, "storage_bytes": 1,
        },
        "deployments": {
            "metrics": {
                "hosting": "shared",
                "endpoints": [
                    {"url": "https://vm-a.example/base", "zone": "a", "priority": 1, "weight": 10},
                    {"url": "http://[::1]:4317", "protocol": "http2"},
                ],
                "timeout": "1500ms",
                "policy": "round_robin",
                "namespace": "acme",
                "health_check": {"enabled": false, "path": "/-/healthy", "interval": "1m30s",
                                 "timeout": "1s", "healthy_after": 1, "unhealthy_after": 9},
                "auth": {"basic": {"username": "mirador", "password": {"file": "/run/secret"}}},
                "tls": {"ca_file": "/ca.pem", "cert_file": "/c.pem", "key_file": "/k.pem",
                        "server_name": "vm.internal"},
            },
            "logs": {"endpoints": ["http://127.0.0.1:9428"],
                     "auth": {"bearer": {"token": {"env": "TOKEN"}}}},
            "traces": {"endpoints": ["http://127.0.0.1:10428"], "hosting": "external"},
        },
    }))
    .unwrap();
    let written = put(&*store, tenant.clone(), Expect::Absent).await.unwrap();
    assert_eq!(written.record.tenant, tenant);
    let stored = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(stored.tenant, tenant);
}
