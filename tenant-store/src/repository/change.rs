//! What a write comes to: the rules of [`Expect`], revisions, tombstones and equal writes, as pure
//! functions that all kinds of records and all stores share.
//!
//! Knows no store: who calls has read what is held, and commits what is decided here if it still
//! holds by then.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Expect, Outcome, Record, RecordKey, RecordStatus, RecordWrite, RepositoryError};
use crate::model::Revision;

/// What is to be done about a write that is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: it is so already.
    None(Record),
    /// Commit this.
    Write(RecordWrite),
}

/// What somebody wants to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) status: RecordStatus,
    /// A JSON object.
    pub(super) document: Value,
}

/// One question about one record: what is held of it, what the writer believes, and when it is.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) key: RecordKey,
    pub(super) held: Option<Record>,
    /// The document of what is held as it would be written today.
    pub(super) reads_as: Value,
    pub(super) expect: Expect,
    pub(super) now: Timestamp,
    /// Fields whose values audit events don't show.
    pub(super) secrets: &'static [&'static str],
}

impl Case {
    /// Puts `draft` where what is held is.
    pub(super) fn put(self, draft: &Draft) -> Result<Change, RepositoryError> {
        self.check()?;
        let (outcome, created_at) = match &self.held {
            Some(held) if held.status.is_alive() => {
                if held.status == draft.status && self.reads_as == draft.document {
                    return Ok(Change::None(held.clone()));
                }
                (Outcome::Updated, held.created_at)
            }
            // A tombstone's successor is another record, but its revisions go on rising: readers
            // ignore whatever is older than what they have seen.
            _ => (Outcome::Created, self.now),
        };
        Ok(self.write(draft, outcome, created_at))
    }

    /// Makes a tombstone of what is held. It keeps its last document, to be restored from.
    pub(super) fn delete(self) -> Result<Change, RepositoryError> {
        let held = self.expected()?;
        if held.status == RecordStatus::Deleted {
            return Ok(Change::None(held));
        }
        let draft = Draft {
            status: RecordStatus::Deleted,
            document: object(&held),
        };
        Ok(self.write(&draft, Outcome::Deleted, held.created_at))
    }

    /// Brings a tombstone back to life as it was. Tombstones of versions that kept no status come
    /// back suspended: serving whoever was suspended would be worse.
    pub(super) fn restore(self) -> Result<Change, RepositoryError> {
        let held = self.expected()?;
        if held.status.is_alive() {
            return Ok(Change::None(held));
        }
        let mut document = object(&held);
        let status = match document.get("status").and_then(Value::as_str) {
            None => RecordStatus::Active,
            Some(name) => RecordStatus::from_name(name)
                .filter(|status| status.is_alive())
                .unwrap_or(RecordStatus::Suspended),
        };
        if let Some(field) = document.get_mut("status") {
            *field = status.as_str().into();
        }
        let draft = Draft { status, document };
        Ok(self.write(&draft, Outcome::Restored, held.created_at))
    }

    /// Forgets all but the revision: of a tombstone, or of anything if `alive_too`.
    pub(super) fn purge(self, alive_too: bool) -> Result<Change, RepositoryError> {
        let held = self.expected()?;
        if held.status.is_alive() && !alive_too {
            return Err(RepositoryError::NotDeleted {
                key: held.key,
                revision: held.revision,
            });
        }
        let draft = Draft {
            status: RecordStatus::Purged,
            document: json!({}),
        };
        Ok(self.write(&draft, Outcome::Purged, held.created_at))
    }

    /// What is held, as expected and not yet purged.
    fn expected(&self) -> Result<Record, RepositoryError> {
        let held = self.known().cloned();
        let held = held.ok_or_else(|| RepositoryError::Missing(self.key.clone()))?;
        self.check()?;
        Ok(held)
    }

    fn write(self, draft: &Draft, outcome: Outcome, created_at: Timestamp) -> Change {
        let before = self.held.as_ref().map(|held| held.revision);
        let used_at = self.held.as_ref().and_then(|held| held.used_at);
        let record = Record {
            key: self.key.clone(),
            revision: Revision(before.map_or(0, |Revision(count)| count) + 1),
            status: draft.status,
            document: draft.document.to_string(),
            created_at,
            updated_at: self.now,
            used_at: used_at.filter(|_| outcome != Outcome::Created),
        };
        let changes = match outcome {
            // What is forgotten must not live on in the account of its being forgotten.
            Outcome::Purged => Value::Null,
            _ => difference(self.held.as_ref(), &record, self.secrets),
        };
        Change::Write(RecordWrite {
            record,
            before,
            outcome,
            changes,
        })
    }

    /// What is held, unless it was purged.
    fn known(&self) -> Option<&Record> {
        let held = self.held.as_ref();
        held.filter(|held| held.status != RecordStatus::Purged)
    }

