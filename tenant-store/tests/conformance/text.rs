//! Texts and fields come back as they went in.

use tenant_store::{
    model::Tenant,
    repository::{Author, Expect},
};

use crate::{
    Store,
    samples::{id, named, put, tenant},
};

/// Injections, quotes, controls, other scripts, and more of it than fits a page.
pub(crate) async fn keeps_any_text_as_it_is(store: &impl Store) {
    let store = store.open().await;
    let long = "ü".repeat(100_000);
    let texts = [
        "'; DROP TABLE tenants; --",
        "\" OR 1=1 --",
        "?1 :a $b @c %s %00",
        "\\ \n \r \t \u{1} \u{7f}",
        "nul \0 inside",
        "Ünïcødé 租户 مستأجر 🦀 \u{202e}right to left\u{202c} e\u{301}",
        "{\"json\": [true]}",
        "",
        &long,
    ];
    put(&*store, tenant("other"), Expect::Absent).await.unwrap();
    for text in texts {
        let mut tenant = named("acme", text);
        tenant.name = Some(text.into());
        tenant.labels = [(text.to_owned(), text.to_owned())].into();
        tenant.features = [(text.to_owned(), true)].into();
        if let Some(metrics) = &mut tenant.deployments.metrics {
            metrics.namespace = Some(text.into());
            metrics.endpoints[0].zone = Some(text.into());
        }
        let by = Author {
            name: text.into(),
            origin: text.into(),
            request_id: text.into(),
        };
        store.put(&tenant, Expect::Anything, &by).await.unwrap();

        let stored = store.get(&id("acme")).await.unwrap().unwrap();
        assert_eq!(stored.tenant, tenant, "{text:.40?}");
        let event = store.audit(None, 1).await.unwrap().remove(0);
        let said = [&event.author, &event.origin, &event.request_id];
        assert_eq!(said, [text; 3], "{text:.40?}");
    }
    assert!(store.get(&id("other")).await.unwrap().is_some());
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
