//! Dry runs: what a write would do, told without doing it.
//!
//! Answers as of now; the write itself may find the record changed by somebody else.

use jiff::Timestamp;
use tenant_store::{
    model::Revision,
    repository::{
        Expect, Kept, KeptWritten, Outcome, Record, RecordKey, RecordStatus, Repository,
        RepositoryError, Stored,
    },
};

/// What [`Repository::store_as`] would do.
pub(super) async fn put<T: Kept + PartialEq>(
    repository: &Repository,
    value: &T,
    expect: Expect,
) -> Result<KeptWritten<T>, RepositoryError> {
    let key = RecordKey::new(T::KIND, value.id());
    let held = repository.store().read(&key).await?;
    check(&key, held.as_ref(), expect)?;
    let alive = repository.find::<T>(value.id()).await?;
    let alive = alive.filter(|stored| !stored.deleted);
    Ok(match (alive, held) {
        (Some(stored), _) if stored.value == *value => KeptWritten {
            record: stored,
            outcome: Outcome::Unchanged,
        },
        (Some(_), Some(held)) => KeptWritten {
            record: successor(value.clone(), &held, held.created_at, false),
            outcome: Outcome::Updated,
        },
        (_, Some(held)) => KeptWritten {
            record: successor(value.clone(), &held, Timestamp::now(), false),
            outcome: Outcome::Created,
        },
        (_, None) => KeptWritten {
            record: first(value.clone()),
            outcome: Outcome::Created,
        },
    })
}

/// What [`Repository::remove`] would do.
pub(super) async fn remove<T: Kept>(
    repository: &Repository,
    id: &str,
    expect: Expect,
) -> Result<KeptWritten<T>, RepositoryError> {
    let (held, stored) = there::<T>(repository, id, expect).await?;
    if stored.deleted {
        return Ok(KeptWritten {
            record: stored,
            outcome: Outcome::Unchanged,
        });
    }
    let mut value = stored.value;
    value.bury();
    Ok(KeptWritten {
        record: successor(value, &held, held.created_at, true),
        outcome: Outcome::Deleted,
    })
}

/// What [`Repository::revive`] would do.
pub(super) async fn revive<T: Kept>(
    repository: &Repository,
    id: &str,
    expect: Expect,
) -> Result<KeptWritten<T>, RepositoryError> {
    let (held, stored) = there::<T>(repository, id, expect).await?;
    if !stored.deleted {
        return Ok(KeptWritten {
            record: stored,
            outcome: Outcome::Unchanged,
        });
    }
    // The document of a tombstone is the last one it had alive.
    let value =
        serde_json::from_str(&held.document).map_err(|source| RepositoryError::Corrupt {
            key: held.key.clone(),
            source: source.into(),
        })?;
    Ok(KeptWritten {
        record: successor(value, &held, held.created_at, false),
        outcome: Outcome::Restored,
    })
}

/// What [`Repository::forget`] would do to a record that is alive or not.
pub(super) async fn forget<T: Kept>(
    repository: &Repository,
    id: &str,
    expect: Expect,
) -> Result<KeptWritten<T>, RepositoryError> {
    let (held, stored) = there::<T>(repository, id, expect).await?;
    let mut value = stored.value;
    value.bury();
    Ok(KeptWritten {
        record: successor(value, &held, held.created_at, true),
        outcome: Outcome::Purged,
    })
}

/// A record that is there, alive or as a tombstone.
async fn there<T: Kept>(
    repository: &Repository,
    id: &str,
    expect: Expect,
) -> Result<(Record, Stored<T>), RepositoryError> {
    let key = RecordKey::new(T::KIND, id);
    let held = repository.store().read(&key).await?;
    let held = held.filter(|held| held.status != RecordStatus::Purged);
    let stored = repository.find::<T>(id).await?;
    match (held, stored) {
        (Some(held), Some(stored)) => {
            check(&key, Some(&held), expect)?;
            Ok((held, stored))
        }
        _ => Err(RepositoryError::Missing(key)),
    }
}

fn check(key: &RecordKey, held: Option<&Record>, expect: Expect) -> Result<(), RepositoryError> {
    let held = held.filter(|held| held.status != RecordStatus::Purged);
    let alive = held.filter(|held| held.status.is_alive());
    let expected = match expect {
        Expect::Anything => return Ok(()),
        Expect::Absent if alive.is_none() => return Ok(()),
        Expect::Revision(revision) if held.is_some_and(|held| held.revision == revision) => {
            return Ok(());
        }
        Expect::Absent => "absent".into(),
        Expect::Revision(revision) => format!("at revision {revision}"),
    };
    Err(RepositoryError::Conflict {
        key: key.clone(),
        expected,
        found: held.map_or("absent".into(), |held| {
            format!("at revision {}", held.revision)
        }),
        revision: held.map(|held| held.revision),
    })
}

fn first<T>(value: T) -> Stored<T> {
    let now = Timestamp::now();
    Stored {
        value,
        revision: Revision(1),
        created_at: now,
        updated_at: now,
        used_at: None,
        deleted: false,
    }
}

fn successor<T>(value: T, before: &Record, created_at: Timestamp, deleted: bool) -> Stored<T> {
    Stored {
        value,
        revision: Revision(before.revision.0 + 1),
        created_at,
        updated_at: Timestamp::now(),
        used_at: before.used_at,
        deleted,
    }
}
