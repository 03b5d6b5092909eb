//! What is known of the folder, and what another look at it changes: the rules that keep what is
//! known when files are faulty, as pure functions of what was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::{Path, PathBuf},
};

use super::folder::{Found, Looked, Stamp, Written};
use crate::{
    model::Revision,
    repository::{Record, RecordKey, RecordStatus, StoreFault, mirror::Mirror},
};

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Holding {
    files: BTreeMap<PathBuf, File>,
    mirror: Mirror,
    /// Where each record stands that was ever there.
    places: BTreeMap<RecordKey, Place>,
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
struct Place {
    file: PathBuf,
    /// It was nowhere at the last look.
    missed: bool,
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
        let before = (self.mirror.position(), self.unreadable.is_some());
        let mut faults = Vec::new();
        match looked {
            Ok(looked) => {
                let was_readable = self.unreadable.take().is_none();
                let is_empty = looked.is_empty();
                let settled = !self.read(looked) && !self.places.values().any(|place| place.missed);
                if settled && was_readable {
                    return false;
                }
                self.compare(&mut faults, is_empty);
                let records = self.mirror.records();
                let known = records.filter(|record| record.status.is_alive()).count();
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
        before != (self.mirror.position(), self.unreadable.is_some())
    }

    /// Why the folder could not be read at the last look, if that is so.
    pub(super) fn unreadable(&self) -> Option<String> {
        self.unreadable.clone()
    }

    /// What is known.
    pub(super) fn mirror(&self) -> &Mirror {
        &self.mirror
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
            .mirror
            .records()
            .filter(|record| record.status.is_alive() && !described.contains_key(&record.key))
            .map(|record| record.key.clone())
            .collect();
        for (file, written) in other {
            self.put(file, &written);
        }
        // A file that never was in order may be where a tenant has moved to.
        let unknown = self.files.values().any(|file| file.good.is_none());
        for key in missing {
            let Some(place) = self.places.get_mut(&key) else {
                continue;
            };
            // At the first look it may just be on its way from one file to another.
            if std::mem::replace(&mut place.missed, true) && !unknown && !is_empty {
                place.missed = false;
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
                let incumbent = self.places.get(key).map(|place| place.file.as_path());
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
        let place = self.places.get(&written.key);
        place.is_some_and(|place| !place.missed && place.file == file) && self.says(written)
    }

    fn says(&self, written: &Written) -> bool {
        let held = self.mirror.record(&written.key);
        held.is_some_and(|held| held.status == written.status && held.document == written.document)
    }

    fn put(&mut self, file: PathBuf, written: &Written) {
        let place = Place {
            file,
            missed: false,
        };
        self.places.insert(written.key.clone(), place);
        if self.says(written) {
            return;
        }
        let held = self.mirror.record(&written.key);
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
        self.mirror.change(record);
    }

    fn bury(&mut self, key: &RecordKey) {
        let Some(held) = self.mirror.record(key) else {
            return;
        };
        let tombstone = Record {
            revision: Revision(held.revision.0 + 1),
            status: RecordStatus::Deleted,
            ..held.clone()
        };
        self.mirror.change(tombstone);
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
