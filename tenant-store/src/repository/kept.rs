//! What can be kept as a record, and what comes back.

use std::error::Error;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Kind, Record, RecordKey, RecordStatus, RepositoryError};
use crate::model::{ApiKey, Revision, Status, Tenant, TenantRecord, TierDefinition};

/// Something that is kept as records of its own kind. Its serde form is the document.
pub trait Kept: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// The kind.
    const KIND: Kind;

    /// Fields whose values audit events don't show.
    const SECRETS: &'static [&'static str] = &[];

    /// Its id, unique within the kind.
    fn id(&self) -> &str;

    /// Where it is in its life.
    fn status(&self) -> RecordStatus {
        RecordStatus::Active
    }

    /// Says of itself that it is deleted, if it says such things.
    fn bury(&mut self) {}
}

impl Kept for Tenant {
    const KIND: Kind = Kind::Tenant;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn status(&self) -> RecordStatus {
        self.status.into()
    }

    fn bury(&mut self) {
        self.status = Status::Deleted;
    }
}

impl Kept for TierDefinition {
    const KIND: Kind = Kind::Tier;

    fn id(&self) -> &str {
        self.name.as_str()
    }
}

impl Kept for ApiKey {
    const KIND: Kind = Kind::Key;
    const SECRETS: &'static [&'static str] = &["hash"];

    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// A record that was read: what it says, and what the store noted beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored<T> {
    /// What it says.
    #[serde(flatten)]
    pub value: T,
    /// How often it was written.
    pub revision: Revision,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When it was last used, as far as anybody noted; some minutes late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// Whether it is a tombstone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl<T: Kept> Stored<T> {
    /// Reads a record; `None` if it was purged.
    pub(crate) fn read(record: &Record) -> Result<Option<Self>, RepositoryError> {
        let deleted = match record.status {
            RecordStatus::Purged => return Ok(None),
            status => status == RecordStatus::Deleted,
        };
        let read = || -> Result<Self, Box<dyn Error + Send + Sync>> {
            let mut value: T = serde_json::from_str(&record.document)?;
            if value.id() != &*record.key.id {
                return Err(format!("it says it is {} {}", T::KIND, value.id()).into());
            }
            if deleted {
                value.bury();
            }
            Ok(Self {
                value,
                revision: record.revision,
                created_at: record.created_at,
                updated_at: record.updated_at,
                used_at: record.used_at,
                deleted,
            })
        };
        read().map(Some).map_err(|source| RepositoryError::Corrupt {
            key: record.key.clone(),
            source,
        })
    }

    /// The key of its record.
    pub fn key(&self) -> RecordKey {
        RecordKey::new(T::KIND, self.value.id())
    }
}

impl From<Stored<Tenant>> for TenantRecord {
    fn from(stored: Stored<Tenant>) -> Self {
        Self {
            tenant: stored.value,
            revision: stored.revision,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}
