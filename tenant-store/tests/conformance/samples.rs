//! Tenants and authors to write.

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

/// The same, told apart by its display name.
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
