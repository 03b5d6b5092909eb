//! Log lines: JSON, logfmt or plain text on standard error, at a level that a reload may change.

use std::io;

use thiserror::Error;
use tracing::Subscriber;
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
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

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
pub fn start(format: LogFormat, level: &str) -> Result<LogLevel, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines(format, io::stderr))
        .try_init()
        .map_err(|_| LogError::SetUpTwice)?;
    Ok(LogLevel(handle))
}

impl LogLevel {
    /// Changes the level from now on.
    ///
    /// # Errors
    /// The level is none.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        self.0.reload(filter).map_err(|_| LogError::SetUpTwice)
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
