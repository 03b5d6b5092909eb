//! Files that another program may be reading: whole at every moment.

use std::{fmt, fs, io::Write as _, path::Path};

use crate::cli::Failure;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    Unchanged,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Written => "written",
            Self::Unchanged => "unchanged",
        })
    }
}

/// Makes a file hold `text`. One that holds it is left alone, its time of change included.
pub(super) fn replace(path: &Path, text: &str) -> Result<Outcome, Failure> {
    if fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(Outcome::Unchanged);
    }
    let unwritable = |source| Failure::Unwritable {
        path: path.into(),
        source,
    };
    // A name of its own: two that run at the same time must not write into one file.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::File::create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.map_err(unwritable)?;
    Ok(Outcome::Written)
}
