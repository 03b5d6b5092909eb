//! Dry runs: what a write would do, told without doing it.
//!
//! Answers as of now; the write itself may find the tenant changed by somebody else.

use jiff::Timestamp;
use tenant_store::{
    model::{Revision, Status, Tenant, TenantId, TenantRecord},
    repository::{Expect, Outcome, RecordKey, RepositoryError, TenantRepository, Written},
};

/// What [`TenantRepository::put`] would do.
pub(super) async fn put(
    repository: &dyn TenantRepository,
    tenant: &Tenant,
    expect: Expect,
) -> Result<Written, RepositoryError> {
    let found = repository.get(&tenant.id).await?;
    check(&tenant.id, found.as_ref(), expect)?;
    Ok(match found {
        Some(record) if record.tenant == *tenant => Written {
            record,
            outcome: Outcome::Unchanged,
        },
        Some(record) if record.tenant.status != Status::Deleted => Written {
            record: successor(&record, tenant.clone()),
            outcome: Outcome::Updated,
        },
        tombstone => Written {
            record: first(
                tenant.clone(),
                tombstone.map_or(Revision(0), |held| held.revision),
            ),
            outcome: Outcome::Created,
        },
    })
}

/// What [`TenantRepository::delete`] would do.
pub(super) async fn delete(
    repository: &dyn TenantRepository,
    id: &TenantId,
    expect: Expect,
) -> Result<Written, RepositoryError> {
    let found = repository.get(id).await?;
    check(id, found.as_ref(), expect)?;
    let record = found.ok_or_else(|| RepositoryError::Missing(RecordKey::tenant(id)))?;
    if record.tenant.status == Status::Deleted {
        return Ok(Written {
            record,
            outcome: Outcome::Unchanged,
        });
    }
    let tombstone = Tenant {
        status: Status::Deleted,
        ..record.tenant.clone()
    };
    Ok(Written {
        record: successor(&record, tombstone),
        outcome: Outcome::Deleted,
    })
}

fn check(
    id: &TenantId,
    found: Option<&TenantRecord>,
    expect: Expect,
) -> Result<(), RepositoryError> {
    let alive = found.filter(|record| record.tenant.status != Status::Deleted);
    let expected = match expect {
        Expect::Anything => return Ok(()),
        Expect::Absent if alive.is_none() => return Ok(()),
        Expect::Revision(revision) if found.is_some_and(|found| found.revision == revision) => {
            return Ok(());
        }
        Expect::Absent => "absent".into(),
        Expect::Revision(revision) => format!("at revision {revision}"),
    };
    Err(RepositoryError::Conflict {
        key: RecordKey::tenant(id),
        expected,
        found: found.map_or("absent".into(), |found| {
            format!("at revision {}", found.revision)
        }),
        revision: found.map(|found| found.revision),
    })
}

/// A new tenant, after a tombstone at revision `before`.
fn first(tenant: Tenant, before: Revision) -> TenantRecord {
    let now = Timestamp::now();
    TenantRecord {
        tenant,
        revision: Revision(before.0 + 1),
        created_at: now,
        updated_at: now,
    }
}

fn successor(before: &TenantRecord, tenant: Tenant) -> TenantRecord {
    TenantRecord {
        tenant,
        revision: Revision(before.revision.0 + 1),
        created_at: before.created_at,
        updated_at: Timestamp::now(),
    }
}
