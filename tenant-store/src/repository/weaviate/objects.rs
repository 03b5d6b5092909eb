//! What is kept, as objects. Documents are texts, so that nothing in them is interpreted; numbers
//! are read leniently, as they may come back as `3.0`.

use std::error::Error;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{client::Properties, schema::id_property};
use crate::{
    model::Revision,
    repository::{AuditEvent, Author, Kind, Outcome, Record, RecordKey, RecordStatus, RecordWrite},
};

type Unreadable = Box<dyn Error + Send + Sync>;

/// The id of an object, by what it is: whoever asks for it needs no search.
pub(super) fn object_id(class: &str, name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{class}|{name}").as_bytes())
}

/// How a record at a revision is called in the ids of claims and events.
pub(super) fn slot(key: &RecordKey, revision: Revision) -> String {
    format!("{}|{}|{revision}", key.kind, key.id)
}

/// What goes by the name of a record in every class.
pub(super) fn subject(key: &RecordKey) -> String {
    format!("{}|{}", key.kind, key.id)
}

/// A record, and whose write it is.
pub(super) fn of_record(record: &Record, claim: &str) -> Properties {
    let mut properties = Properties::new();
    properties.insert(id_property(record.key.kind).into(), json!(&*record.key.id));
    properties.insert("status".into(), json!(record.status.as_str()));
    properties.insert("revision".into(), json!(record.revision.0));
    properties.insert("createdAt".into(), json!(record.created_at));
    properties.insert("updatedAt".into(), json!(record.updated_at));
    properties.insert("deleted".into(), json!(!record.status.is_alive()));
    properties.insert("spec".into(), json!(record.document));
    properties.insert("claim".into(), json!(claim));
    properties
}

/// The id of a record in an object, if there is one.
pub(super) fn record_id(kind: Kind, properties: &Properties) -> Option<&str> {
    properties.get(id_property(kind)).and_then(Value::as_str)
}

pub(super) fn to_record(key: &RecordKey, properties: &Properties) -> Result<Record, Unreadable> {
    let named = record_id(key.kind, properties);
    if named != Some(&*key.id) {
        return Err(format!("it says it is {named:?}").into());
    }
    let status = text(properties, "status")?;
    let status = RecordStatus::from_name(status)
        .ok_or_else(|| format!("{status:?} is no status of a record"))?;
    let revision = count(properties, "revision")?;
    if revision == 0 {
        return Err("it has no revision".into());
    }
    Ok(Record {
        key: key.clone(),
        revision: Revision(revision),
        status,
        document: text(properties, "spec")?.to_owned(),
        created_at: text(properties, "createdAt")?.parse()?,
        updated_at: text(properties, "updatedAt")?.parse()?,
        used_at: None,
    })
}

/// Whose write a record is.
pub(super) fn claim_of(properties: &Properties) -> &str {
    let claim = properties.get("claim").and_then(Value::as_str);
    claim.unwrap_or_default()
}

/// A write that was decided on, with all that is needed to carry it out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    kind: Kind,
    id: String,
    revision: Revision,
    status: String,
    document: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    before: Option<Revision>,
    event: AuditEvent,
}

impl Intent {
    pub(super) fn new(write: &RecordWrite, by: &Author, sequence: u64) -> Self {
        let record = &write.record;
        Self {
            kind: record.key.kind,
            id: (*record.key.id).to_owned(),
            revision: record.revision,
            status: record.status.as_str().to_owned(),
            document: record.document.clone(),
            created_at: record.created_at,
            updated_at: record.updated_at,
            before: write.before,
            event: AuditEvent {
                sequence,
                at: record.updated_at,
                author: by.name.to_string(),
                origin: by.origin.clone(),
                request_id: by.request_id.clone(),
                outcome: write.outcome,
                kind: record.key.kind,
                id: (*record.key.id).to_owned(),
                before: write.before,
                after: record.revision,
                changes: write.changes.clone(),
            },
        }
    }

