//! Taking in a changed configuration: all of it or nothing.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tenant_store::document::Faults;
use thiserror::Error;

use crate::{
    config::{Config, ListenerConfig, Settings},
    telemetry::logs::{LogError, LogLevel},
    tls::{self, TlsFault},
};

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// Something is different now.
    Changed,
    /// Nothing was different.
    Unchanged,
}

/// Why a configuration was not taken in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It has faults.
    #[error("the configuration has faults:\n{0}")]
    Faulty(#[from] Faults),
    /// It changes what only a restart can.
    #[error("these need a restart: {}", .0.join(", "))]
    NeedsRestart(Vec<String>),
    /// A certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The log level is none.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Where the configuration comes from, and what it was when it was last good.
#[derive(Debug)]
pub(super) struct Source {
    current: Config,
    certificates: Vec<Option<Arc<ArcSwap<rustls::ServerConfig>>>>,
    log_level: Option<LogLevel>,
}

impl Source {
    pub(super) fn new(
        current: Config,
        certificates: Vec<Option<Arc<ArcSwap<rustls::ServerConfig>>>>,
        log_level: Option<LogLevel>,
    ) -> Self {
        Self {
            current,
            certificates,
            log_level,
        }
    }

    /// Reads the configuration again. Certificates are read even if it has not changed: they are
    /// renewed in place.
    pub(super) fn reload(&mut self) -> Result<(Reloaded, Option<Arc<Settings>>), ReloadError> {
        let fresh = self.current.read_again()?;
        let restart = self.current.restart_only_differences(&fresh);
        if !restart.is_empty() {
            return Err(ReloadError::NeedsRestart(restart));
        }
        let certificates = certificates(&fresh)?;
        let changed = !self.current.is_same_text(&fresh);
        if changed && let Some(level) = &self.log_level {
            level.set(&fresh.settings.log.level)?;
        }
        for (in_force, config) in self.certificates.iter().zip(certificates) {
            if let (Some(tls), Some(config)) = (in_force, config) {
                tls.store(config);
            }
        }
        let settings = changed.then(|| fresh.settings.clone());
        self.current = fresh;
        Ok((
            if changed {
                Reloaded::Changed
            } else {
                Reloaded::Unchanged
            },
            settings,
        ))
    }
}

/// The certificates of each address, in the order of the addresses.
fn certificates(fresh: &Config) -> Result<Vec<Option<Arc<rustls::ServerConfig>>>, TlsFault> {
    let read = |listener: &ListenerConfig| {
        let files = listener.tls.as_ref();
        files.map(tls::server_config).transpose()
    };
    fresh.listeners.iter().map(read).collect()
}
