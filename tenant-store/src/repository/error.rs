//! What may go wrong with a store.

use std::{error::Error, path::PathBuf};

use thiserror::Error;

use super::RecordKey;
use crate::model::{Revision, TenantId};

/// Why a store did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The record is not as the writer believed.
    #[error("{key} is {found}, not {expected}; read it again and repeat the change on that")]
    Conflict {
        /// Which one.
        key: RecordKey,
        /// How it was believed to be, in words.
        expected: String,
        /// How it is, in words.
        found: String,
        /// The revision it is at, if it is there.
        revision: Option<Revision>,
    },
    /// There is no such record.
    #[error("there is no {0}")]
    Missing(RecordKey),
    /// It breaks a rule of its own model, and would not be read back.
    #[error("{key} is not well-formed and was not stored: {source}")]
    Invalid {
        /// Which one.
        key: RecordKey,
        /// The rule it breaks.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Only what is deleted can be purged, unless the writer says otherwise.
    #[error("{key} is not deleted; delete it first, or say that it is to be purged all the same")]
    NotDeleted {
        /// Which one.
        key: RecordKey,
        /// The revision it is at.
        revision: Revision,
    },
    /// The store can't be written by this program at all.
    #[error("the {kind} store is read-only: change {place}, and the change is taken in from there")]
    ReadOnly {
        /// The store's kind.
        kind: &'static str,
        /// Where its records are written.
        place: String,
    },
    /// The store can't be reached, is locked, or refused: trying again may help.
    #[error("the {kind} store can't {action}: {source}")]
    Unavailable {
        /// The store's kind.
        kind: &'static str,
        /// What it was asked to do.
        action: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store could not be opened.
    #[error("the {kind} store {} can't be opened: {source}", path.display())]
    Open {
        /// The store's kind.
        kind: &'static str,
        /// Where it should be: a path, or a URL without its password.
        path: PathBuf,
        /// What is wrong there.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// What is stored does not read as what it should be: somebody else wrote it, or a newer
    /// Mirador.
    #[error("the stored record of {key} can't be read: {source}")]
    Corrupt {
        /// Which one, as stored.
        key: RecordKey,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl RepositoryError {
    /// The tenant that is missing, if that is what went wrong.
    pub fn missing_tenant(&self) -> Option<TenantId> {
        match self {
            Self::Missing(key) => key.as_tenant(),
            _ => None,
        }
    }
}
