//! Changes of health, as they are remembered and asked for.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::BATCH_MAX;
use crate::model::{Signal, TenantId};

/// One change of a tenant's health, as one router saw it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it happened, to the microsecond.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The router that saw it.
    pub router: String,
    /// What it is a change of: `endpoint`, `deployment`, `tenant`, `failover`, `maintenance` or
    /// `findings`.
    pub kind: String,
    /// Of which deployment, if of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub signal: Option<Signal>,
    /// Of which endpoint, if of one: `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub endpoint: Option<String>,
    /// What it was before.
    pub from: String,
    /// What it is since.
    pub to: String,
    /// Why, in one word.
    pub cause: String,
    /// What happened, in a sentence.
    pub sentence: String,
}

/// A change that is to be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Whose health changed.
    pub tenant: TenantId,
    /// How.
    pub entry: HistoryEntry,
}

/// Which changes. All that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of this tenant.
    pub tenant: TenantId,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this signal's deployment or its endpoints.
    pub signal: Option<Signal>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// After this place in the order of pages, newest first.
    pub before: Option<HistoryCursor>,
    /// At most so many, 1 to [`BATCH_MAX`]; what is outside is brought within.
    pub limit: u16,
}

impl HistoryQuery {
    /// The newest changes of a tenant.
    pub fn newest(tenant: TenantId, limit: u16) -> Self {
        Self {
            tenant,
            kind: None,
            signal: None,
            since: None,
            until: None,
            before: None,
            limit,
        }
    }

    /// The limit, within its bounds.
    pub fn bounded_limit(&self) -> usize {
        self.limit.clamp(1, BATCH_MAX).into()
    }
}

/// A place in a tenant's changes: when, and which of those of the same microsecond. Written
/// `<microseconds>-<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct HistoryCursor {
    /// Microseconds since the epoch.
    pub at: i64,
    /// The store's own number of the change.
    pub id: i64,
}

/// A text that is no [`HistoryCursor`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected the `next` of the page before, not {0:?}")]
pub struct CursorError(String);

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

impl From<HistoryCursor> for String {
    fn from(cursor: HistoryCursor) -> Self {
        cursor.to_string()
    }
}

impl FromStr for HistoryCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        let parts = text.split_once('-');
        let read = parts.and_then(|(at, id)| {
            Some(Self {
                at: number(at)?,
                id: number(id)?,
            })
        });
        read.ok_or_else(|| CursorError(text.into()))
    }
}

/// One page of a tenant's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// Newest first.
    pub entries: Vec<HistoryEntry>,
    /// Where to ask on from; `None` on the last page.
    pub next: Option<HistoryCursor>,
}

impl HistoryPage {
    /// What was found, newest first and one more than wanted if there is another page.
    pub(crate) fn cut(mut found: Vec<(HistoryCursor, HistoryEntry)>, limit: usize) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(cursor, _)| *cursor);
        let entries = found.into_iter().map(|(_, entry)| entry).collect();
        Self { entries, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let cursor = HistoryCursor { at: 17, id: 4 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            "17",
            "-1-4",
            "17--4",
            "17-4-1",
            "a-b",
            "17-99999999999999999999",
        ] {
            let error = text.parse::<HistoryCursor>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
