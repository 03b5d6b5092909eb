//! Log lines: JSON, logfmt or plain text on standard error, at a level that a reload may change.
//!
//! Written by a thread of their own from a bounded queue: a reader that is stuck costs lines, which
//! are counted, and never makes a worker wait.

use std::io;

use thiserror::Error;
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{self, MakeWriter},
    layer::{Layer, SubscriberExt},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// Changes the level of a running process.
#[derive(Debug, Clone)]
pub struct LogLevel {
    filter: reload::Handle<EnvFilter, Registry>,
    dropped: ErrorCounter,
}

/// Writes what is queued when it is dropped, so that last words are heard.
pub type LastWords = WorkerGuard;

/// Lines that wait to be written, at most; those beyond are dropped and counted. The queue is made
/// at its full length, of 32 bytes a line.
const QUEUE: usize = 16_384;

/// Why logging can't be set up or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// Not a level or filter.
    #[error("{0:?} is no log level: expected error, warn, info, debug or trace")]
    Level(String),
    /// Something in this process logs already.
    #[error("logging is set up already")]
    SetUpTwice,
}

/// Sets up logging for the process. `level` is a level, or a filter such as
/// `info,router::proxy=debug`.
///
/// # Errors
/// The level is none, or logging is set up already.
pub fn start(format: LogFormat, level: &str) -> Result<(LogLevel, LastWords), LogError> {
    let (layer, filter) = reload::Layer::new(filter(level)?);
    let (queue, last_words) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE)
        .finish(io::stderr());
    let dropped = queue.error_counter();
    tracing_subscriber::registry()
        .with(layer)
        .with(lines(format, queue))
        .try_init()
        .map_err(|_| LogError::SetUpTwice)?;
    Ok((LogLevel { filter, dropped }, last_words))
}

impl LogLevel {
    /// Lines that found the queue full.
    pub fn dropped(&self) -> usize {
        self.dropped.dropped_lines()
    }

    /// Changes the level from now on.
    ///
    /// # Errors
    /// The level is none.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        self.filter.reload(filter).map_err(|_| LogError::SetUpTwice)
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(level).map_err(|_| LogError::Level(level.to_owned()))
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(writer)
            .boxed(),
        LogFormat::Logfmt => tracing_logfmt::builder()
            .layer()
            .with_writer(writer)
            .boxed(),
        LogFormat::Text => fmt::layer().with_writer(writer).boxed(),
    }
}
