//! What is known of the folder, and what another look at it changes: the rules that keep what is
//! known when files are faulty, as pure functions of what was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    ops::Bound,
    path::{Path, PathBuf},
};

use super::folder::{Found, Looked, Stamp, Written};
use crate::{
    model::Revision,
    repository::{
        BATCH_MAX, ChangeCursor, Changes, Record, RecordKey, RecordPage, RecordQuery, RecordStatus,
        StoreFault,
    },
};

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Holding {
    files: BTreeMap<PathBuf, File>,
    rows: BTreeMap<RecordKey, Row>,
    /// Each record by the position of its last change.
    by_change: BTreeMap<u64, RecordKey>,
    position: u64,
    /// Why the folder could not be read at the last look.
    unreadable: Option<String>,
    faults: Vec<StoreFault>,
}

#[derive(Debug, Default)]
struct File {
    /// As what it need not be read again.
    stamp: Option<Stamp>,
    /// What it said when it was last in order.
    good: Option<Vec<Written>>,
    /// What is wrong with it now.
    fault: Option<String>,
}

#[derive(Debug)]
struct Row {
    record: Record,
    /// Where it stands.
    file: PathBuf,
    /// The position of its last change.
    changed_at: u64,
    /// It was nowhere at the last look.
    missed: bool,
}

impl Row {
    fn says(&self, written: &Written) -> bool {
        self.record.status == written.status && self.record.document == written.document
    }
}

impl Holding {
    /// As what files need not be read again.
    pub(super) fn stamps(&self) -> BTreeMap<PathBuf, Stamp> {
        let stamps = self.files.iter();
        stamps
            .filter_map(|(name, file)| Some((name.clone(), file.stamp?)))
            .collect()
    }

    /// Takes in what was found. True if who waits for changes has reason to look.
    pub(super) fn take_in(
        &mut self,
        folder: &Path,
        looked: Result<Looked, Box<dyn Error + Send + Sync>>,
    ) -> bool {
        let before = (self.position, self.unreadable.is_some());
        let mut faults = Vec::new();
        match looked {
            Ok(looked) => {
                let was_readable = self.unreadable.take().is_none();
                let is_empty = looked.is_empty();
                let settled = !self.read(looked) && !self.rows.values().any(|row| row.missed);
                if settled && was_readable {
                    return false;
                }
                self.compare(&mut faults, is_empty);
                let known = self
                    .rows
                    .values()
                    .filter(|row| row.record.status.is_alive());
                let known = known.count();
                if is_empty && known > 0 {
                    let message = format!(
                        "there is no file in it any more; the {known} records known are kept"
                    );
                    faults.push(StoreFault::new(folder, message));
                }
            }
            Err(error) => {
                let reason = error.to_string();
                faults.push(StoreFault::new(folder, reason.clone()));
                self.unreadable = Some(reason);
                // What is wrong with files is not known to have changed.
                faults.extend(self.faults.drain(..).filter(|fault| fault.place != folder));
            }
        }
        self.tell(faults);
        before != (self.position, self.unreadable.is_some())
    }

    /// Why the folder could not be read at the last look, if that is so.
    pub(super) fn unreadable(&self) -> Option<String> {
        self.unreadable.clone()
    }

