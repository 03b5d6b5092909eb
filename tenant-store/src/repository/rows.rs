//! What rows of databases mean, whichever database it is. The statements are each store's own, as
//! is how it writes a time.

use std::{collections::HashSet, error::Error};

use jiff::Timestamp;

use super::{
    AuditEvent, ChangeCursor, Changes, Kind, Outcome, Record, RecordKey, RecordStatus,
    RepositoryError,
};
use crate::model::Revision;

/// The columns of a record: kind, id, revision, status and document, and when it was created,
/// updated and used.
pub(super) type RecordRow<T> = (String, String, i64, String, String, T, T, Option<T>);

/// The columns of what followers read of a write: sequence, kind and id.
pub(super) type FeedRow = (i64, String, String);

/// The columns of an audit event: sequence, when, author, origin, request id, outcome, kind, id, the
/// revisions before and after, and what changed.
pub(super) type EventRow<T> = (
    i64,
    T,
    String,
    String,
    String,
    String,
    String,
    String,
    Option<i64>,
    i64,
    Option<String>,
);

/// Why a row can't be read.
type Fault = Box<dyn Error + Send + Sync>;

/// The record that a row says.
pub(super) fn read_record<T>(
    row: RecordRow<T>,
    time: impl Fn(T) -> Result<Timestamp, jiff::Error>,
) -> Result<Record, RepositoryError> {
    let (kind, id, revision, status, document, created_at, updated_at, used_at) = row;
    let key = RecordKey::new(kind.parse().unwrap_or(Kind::Tenant), &id);
    let read = || -> Result<Record, Fault> {
        kind.parse::<Kind>()?;
        let status = RecordStatus::from_name(&status)
            .ok_or_else(|| format!("{status:?} is no status of a record"))?;
        Ok(Record {
            key: key.clone(),
            revision: Revision(natural(revision)),
            status,
            document,
            created_at: time(created_at)?,
            updated_at: time(updated_at)?,
            used_at: used_at.map(&time).transpose()?,
        })
    };
    read().map_err(|source| RepositoryError::Corrupt {
        key: key.clone(),
        source,
    })
}

/// The changes that rows say, which are those after a position.
pub(super) fn read_changes(rows: Vec<FeedRow>, after: ChangeCursor) -> Changes {
    let next = rows
        .last()
        .map_or(after, |(sequence, ..)| ChangeCursor(natural(*sequence)));
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    for (sequence, kind, id) in rows {
        match kind.parse::<Kind>() {
            Ok(kind) => {
                let key = RecordKey::new(kind, &id);
                if seen.insert(key.clone()) {
                    keys.push(key);
                }
            }
            // No reader can hold such a record, and stopping here would hide all later changes.
            Err(error) => tracing::error!(%error, id, sequence, "skipped an audit event"),
        }
    }
    Changes { keys, next }
}

/// The audit event that a row says.
pub(super) fn read_event<T>(
    row: EventRow<T>,
    time: impl Fn(T) -> Result<Timestamp, jiff::Error>,
) -> Result<AuditEvent, RepositoryError> {
    let (sequence, at, author, origin, request_id, outcome, kind, id, before, after, changes) = row;
    let read = || -> Result<AuditEvent, Fault> {
        let outcome = Outcome::from_name(&outcome)
            .ok_or_else(|| format!("{outcome:?} is no outcome of a write"))?;
        let changes = changes.map(|changes| serde_json::from_str(&changes));
        Ok(AuditEvent {
            sequence: natural(sequence),
            at: time(at)?,
            author,
            origin,
            request_id,
            outcome,
            kind: kind.parse()?,
            id: id.clone(),
            before: before.map(|count| Revision(natural(count))),
            after: Revision(natural(after)),
            changes: changes.transpose()?.unwrap_or_default(),
        })
    };
    read().map_err(|source| RepositoryError::Corrupt {
        key: RecordKey::new(kind.parse().unwrap_or(Kind::Tenant), &id),
        source,
    })
}

/// Databases' integers are signed. Counts of ours begin at 0 and can't reach 2^63; a cursor that
/// somebody made up may, and then means "after everything".
pub(super) fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn natural(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
