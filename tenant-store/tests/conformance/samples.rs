//! Tenants and authors to write.

use tenant_store::{
    model::{Tenant, TenantId},
    repository::{Author, Expect, RepositoryError, TenantRepository, Written},
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

pub(crate) fn author() -> Author {
    Author {
        name: "admin-token".into(),
        origin: "127.0.0.1:40000".into(),
        request_id: "req-1".into(),
    }
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
