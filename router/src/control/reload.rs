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
    admin_certificate: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    log_level: Option<LogLevel>,
}

impl Source {
    pub(super) fn new(
        current: Config,
        certificates: Vec<Option<Arc<ArcSwap<rustls::ServerConfig>>>>,
        admin_certificate: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
        log_level: Option<LogLevel>,
    ) -> Self {
        Self {
            current,
            certificates,
            admin_certificate,
            log_level,
        }
    }

    /// The configuration in force.
    pub(super) const fn current(&self) -> &Config {
        &self.current
    }

    /// Reads the configuration again, and tells what taking it in would do.
    pub(super) fn rehearse(&self) -> Result<Reloaded, ReloadError> {
        let fresh = self.read()?.config;
        Ok(self.difference(&fresh))
    }

    /// All that a reload takes in, every part of it usable.
    fn read(&self) -> Result<Fresh, ReloadError> {
        let config = self.current.read_again()?;
        let restart = self.current.restart_only_differences(&config);
        if !restart.is_empty() {
            return Err(ReloadError::NeedsRestart(restart));
        }
        let admin = config.admin_tls.as_ref().map(tls::admin_config);
        Ok(Fresh {
            certificates: certificates(&config)?,
            admin: admin.transpose()?,
            config,
        })
    }

    fn difference(&self, fresh: &Config) -> Reloaded {
        if self.current.is_same_text(fresh) {
            Reloaded::Unchanged
        } else {
            Reloaded::Changed
        }
    }

    /// Reads the configuration again. Certificates are read even if it has not changed: they are
    /// renewed in place.
    pub(super) fn reload(&mut self) -> Result<(Reloaded, Option<Arc<Settings>>), ReloadError> {
        let Fresh {
            config: fresh,
            certificates,
            admin,
        } = self.read()?;
        let reloaded = self.difference(&fresh);
        let changed = reloaded == Reloaded::Changed;
        if changed && let Some(level) = &self.log_level {
            level.set(&fresh.settings.log.level)?;
        }
        for (in_force, config) in self.certificates.iter().zip(certificates) {
            if let (Some(tls), Some(config)) = (in_force, config) {
                tls.store(config);
            }
        }
        if let (Some(tls), Some(config)) = (&self.admin_certificate, admin) {
            tls.store(config);
        }
        let settings = changed.then(|| fresh.settings.clone());
        self.current = fresh;
        Ok((reloaded, settings))
    }
}

/// What a reload takes in.
struct Fresh {
    config: Config,
    certificates: Vec<Option<Arc<rustls::ServerConfig>>>,
    admin: Option<Arc<rustls::ServerConfig>>,
}

/// The certificates of each address, in the order of the addresses.
fn certificates(fresh: &Config) -> Result<Vec<Option<Arc<rustls::ServerConfig>>>, TlsFault> {
    let read = |listener: &ListenerConfig| {
        let files = listener.tls.as_ref();
        files.map(tls::server_config).transpose()
    };
    fresh.listeners.iter().map(read).collect()
}
