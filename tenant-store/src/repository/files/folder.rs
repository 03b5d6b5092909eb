//! Looking into the folder: which files there are, which of them are not as they were, and what
//! these say. Blocks.

use std::{
    collections::BTreeMap,
    error::Error,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use crate::{
    document::{self, Document, Faults},
    repository::{Kept, Kind, RecordKey, RecordStatus},
};

/// Where tiers stand, below the folder of tenants.
const TIERS: &str = "tiers";

/// What a `ConfigMap` or a Secret calls the link it swaps.
const SWAPPED: &str = "..data";

/// How often to begin again when the folder is swapped under our feet.
const ATTEMPTS: usize = 3;

/// A file changed within this before it was read may have been changed again at what looks like the
/// same time: it is read once more.
const COARSE: Duration = Duration::from_secs(2);

/// By what a file is known to be as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// In nanoseconds, as `changed`.
    modified: i128,
    /// When it was last changed in any way, by the system's clock.
    changed: i128,
}

/// What was found of one file.
#[derive(Debug)]
pub(super) enum Found {
    /// It is as it was.
    Same,
    /// It was read.
    Read {
        /// As what it may be passed over the next time; `None` if it can't be told.
        stamp: Option<Stamp>,
        /// What it says.
        says: Result<Vec<Written>, Faults>,
    },
}

/// One thing that a file describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) key: RecordKey,
    pub(super) status: RecordStatus,
    /// A JSON object.
    pub(super) document: String,
    /// When the file was last changed.
    pub(super) at: Timestamp,
}

/// Each file by its name, as operators know it.
pub(super) type Looked = BTreeMap<PathBuf, Found>;

type Failure = Box<dyn Error + Send + Sync>;

/// Looks at all files, and reads those that are not as in `known`.
///
/// All of them are those of one moment where a link is swapped to deliver them: they are read where
/// it led at the beginning, and all again if it leads elsewhere at the end.
pub(super) fn look(folder: &Path, known: &BTreeMap<PathBuf, Stamp>) -> Result<Looked, Failure> {
    for _ in 1..ATTEMPTS {
        let pinned = pin(folder)?;
        let looked = look_once(folder, known)?;
        if pin(folder)? == pinned {
            return Ok(looked);
        }
    }
    look_once(folder, known)
}

fn look_once(folder: &Path, known: &BTreeMap<PathBuf, Stamp>) -> Result<Looked, Failure> {
    let mut looked = look_into(folder, Kind::Tenant, known)?;
    let tiers = folder.join(TIERS);
    if tiers.is_dir() {
        looked.extend(look_into(&tiers, Kind::Tier, known)?);
    }
    Ok(looked)
}

fn look_into(
    folder: &Path,
    kind: Kind,
    known: &BTreeMap<PathBuf, Stamp>,
) -> Result<Looked, Failure> {
    let mut looked = BTreeMap::new();
    let pinned = pin(folder)?;
    let entries = fs::read_dir(&pinned).map_err(|error| unreadable(&error))?;
    for entry in entries {
        let real = entry.map_err(|error| unreadable(&error))?.path();
        let Some(name) = real
            .file_name()
            .filter(|_| document::has_tenant_name(&real))
        else {
            continue;
        };
        let name = folder.join(name);
        match fs::metadata(&real) {
            Ok(metadata) if metadata.is_file() => {
                let found = look_at(&real, &name, &metadata, kind, known.get(&name));
                looked.insert(name, found);
            }
            Ok(_) => {}
            Err(error) => {
                let message = format!("can't be read: {error}");
                let says = Err(document::Fault::new(Some(name.clone()), message).into());
                looked.insert(name, Found::Read { stamp: None, says });
            }
        }
    }
    Ok(looked)
}

fn look_at(
    real: &Path,
    name: &Path,
    metadata: &fs::Metadata,
    kind: Kind,
    known: Option<&Stamp>,
) -> Found {
    let stamp = Stamp::of(metadata);
    if known == Some(&stamp) {
        return Found::Same;
    }
    let at = modified(metadata);
    let text = document::read_text(real, name);
    let says = text.and_then(|text| match kind {
        Kind::Tier => tiers(name, &text, at),
        Kind::Tenant | Kind::Key => tenants(name, &text, at),
    });
    let stamp = stamp.is_settled().then_some(stamp);
    Found::Read { stamp, says }
}

fn tenants(name: &Path, text: &str, at: Timestamp) -> Result<Vec<Written>, Faults> {
    let sources = document::tenants_of(name, text)?;
    let written = sources.iter().map(|source| written(&source.tenant, at));
    written.collect()
}

fn tiers(name: &Path, text: &str, at: Timestamp) -> Result<Vec<Written>, Faults> {
    let documents = Document::documents(Some(name), text)?;
    let mut faults = Faults::default();
    let mut tiers = Vec::new();
    for document in documents {
        let tier = faults.absorb(document.decode::<crate::model::TierDefinition>());
        tiers.extend(tier.and_then(|tier| faults.absorb(written(&tier, at))));
    }
    faults.into_result(tiers)
}

fn written<T: Kept>(value: &T, at: Timestamp) -> Result<Written, Faults> {
    // Not `to_string`: the order of the fields is that of every other store.
    let document = serde_json::to_value(value).map_err(|error| {
        let message = format!("{} {} can't be kept: {error}", T::KIND, value.id());
        document::Fault::new(None, message)
    })?;
    Ok(Written {
        key: RecordKey::new(T::KIND, value.id()),
        status: value.status(),
        document: document.to_string(),
        at,
    })
}

/// Where the folder's files really are at this moment.
fn pin(folder: &Path) -> Result<PathBuf, Failure> {
    let swapped = fs::canonicalize(folder.join(SWAPPED));
    let pinned = swapped.or_else(|_| fs::canonicalize(folder));
    pinned.map_err(|error| unreadable(&error))
}

fn unreadable(error: &io::Error) -> Failure {
    format!("can't be read: {error}").into()
}

/// As exact as every store keeps times: in microseconds.
fn modified(metadata: &fs::Metadata) -> Timestamp {
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|at| Timestamp::try_from(at).ok());
    let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH);
    Timestamp::from_microsecond(modified.as_microsecond()).unwrap_or(modified)
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it was changed so long ago that another change would be seen in the stamp. The
    /// clocks of network file systems may go ahead of ours.
    fn is_settled(self) -> bool {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_nanos());
        let coarse = COARSE.as_nanos();
        i128::try_from(now - coarse.min(now)).is_ok_and(|then| self.changed < then)
    }
}