    pub(super) fn key(&self) -> RecordKey {
        RecordKey::new(self.kind, &self.id)
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn before(&self) -> Option<Revision> {
        self.before
    }

    pub(super) fn event(&self) -> &AuditEvent {
        &self.event
    }

    pub(super) fn record(&self) -> Result<Record, Unreadable> {
        let status = RecordStatus::from_name(&self.status)
            .ok_or_else(|| format!("{:?} is no status of a record", self.status))?;
        Ok(Record {
            key: self.key(),
            revision: self.revision,
            status,
            document: self.document.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            used_at: None,
        })
    }
}

/// A claim to a revision: whose it is, and what for.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) intent: Intent,
}

impl Claim {
    pub(super) fn new(intent: Intent) -> Self {
        Self {
            name: Uuid::new_v4().to_string(),
            intent,
        }
    }

    pub(super) fn properties(&self) -> Result<Properties, Unreadable> {
        let mut properties = Properties::new();
        properties.insert("claim".into(), json!(self.name));
        properties.insert("intent".into(), json!(serde_json::to_string(&self.intent)?));
        Ok(properties)
    }

    pub(super) fn read(properties: &Properties) -> Result<Self, Unreadable> {
        Ok(Self {
            name: text(properties, "claim")?.to_owned(),
            intent: serde_json::from_str(text(properties, "intent")?)?,
        })
    }
}

/// An audit event. As a text, so that whatever people call themselves comes back as it was.
pub(super) fn of_event(event: &AuditEvent) -> Result<Properties, Unreadable> {
    let key = RecordKey::new(event.kind, &event.id);
    let mut properties = Properties::new();
    properties.insert("sequence".into(), json!(event.sequence));
    properties.insert("subject".into(), json!(subject(&key)));
    properties.insert("event".into(), json!(serde_json::to_string(event)?));
    Ok(properties)
}

pub(super) fn to_event(properties: &Properties) -> Result<AuditEvent, Unreadable> {
    let event: AuditEvent = serde_json::from_str(text(properties, "event")?)?;
    if event.outcome == Outcome::Unchanged {
        return Err("nothing happened in it".into());
    }
    Ok(event)
}

pub(super) fn of_use(key: &RecordKey, used_at: Timestamp) -> Properties {
    let mut properties = Properties::new();
    properties.insert("subject".into(), json!(subject(key)));
    properties.insert("usedAt".into(), json!(used_at));
    properties
}

/// Which record was used, and when.
pub(super) fn to_use(properties: &Properties) -> Option<(RecordKey, Timestamp)> {
    let subject = properties.get("subject")?.as_str()?;
    let (kind, id) = subject.split_once('|')?;
    let used_at = properties.get("usedAt")?.as_str()?;
    Some((
        RecordKey::new(kind.parse().ok()?, id),
        used_at.parse().ok()?,
    ))
}

fn text<'p>(properties: &'p Properties, name: &str) -> Result<&'p str, Unreadable> {
    let text = properties.get(name).and_then(Value::as_str);
    text.ok_or_else(|| format!("it has no text {name:?}").into())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole, not negative and far below 2^53, as was just checked"
)]
fn count(properties: &Properties, name: &str) -> Result<u64, Unreadable> {
    let number = properties.get(name);
    if let Some(count) = number.and_then(Value::as_u64) {
        return Ok(count);
    }
    let float = number.and_then(Value::as_f64);
    let whole = float.filter(|float| float.fract() == 0.0 && (0.0..9e15).contains(float));
    let count = whole.map(|float| float as u64);
    count.ok_or_else(|| format!("it has no number {name:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_documented_ones() {
        // uuid5 of the URL namespace, reckoned elsewhere.
        let id = object_id("MiradorTenant", "acme");
        assert_eq!(id.get_version_num(), 5);
        assert_eq!(id.to_string(), "cc35a0a8-665d-5f4f-b4b4-1921aad05be5");
    }

    #[test]
    fn numbers_are_read_however_they_are_written() {
        let read = |number: Value| {
            let properties = [("revision".to_owned(), number)].into_iter().collect();
            count(&properties, "revision").ok()
        };
        assert_eq!(read(json!(3)), Some(3));
        assert_eq!(read(json!(3.0)), Some(3));
        for none in [json!(3.5), json!(-1), json!("3"), json!(null), json!(1e300)] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
    }
}
