//! The account of writes: one event for each that changed something, never altered.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Kind, Outcome};
use crate::model::Revision;

/// On whose behalf something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Who, e.g. `admin-token`.
    pub name: Arc<str>,
    /// From where, e.g. a peer address; empty if unknown.
    pub origin: String,
    /// The request that asked for it; empty if none did.
    pub request_id: String,
}

/// One line of the append-only account of writes.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its place in the sequence, rising.
    pub sequence: u64,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Who did it.
    pub author: String,
    /// From where.
    pub origin: String,
    /// The request that asked for it.
    pub request_id: String,
    /// What was done.
    pub outcome: Outcome,
    /// To what kind of thing.
    pub kind: Kind,
    /// To which of them.
    pub id: String,
    /// The revision before, if there was one.
    pub before: Option<Revision>,
    /// The revision after.
    pub after: Revision,
    /// The fields of the document that changed, each with its value `before` and `after`, where
    /// there was one; secrets are left out. Empty for events of versions that did not note it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object, required = false))]
    pub changes: serde_json::Value,
}

/// Which audit events. All that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    /// Before this place in the sequence: the cursor of pages.
    pub before: Option<u64>,
    /// At most so many, 1 to [`super::BATCH_MAX`]; what is outside is brought within.
    pub limit: u16,
    /// Of this kind of thing.
    pub kind: Option<Kind>,
    /// Of the thing with this id.
    pub id: Option<String>,
    /// By this author.
    pub author: Option<String>,
    /// Of this request.
    pub request_id: Option<String>,
    /// That did this.
    pub outcome: Option<Outcome>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

impl AuditQuery {
    /// The newest events, whatever they are about.
    pub fn newest(limit: u16) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The limit, within its bounds.
    pub fn bounded_limit(&self) -> usize {
        self.limit.clamp(1, super::BATCH_MAX).into()
    }

    /// Whether `event` is one of those that are asked for. For back ends that can't let their
    /// database choose.
    pub fn means(&self, event: &AuditEvent) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        self.before.is_none_or(|before| event.sequence < before)
            && fits(self.kind.as_ref(), &event.kind)
            && fits(self.id.as_ref(), &event.id)
            && fits(self.author.as_ref(), &event.author)
            && fits(self.request_id.as_ref(), &event.request_id)
            && fits(self.outcome.as_ref(), &event.outcome)
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }
}
