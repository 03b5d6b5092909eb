//! What a back end keeps: records of a kind, which it neither reads nor judges.

use std::{fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::model::{Revision, Status, TenantId, Tier};

/// What a record describes.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A [`crate::model::Tenant`].
    Tenant,
    /// A [`crate::model::TierDefinition`].
    Tier,
    /// A [`crate::model::ApiKey`].
    Key,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Tenant, Self::Tier, Self::Key];

    /// The lower-case name, as in stores, files and audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Tier => "tier",
            Self::Key => "key",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected `tenant`, `tier` or `key`, not {0:?}")]
pub struct KindError(String);

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        let named = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        named.ok_or_else(|| KindError(text.into()))
    }
}

/// Which record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// What it describes.
    pub kind: Kind,
    /// Its id, unique within the kind: 1 to 63 characters of `a-z`, `0-9` and `-`.
    pub id: Arc<str>,
}

impl RecordKey {
    /// The key of a tenant's record.
    pub fn tenant(id: &TenantId) -> Self {
        Self::new(Kind::Tenant, id.as_str())
    }

    /// A key; `id` is one by its type, or comes from a store.
    pub fn new(kind: Kind, id: &str) -> Self {
        Self {
            kind,
            id: id.into(),
        }
    }

    /// The tenant it names, if it names one.
    pub fn as_tenant(&self) -> Option<TenantId> {
        let tenant = (self.kind == Kind::Tenant).then_some(&self.id)?;
        tenant.parse().ok()
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            Kind::Tenant => "tenant",
            Kind::Tier => "tier",
            Kind::Key => "API key",
        };
        write!(f, "{name} {}", self.id)
    }
}

/// Where a record is in its life. For records that have no life of their own, such as tiers,
/// `Active` is all there is before deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordStatus {
    /// As [`Status::Provisioning`].
    Provisioning,
    /// As [`Status::Active`].
    Active,
    /// As [`Status::Suspended`].
    Suspended,
    /// A tombstone. Its document is the last one it had alive.
    Deleted,
    /// Gone for good. Only its revision is kept, so that those of a successor go on rising, and no
    /// reader who was asleep takes what it remembers for newer.
    Purged,
}

impl RecordStatus {
    const ALL: [Self; 5] = [
        Self::Provisioning,
        Self::Active,
        Self::Suspended,
        Self::Deleted,
        Self::Purged,
    ];

    /// The lower-case name, as in stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Purged => "purged",
        }
    }

    /// The status of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether it is neither a tombstone nor gone.
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Provisioning | Self::Active | Self::Suspended)
    }
}

impl From<Status> for RecordStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Provisioning => Self::Provisioning,
            Status::Active => Self::Active,
            Status::Suspended => Self::Suspended,
            Status::Deleted => Self::Deleted,
        }
    }
}

/// A record as a back end keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which one.
    pub key: RecordKey,
    /// How often it was written; at least 1.
    pub revision: Revision,
    /// Where it is in its life.
    pub status: RecordStatus,
    /// What it says, a JSON object.
    pub document: String,
    /// When it was first written, since it was last purged or deleted.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// When it was last used, as far as anybody said; no writing of the record touches it.
    pub used_at: Option<Timestamp>,
}

/// A write that was decided on, to be done if the record is still at `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordWrite {
    /// What is to be there.
    pub record: Record,
    /// The revision that must be there; `None` if nothing may be.
    pub before: Option<Revision>,
    /// What it is called in the audit event.
    pub outcome: super::Outcome,
    /// What changed, for the audit event: see [`super::AuditEvent::changes`].
    pub changes: Value,
}

/// Whether a write was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// It was, with its audit event.
    Done,
    /// The record was at another revision by then; nothing was written.
    Overtaken,
}

/// Which records, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of this kind.
    pub kind: Kind,
    /// Those whose ids come after this one; from the beginning if `None`.
    pub after: Option<Arc<str>>,
    /// At most so many, 1 to [`BATCH_MAX`]; what is outside is brought within.
    pub limit: u16,
    /// Only this status; without it, those that are alive.
    pub status: Option<RecordStatus>,
    /// Only those whose document has this `tier`.
    pub tier: Option<Tier>,
    /// Only those whose document has this `tenant`: the API keys of one.
    pub tenant: Option<TenantId>,
    /// Only those whose document has this key and value among its `labels`.
    pub label: Option<(String, String)>,
}

/// Records in a page, audit events in an answer and changes in a batch, at most.
pub const BATCH_MAX: u16 = 1_000;

impl RecordQuery {
    /// The first page of all of a kind that are alive.
    pub fn all(kind: Kind) -> Self {
        Self {
            kind,
            after: None,
            limit: BATCH_MAX,
            status: None,
            tier: None,
            tenant: None,
            label: None,
        }
    }

    /// The limit, within its bounds.
    pub fn bounded_limit(&self) -> usize {
        self.limit.clamp(1, BATCH_MAX).into()
    }

    /// Whether `record` is one of those that are asked for, wherever the page begins. For back
    /// ends that can't let their database choose.
    pub fn means(&self, record: &Record) -> bool {
        let status = match self.status {
            Some(status) => record.status == status,
            None => record.status.is_alive(),
        };
        if record.key.kind != self.kind || !status {
            return false;
        }
        if self.tier.is_none() && self.tenant.is_none() && self.label.is_none() {
            return true;
        }
        let Ok(document) = serde_json::from_str::<Value>(&record.document) else {
            return false;
        };
        let has = |place: &Value, key: &str, value: Option<&str>| {
            value.is_none() || place.get(key).and_then(Value::as_str) == value
        };
        has(&document, "tier", self.tier.as_ref().map(Tier::as_str))
            && has(
                &document,
                "tenant",
                self.tenant.as_ref().map(TenantId::as_str),
            )
            && self
                .label
                .as_ref()
                .is_none_or(|(key, value)| has(&document["labels"], key, Some(value)))
    }
}

/// One page of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    /// In the order of their ids.
    pub records: Vec<Record>,
    /// The id to ask on from; `None` on the last page.
    pub next: Option<Arc<str>>,
}

impl RecordPage {
    /// A page of the first `limit` of `records`, which hold at least one more if there is one.
    pub fn cut(mut records: Vec<Record>, limit: usize) -> Self {
        let more = records.len() > limit;
        records.truncate(limit);
        let last = records.last().filter(|_| more);
        let next = last.map(|record| record.key.id.clone());
        Self { records, next }
    }
}
