//! What a write comes to: the rules of [`Expect`], revisions, tombstones and equal writes, as pure
//! functions that all stores share.
//!
//! Knows no store: who calls has read what is held, and writes the change with its audit event in
//! the same transaction.

use jiff::Timestamp;

use super::{Expect, Outcome, RepositoryError, Written};
use crate::model::{Revision, Status, Tenant, TenantId, TenantRecord};

/// What is to be done about a write that is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: it is so already.
    None(TenantRecord),
    /// Store this record.
    Write {
        record: TenantRecord,
        outcome: Outcome,
        before: Option<Revision>,
    },
}

impl From<Change> for Written {
    fn from(change: Change) -> Self {
        match change {
            Change::None(record) => Self {
                record,
                outcome: Outcome::Unchanged,
            },
            Change::Write {
                record, outcome, ..
            } => Self { record, outcome },
        }
    }
}

/// Puts `tenant` where `held` is. Putting one that is marked as deleted is deleting it.
pub(super) fn put(
    tenant: &Tenant,
    held: Option<TenantRecord>,
    expect: Expect,
    now: Timestamp,
) -> Result<Change, RepositoryError> {
    if tenant.status == Status::Deleted {
        return delete(&tenant.id, held, expect, now);
    }
    check_form(tenant)?;
    check(expect, &tenant.id, held.as_ref())?;
    let (outcome, created_at) = match &held {
        Some(held) if held.tenant == *tenant => return Ok(Change::None(held.clone())),
        Some(held) if held.tenant.status != Status::Deleted => (Outcome::Updated, held.created_at),
        // A tombstone's successor is another tenant, but its revisions go on rising: readers
        // ignore whatever is older than what they have seen.
        _ => (Outcome::Created, now),
    };
    Ok(write(tenant.clone(), held, outcome, created_at, now))
}

/// Makes a tombstone of `held`.
pub(super) fn delete(
    id: &TenantId,
    held: Option<TenantRecord>,
    expect: Expect,
    now: Timestamp,
) -> Result<Change, RepositoryError> {
    let Some(held) = held else {
        return Err(RepositoryError::Missing(id.clone()));
    };
    check(expect, id, Some(&held))?;
    if held.tenant.status == Status::Deleted {
        return Ok(Change::None(held));
    }
    let mut tenant = held.tenant.clone();
    tenant.status = Status::Deleted;
    let created_at = held.created_at;
    Ok(write(tenant, Some(held), Outcome::Deleted, created_at, now))
}

fn write(
    tenant: Tenant,
    held: Option<TenantRecord>,
    outcome: Outcome,
    created_at: Timestamp,
    now: Timestamp,
) -> Change {
    let before = held.map(|held| held.revision);
    let record = TenantRecord {
        tenant,
        revision: Revision(before.map_or(0, |Revision(count)| count) + 1),
        created_at,
        updated_at: now,
    };
    Change::Write {
        record,
        outcome,
        before,
    }
}

/// Reads the tenant as it would be read back: its fields are open, so code may have broken what
/// parsing ensures.
fn check_form(tenant: &Tenant) -> Result<(), RepositoryError> {
    let form = serde_json::to_value(tenant).and_then(serde_json::from_value::<Tenant>);
    form.map(drop).map_err(|source| RepositoryError::Invalid {
        id: tenant.id.clone(),
        source: source.into(),
    })
}

fn check(
    expect: Expect,
    id: &TenantId,
    held: Option<&TenantRecord>,
) -> Result<(), RepositoryError> {
    let alive = held.filter(|held| held.tenant.status != Status::Deleted);
    let expected = match expect {
        Expect::Anything => return Ok(()),
        Expect::Absent if alive.is_none() => return Ok(()),
        Expect::Absent => "absent".into(),
        Expect::Revision(revision) if held.is_some_and(|held| held.revision == revision) => {
            return Ok(());
        }
        Expect::Revision(revision) => format!("at revision {revision}"),
    };
    let found = match held {
        None => "absent".into(),
        Some(held) if alive.is_none() => format!("deleted at revision {}", held.revision),
        Some(held) => format!("at revision {}", held.revision),
    };
    Err(RepositoryError::Conflict {
        id: id.clone(),
        expected,
        found,
        revision: held.map(|held| held.revision),
    })
}