    fn check(&self) -> Result<(), RepositoryError> {
        let known = self.known();
        let alive = known.filter(|held| held.status.is_alive());
        let expected = match self.expect {
            Expect::Anything => return Ok(()),
            Expect::Absent if alive.is_none() => return Ok(()),
            Expect::Absent => "absent".into(),
            Expect::Revision(revision) if known.is_some_and(|held| held.revision == revision) => {
                return Ok(());
            }
            Expect::Revision(revision) => format!("at revision {revision}"),
        };
        let found = match known {
            None => "absent".into(),
            Some(held) if alive.is_none() => format!("deleted at revision {}", held.revision),
            Some(held) => format!("at revision {}", held.revision),
        };
        Err(RepositoryError::Conflict {
            key: self.key.clone(),
            expected,
            found,
            revision: known.map(|held| held.revision),
        })
    }
}

/// A record's document. One that is none was written by somebody else; whoever writes now replaces
/// it.
fn object(record: &Record) -> Value {
    serde_json::from_str(&record.document).unwrap_or(Value::Null)
}

/// The fields that differ, each with its values before and after, where it has one. The status is
/// the record's: a tombstone's document still has the one from before.
fn difference(held: Option<&Record>, record: &Record, secrets: &[&str]) -> Value {
    let fields = |record: &Record| {
        let mut fields = match object(record) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.insert("status".into(), record.status.as_str().into());
        fields
    };
    let held = held.filter(|held| held.status != RecordStatus::Purged);
    let before = held.map(fields).unwrap_or_default();
    let after = fields(record);
    let names = before.keys().chain(after.keys());
    let changed = names.filter(|name| before.get(*name) != after.get(*name));
    let shown = |name: &str, value: &Value| {
        if secrets.contains(&name) {
            json!("(secret)")
        } else {
            value.clone()
        }
    };
    let difference = changed.map(|name| {
        let mut sides = Map::new();
        for (side, fields) in [("before", &before), ("after", &after)] {
            if let Some(value) = fields.get(name) {
                sides.insert(side.into(), shown(name, value));
            }
        }
        (name.clone(), Value::Object(sides))
    });
    Value::Object(difference.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Kind;

    fn record(status: RecordStatus, revision: u64, document: &str) -> Record {
        Record {
            key: RecordKey::new(Kind::Tenant, "acme"),
            revision: Revision(revision),
            status,
            document: document.into(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            used_at: None,
        }
    }

    fn case(held: Option<Record>, expect: Expect) -> Case {
        Case {
            key: RecordKey::new(Kind::Tenant, "acme"),
            reads_as: held.as_ref().map(object).unwrap_or_default(),
            held,
            expect,
            now: Timestamp::UNIX_EPOCH,
            secrets: &["hash"],
        }
    }

    fn written(change: Result<Change, RepositoryError>) -> RecordWrite {
        match change {
            Ok(Change::Write(write)) => write,
            other => unreachable!("nothing was to be written: {other:?}"),
        }
    }

    /// A tombstone of 0.1, whose document says no more than that it was deleted.
    #[test]
    fn a_tombstone_that_kept_no_status_comes_back_suspended() {
        let held = record(RecordStatus::Deleted, 2, r#"{"status":"deleted"}"#);
        let write = written(case(Some(held), Expect::Anything).restore());
        assert_eq!(write.record.status, RecordStatus::Suspended);
        assert_eq!(write.record.document, r#"{"status":"suspended"}"#);
        assert_eq!(write.record.revision, Revision(3));
    }

    #[test]
    fn what_was_purged_leaves_its_revision_and_nothing_else() {
        let held = record(RecordStatus::Deleted, 2, r#"{"name":"ACME"}"#);
        let write = written(case(Some(held), Expect::Anything).purge(false));
        assert_eq!(
            (write.record.document.as_str(), &write.changes),
            ("{}", &Value::Null)
        );

        let purged = Some(write.record);
        let stale = case(purged.clone(), Expect::Revision(Revision(3)));
        let draft = Draft {
            status: RecordStatus::Active,
            document: json!({}),
        };
        assert!(matches!(
            stale.put(&draft),
            Err(RepositoryError::Conflict { revision: None, .. })
        ));
        for change in [
            case(purged.clone(), Expect::Anything).restore(),
            case(purged.clone(), Expect::Anything).delete(),
            case(purged.clone(), Expect::Anything).purge(true),
        ] {
            assert!(matches!(change, Err(RepositoryError::Missing(_))));
        }
        let anew = written(case(purged, Expect::Absent).put(&draft));
        assert_eq!(
            (anew.record.revision, anew.outcome),
            (Revision(4), Outcome::Created)
        );
    }

    #[test]
    fn audit_events_tell_what_changed_but_no_secret() {
        let held = record(RecordStatus::Active, 1, r#"{"a":1,"b":2,"hash":"old"}"#);
        let draft = Draft {
            status: RecordStatus::Active,
            document: json!({"a": 1, "c": 3, "hash": "new"}),
        };
        let write = written(case(Some(held), Expect::Anything).put(&draft));
        let expected = json!({
            "b": {"before": 2},
            "c": {"after": 3},
            "hash": {"before": "(secret)", "after": "(secret)"},
        });
        assert_eq!(write.changes, expected);
    }
}
