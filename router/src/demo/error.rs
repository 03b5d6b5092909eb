//! What can keep the demo from going as it should.

use std::{io, process::ExitStatus, time::Duration};

use reqwest::StatusCode;
use thiserror::Error;

/// Why the demo ended otherwise than it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DemoError {
    /// Programs of the backends are missing.
    #[error("no {} in {looked}: `make demo` installs what is missing, or name their directory with --tools", .programs.join(", no "))]
    Missing {
        /// Which ones.
        programs: Vec<&'static str>,
        /// Where they were looked for.
        looked: String,
    },
    /// Something about files, processes or sockets of this machine.
    #[error("can't {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A process ended that should have stayed.
    #[error("{name} has ended ({status}){}", LastWords(.log))]
    Ended {
        /// Which one.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        log: String,
    },
    /// A command that should have succeeded did not.
    #[error("`{command}` failed ({status}){}", LastWords(.output))]
    Command {
        /// What was run.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// No whole answer came.
    #[error("no whole answer to {what}: {}", root_cause(.source))]
    Http {
        /// The request.
        what: String,
        /// What went wrong with it.
        #[source]
        source: reqwest::Error,
    },
    /// The HTTP client can't be set up.
    #[error("can't set up an HTTP client: {}", root_cause(&**.0))]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer had a status that it should not have.
    #[error("{what} answered {status}: {}", .body.trim_end())]
    Refused {
        /// The request.
        what: String,
        /// The status.
        status: StatusCode,
        /// The answer.
        body: String,
    },
    /// What was waited for did not come about.
    #[error("waited {limit:?} in vain for {what}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
    },
    /// Something is not as it should be.
    #[error("{0}")]
    Unexpected(String),
    /// Steps of the tour failed; the table tells why.
    #[error("{failed} of the tour's {steps} steps failed")]
    Tour {
        /// How many.
        failed: usize,
        /// Of how many.
        steps: usize,
    },
    /// A signal came before the tour's end.
    #[error("told to stop before the tour's end")]
    Interrupted,
}

impl DemoError {
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    pub(super) fn http(what: impl Into<String>, source: reqwest::Error) -> Self {
        Self::Http {
            what: what.into(),
            source,
        }
    }
}

/// What a process wrote, beneath what is said of it.
struct LastWords<'t>(&'t str);

impl std::fmt::Display for LastWords<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .lines()
            .try_for_each(|line| write!(f, "\n  | {line}"))
    }
}

/// The innermost error says what happened; the outer ones only that something did.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
