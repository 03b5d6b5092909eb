//! The records of a store that tells of no changes itself, as they were when they were last looked
//! at, in memory: what is asked in order, and what changed since, is answered from here.
//!
//! Positions count the changes that were noticed, from 0 when the process begins. A record is named
//! once for all its changes that a reader has not seen, and never forgotten, so that no change is
//! missed however late somebody asks.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use jiff::Timestamp;

use super::{BATCH_MAX, ChangeCursor, Changes, Record, RecordKey, RecordPage, RecordQuery};

/// Records, and the order in which they were noticed to change.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    rows: BTreeMap<RecordKey, Row>,
    by_change: BTreeMap<u64, RecordKey>,
    position: u64,
}

#[derive(Debug)]
struct Row {
    record: Record,
    /// The position of its last change.
    changed_at: u64,
}

impl Mirror {
    /// A record, whatever its status.
    pub(super) fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.rows.get(key).map(|row| &row.record)
    }

    /// All records, in the order of their keys.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.rows.values().map(|row| &row.record)
    }

    /// Notes a record that is other than before.
    pub(super) fn change(&mut self, record: Record) {
        self.position += 1;
        let key = record.key.clone();
        let row = Row {
            record,
            changed_at: self.position,
        };
        if let Some(before) = self.rows.insert(key.clone(), row) {
            self.by_change.remove(&before.changed_at);
        }
        self.by_change.insert(self.position, key);
    }

    /// Notes when a record was last used, if that is later than what is noted: no change.
    pub(super) fn note_use(&mut self, key: &RecordKey, used_at: Timestamp) {
        if let Some(Row { record, .. }) = self.rows.get_mut(key) {
            record.used_at = record.used_at.max(Some(used_at));
        }
    }

    /// One page of the records that are asked for.
    pub(super) fn page(&self, query: &RecordQuery) -> RecordPage {
        let limit = query.bounded_limit();
        let after = query.after.as_deref().unwrap_or_default();
        let from = Excluded(RecordKey::new(query.kind, after));
        let rows = self.rows.range((from, Unbounded));
        let records = rows
            .map(|(_, row)| &row.record)
            .take_while(|record| record.key.kind == query.kind)
            .filter(|record| query.means(record))
            .take(limit + 1)
            .cloned()
            .collect();
        RecordPage::cut(records, limit)
    }

    /// The position after the newest change.
    pub(super) fn position(&self) -> ChangeCursor {
        ChangeCursor(self.position)
    }

    /// The changes after a position, at most a batch.
    pub(super) fn changes(&self, after: ChangeCursor) -> Changes {
        let later = self.by_change.range((Excluded(after.0), Unbounded));
        let mut next = after;
        let mut keys = Vec::new();
        for (position, key) in later.take(BATCH_MAX.into()) {
            next = ChangeCursor(*position);
            keys.push(key.clone());
        }
        Changes { keys, next }
    }
}
