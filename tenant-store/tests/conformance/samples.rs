//! Tenants and authors to write.

use serde_json::Value;
use tenant_store::{
    model::{ApiKey, Tenant, TenantId, TierDefinition},
    repository::{
        Author, Expect, Kept, KeptWritten, Repository, RepositoryError, TenantRepository, Written,
    },
};

pub(crate) fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

/// A plain tenant, with one metrics endpoint.
pub(crate) fn tenant(id: &str) -> Tenant {
    serde_json::from_value(serde_json::json!({
        "id": id,
        "deployments": {"metrics": {"endpoints": ["http://127.0.0.1:8428"]}},
    }))
    .unwrap()
}

/// A tenant that says everything there is to say.
pub(crate) fn every_field() -> Value {
    serde_json::json!({
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
        "slo": {"availability": "99.95%"},
        "health": {"interval": "5s", "timeout": "1s", "healthy_after": 2, "unhealthy_after": 4},
        "quotas": {
            "requests_per_second": 100, "concurrent_requests": u32::MAX,
            "ingest_bytes_per_day": u64::MAX, "storage_bytes": 1,
        },
        "maintenance": {"reason": "new disks", "until": "2030-01-01T00:00:00Z"},
        "deployments": {
            "metrics": {
                "hosting": "shared",
                "endpoints": [
                    {"url": "https://vm-a.example/base", "zone": "a", "priority": 1, "weight": 10},
                    {"url": "http://[::1]:4317", "protocol": "http2", "drain": true},
                ],
                "timeout": "1500ms",
                "policy": "round_robin",
                "namespace": "acme",
                "health_check": {"enabled": false, "path": "/-/healthy", "interval": "1m30s",
                                 "timeout": "1s", "healthy_after": 1, "unhealthy_after": 9,
                                 "expect_status": ["204", "3xx", "400-403"], "expect_body": "\"OK\"",
                                 "headers": {"x-probe": "a, b"}, "start_grace": "2m",
                                 "deep": {"interval": "1m", "min_version": "v1.150"}},
                "auth": {"basic": {"username": "mirador", "password": {"file": "/run/secret"}}},
                "tls": {"ca_file": "/ca.pem", "cert_file": "/c.pem", "key_file": "/k.pem",
                        "server_name": "vm.internal"},
            },
            "logs": {"endpoints": ["http://127.0.0.1:9428"],
                     "auth": {"bearer": {"token": {"env": "TOKEN"}}}},
            "traces": {"endpoints": ["http://127.0.0.1:10428"], "hosting": "external"},
        },
    })
}

/// A plain one, told apart by its display name.
pub(crate) fn named(id: &str, display_name: &str) -> Tenant {
    Tenant {
        display_name: Some(display_name.into()),
        ..tenant(id)
    }
}

/// A tier with an opinion on everything.
pub(crate) fn tier(name: &str) -> TierDefinition {
    serde_json::from_value(serde_json::json!({
        "name": name,
        "description": "for conformance",
        "hosting": "shared",
        "quotas": {"storage_bytes": u64::MAX},
        "limits": {"max_query_range": "1d"},
        "retention": {"logs": "30d"},
        "features": {"vmui": false},
        "slo": {"availability": "99%"},
        "health": {"healthy_after": 3},
    }))
    .unwrap()
}

pub(crate) fn key(id: &str, tenant: &str) -> ApiKey {
    serde_json::from_value(serde_json::json!({
        "id": id,
        "name": "agents",
        "tenant": tenant,
        "allowed": ["acme", "globex"],
        "scopes": ["logs:read", "metrics:write"],
        "expires_at": "2030-01-01T00:00:00Z",
        "hash": "0123456789abcdef".repeat(4),
    }))
    .unwrap()
}

pub(crate) fn author() -> Author {
    Author {
        name: "admin-token".into(),
        origin: "127.0.0.1:40000".into(),
        request_id: "req-1".into(),
    }
}

/// Puts anything on behalf of [`author`].
pub(crate) async fn keep<T: Kept>(
    store: &Repository,
    value: T,
    expect: Expect,
) -> Result<KeptWritten<T>, RepositoryError> {
    store.store_as(&value, expect, &author()).await
}

/// Puts a tenant on behalf of [`author`].
pub(crate) async fn put(
    store: &(impl TenantRepository + ?Sized),
    tenant: Tenant,
    expect: Expect,
) -> Result<Written, RepositoryError> {
    store.put(&tenant, expect, &author()).await
}

/// Deletes a tenant on behalf of [`author`].
pub(crate) async fn delete(
    store: &(impl TenantRepository + ?Sized),
    id: TenantId,
    expect: Expect,
) -> Result<Written, RepositoryError> {
    store.delete(&id, expect, &author()).await
}
