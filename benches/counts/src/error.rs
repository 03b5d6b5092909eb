//! Why nothing could be counted.

use std::{io, process::ExitStatus, time::Duration};

use thiserror::Error;

/// What went wrong, with what, and where it helps, what to do.
#[derive(Debug, Error)]
pub(crate) enum CountError {
    /// The operating system refused something.
    #[error("can't {doing}: {source}")]
    Io { doing: String, source: io::Error },
    /// A program that is measured or needed is not installed.
    #[error("{program} was not found: {remedy}")]
    MissingTool {
        program: String,
        remedy: &'static str,
    },
    /// A process that should run does not, or one that should succeed did not.
    #[error("{name} ended with {status}; the end of its output:\n{log}")]
    Ended {
        name: &'static str,
        status: ExitStatus,
        log: String,
    },
    /// Something did not happen in time.
    #[error("waited {} s in vain for {what}", limit.as_secs())]
    TooLate { what: &'static str, limit: Duration },
    /// A request got no answer.
    #[error("request {number} of {scenario} got no answer: {source}")]
    Unanswered {
        scenario: String,
        number: u32,
        source: hyper::Error,
    },
    /// A request got an answer that the upstream did not give, so that the counts would be of
    /// something else.
    #[error("request {number} of {scenario} was answered {status} with {bytes} bytes")]
    Answered {
        scenario: String,
        number: u32,
        status: u16,
        bytes: usize,
    },
    /// Something said what can't be understood.
    #[error("can't understand {what}: {text:?}")]
    Unexpected { what: &'static str, text: String },
    /// The baseline can't be read.
    #[error("can't read {file}: {source}; write it anew with --accept")]
    Baseline {
        file: String,
        source: serde_json::Error,
    },
}

impl CountError {
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }
}
