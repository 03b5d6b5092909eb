//! Why nothing could be measured.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use thiserror::Error;

use crate::http1::HttpError;

/// What went wrong, with what, and where it helps, what to do.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    /// The operating system refused something.
    #[error("can't {doing}: {source}")]
    Io { doing: String, source: io::Error },
    /// A program that is measured or needed is not installed.
    #[error("{program} was not found in {place}: {remedy}")]
    MissingTool {
        program: &'static str,
        place: String,
        remedy: &'static str,
    },
    /// A process that should run does not.
    #[error("{name} ended with {status}; the end of its output:\n{log}")]
    Ended {
        name: String,
        status: ExitStatus,
        log: String,
    },
    /// Something did not happen in time.
    #[error("waited {} s in vain for {what}", limit.as_secs())]
    TooLate { what: String, limit: Duration },
    /// A request of the benchmark's own got no usable answer.
    #[error("asking {whom}: {source}")]
    Http {
        whom: &'static str,
        source: HttpError,
    },
    /// A request of the benchmark's own was answered with a failure.
    #[error("{whom} answered {status}: {body}")]
    Refused {
        whom: &'static str,
        status: u16,
        body: String,
    },
    /// Requests under load failed, so that the figures would mean nothing.
    #[error("{failed} of {asked} requests to {whom} failed, the first one so: {first}")]
    LoadFailed {
        whom: String,
        failed: u32,
        asked: u32,
        first: String,
    },
    /// Something said what can't be understood.
    #[error("can't understand {what}: {text:?}")]
    Unexpected { what: &'static str, text: String },
    /// Results on record are of another version of this program.
    #[error(
        "{}: {source}: measure it again (`--only {scenario}`) or remove the file", file.display()
    )]
    Record {
        file: PathBuf,
        scenario: &'static str,
        source: serde_json::Error,
    },
    /// There is nothing to write a report from.
    #[error(
        "no results in {}: measure first (`make lab`, or `make lab ONLY=…` for some scenarios)",
        folder.display()
    )]
    NoRecords { folder: PathBuf },
    /// Some scenarios could not be measured; each was told of when it happened.
    #[error("not measured, for reasons told above: {scenarios}")]
    Incomplete { scenarios: String },
    /// Somebody wants us to end.
    #[error("interrupted: the scenario in progress is lost, those before it are on record")]
    Interrupted,
    /// The limit of open files is too low for the number of tenants.
    #[error(
        "{needed} open files are needed and {limit} allowed: raise the hard limit (`ulimit -Hn`)"
    )]
    TooFewFiles { needed: u64, limit: u64 },
}

impl BenchError {
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }
}
