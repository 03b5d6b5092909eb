//! The database's file on disk: created private, and watched for being replaced.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::repository::RepositoryError;

/// The file that was opened, known by more than its name.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

/// The name leads elsewhere now: `SQLite` would go on writing to a file that nobody can find.
#[derive(Debug, Error)]
enum Displaced {
    #[error("{0} was replaced by another file while it was open; restart to use that one")]
    Replaced(PathBuf),
    #[error("{path} is gone ({source}); put it back and restart, or restart with a new one")]
    Gone { path: PathBuf, source: io::Error },
}

impl DatabaseFile {
    /// Makes an empty file, for this user alone, unless there is one. (`SQLite` gives the files it
    /// puts beside it the same mode.)
    pub(super) fn create_or_find(path: &Path) -> io::Result<Self> {
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match created {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let path = path.to_owned();
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }

    /// Fails unless the name still leads to the file that is open. A `stat` of a local file, so
    /// quick that handing it to another thread would take longer.
    pub(super) fn check(&self, action: &'static str) -> Result<(), RepositoryError> {
        let displaced = match identity(&self.path) {
            Ok(identity) if identity == self.identity => return Ok(()),
            Ok(_) => Displaced::Replaced(self.path.clone()),
            Err(source) => Displaced::Gone {
                path: self.path.clone(),
                source,
            },
        };
        Err(RepositoryError::Unavailable {
            kind: super::KIND,
            action,
            source: displaced.into(),
        })
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