    pub(super) fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.rows.get(key).map(|row| &row.record)
    }

    pub(super) fn page(&self, query: &RecordQuery) -> RecordPage {
        let limit = query.bounded_limit();
        let after = query.after.as_deref().unwrap_or_default();
        let from = Bound::Excluded(RecordKey::new(query.kind, after));
        let records = self.rows.range((from, Bound::Unbounded));
        let records = records
            .map(|(_, row)| &row.record)
            .take_while(|record| record.key.kind == query.kind)
            .filter(|record| query.means(record))
            .take(limit + 1)
            .cloned()
            .collect();
        RecordPage::cut(records, limit)
    }

    pub(super) fn position(&self) -> ChangeCursor {
        ChangeCursor(self.position)
    }

    pub(super) fn changes(&self, after: ChangeCursor) -> Changes {
        let later = (Bound::Excluded(after.0), Bound::Unbounded);
        let changed = self.by_change.range(later).take(BATCH_MAX.into());
        let mut next = after;
        let mut keys = Vec::new();
        for (position, key) in changed {
            next = ChangeCursor(*position);
            keys.push(key.clone());
        }
        Changes { keys, next }
    }

    pub(super) fn faults(&self) -> &[StoreFault] {
        &self.faults
    }

    /// What each file says now; of a faulty one, what it said when it was last in order. True if
    /// any was read, or is gone.
    fn read(&mut self, looked: Looked) -> bool {
        let before = self.files.len();
        self.files.retain(|name, _| looked.contains_key(name));
        let mut news = self.files.len() != before;
        for (name, found) in looked {
            let file = self.files.entry(name).or_default();
            let Found::Read { stamp, says } = found else {
                continue;
            };
            news = true;
            file.stamp = stamp;
            match says {
                Ok(good) => {
                    file.good = Some(good);
                    file.fault = None;
                }
                Err(faults) => file.fault = Some(faults.to_string()),
            }
        }
        news
    }

    /// Brings the records to what the files say.
    fn compare(&mut self, faults: &mut Vec<StoreFault>, is_empty: bool) {
        let described = self.described(faults);
        let other: Vec<(PathBuf, Written)> = described
            .values()
            .filter(|(file, written)| !self.holds(file, written))
            .map(|(file, written)| (file.to_path_buf(), (*written).clone()))
            .collect();
        let missing: Vec<RecordKey> = self
            .rows
            .iter()
            .filter(|(key, row)| row.record.status.is_alive() && !described.contains_key(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for (file, written) in other {
            self.put(file, &written);
        }
        // A file that never was in order may be where a tenant has moved to.
        let unknown = self.files.values().any(|file| file.good.is_none());
        for key in missing {
            let Some(row) = self.rows.get_mut(&key) else {
                continue;
            };
            // At the first look it may just be on its way from one file to another.
            if std::mem::replace(&mut row.missed, true) && !unknown && !is_empty {
                self.bury(&key);
            }
        }
    }

    /// What is described, and in which file. Of two files that describe the same, the one counts
    /// that did before, or else the first by name.
    fn described(&self, faults: &mut Vec<StoreFault>) -> BTreeMap<&RecordKey, (&Path, &Written)> {
        let mut described: BTreeMap<&RecordKey, (&Path, &Written)> = BTreeMap::new();
        for (name, file) in &self.files {
            if let Some(fault) = &file.fault {
                faults.push(StoreFault::new(name, fault.clone()));
            }
            for written in file.good.iter().flatten() {
                let key = &written.key;
                let name = name.as_path();
                let Some(&(other, _)) = described.get(key) else {
                    described.insert(key, (name, written));
                    continue;
                };
                let incumbent = self.rows.get(key).map(|row| row.file.as_path());
                let (used, passed_over) = if incumbent == Some(name) {
                    described.insert(key, (name, written));
                    (name, other)
                } else {
                    (other, name)
                };
                let used = used.display();
                let message = format!("{key} stands in {used} already, and is taken from there");
                faults.push(StoreFault::new(passed_over, message));
            }
        }
        described
    }

    fn holds(&self, file: &Path, written: &Written) -> bool {
        let row = self.rows.get(&written.key);
        row.is_some_and(|row| !row.missed && row.file == file && row.says(written))
    }

    fn put(&mut self, file: PathBuf, written: &Written) {
        if let Some(row) = self.rows.get_mut(&written.key)
            && row.says(written)
        {
            row.missed = false;
            row.file = file;
            return;
        }
        let held = self.rows.get(&written.key).map(|row| &row.record);
        let alive = held.filter(|held| held.status.is_alive());
        let record = Record {
            key: written.key.clone(),
            revision: revision(held, written),
            status: written.status,
            document: written.document.clone(),
            created_at: alive.map_or(written.at, |held| held.created_at),
            updated_at: alive.map_or(written.at, |held| held.updated_at.max(written.at)),
            used_at: None,
        };
        self.hold(record, file);
    }

    fn bury(&mut self, key: &RecordKey) {
        let Some(row) = self.rows.get(key) else {
            return;
        };
        let record = Record {
            revision: Revision(row.record.revision.0 + 1),
            status: RecordStatus::Deleted,
            ..row.record.clone()
        };
        let file = row.file.clone();
        self.hold(record, file);
    }

    fn hold(&mut self, record: Record, file: PathBuf) {
        self.position += 1;
        let key = record.key.clone();
        let row = Row {
            record,
            file,
            changed_at: self.position,
            missed: false,
        };
        if let Some(before) = self.rows.insert(key.clone(), row) {
            self.by_change.remove(&before.changed_at);
        }
        self.by_change.insert(self.position, key);
    }

    /// Logs what is wrong that was not, and what no longer is.
    fn tell(&mut self, faults: Vec<StoreFault>) {
        for fault in faults.iter().filter(|fault| !self.faults.contains(fault)) {
            let place = fault.place.display();
            tracing::warn!(file = %place, fault = fault.message, "a file of the store can't be used");
        }
        let places = |faults: &[StoreFault]| -> BTreeSet<PathBuf> {
            faults.iter().map(|fault| fault.place.clone()).collect()
        };
        for place in places(&self.faults).difference(&places(&faults)) {
            tracing::info!(file = %place.display(), "a file of the store is in order again, or gone");
        }
        self.faults = faults;
    }
}

/// When the file was changed, in milliseconds, and in any case later than before.
fn revision(held: Option<&Record>, written: &Written) -> Revision {
    let at = u64::try_from(written.at.as_millisecond()).unwrap_or(0);
    let least = held.map_or(1, |held| held.revision.0 + 1);
    Revision(at.max(least))
}

#[cfg(test)]
mod tests;
