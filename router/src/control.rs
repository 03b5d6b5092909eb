//! The single writer: what the workers see of configuration, tenants and health comes from here.
//!
//! Knows no requests. Publishes snapshots, takes in reloads, and says when to stop.

mod reload;

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use health::{Monitor, MonitorStats};
use jiff::Timestamp;
use tenant_store::{cache::TenantCache, repository::Repository};
use tokio::sync::{Mutex, watch};

use self::reload::Source;
use crate::{
    config::{Config, Settings},
    credentials::Credentials,
    history::{History, Sources},
    keys::KeyRing,
    names::Names,
    proxy::route::TenantRoute,
    public_page::PublicPage,
    standing::Standing,
    telemetry::{Scrape, Telemetry, logs::LogLevel},
    tiers::Tiers,
    trends::Trends,
};

pub use reload::{ReloadError, Reloaded};

/// Where the process is in its life. Later ones compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not everything is up yet.
    Starting,
    /// Requests are wanted.
    Serving,
    /// Requests are served, but clients are asked to go elsewhere.
    Draining,
    /// No new connections; what is open may end.
    Closing,
}

/// Whether clients should be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They should.
    Ready,
    /// They should not, and why.
    NotReady(&'static str),
}

/// What is published to workers and to the admin API.
pub struct Control {
    repository: Arc<Repository>,
    tenants: Arc<TenantCache<TenantRoute>>,
    tiers: Arc<Tiers>,
    keys: Arc<KeyRing>,
    monitor: Arc<Monitor>,
    names: Names,
    standing: Arc<Standing>,
    history: Arc<History>,
    telemetry: Arc<Telemetry>,
    credentials: Arc<Credentials>,
    settings: ArcSwap<Settings>,
    trends: Arc<Trends>,
    public_page: Arc<PublicPage>,
    started: Timestamp,
    phase: watch::Sender<Phase>,
    log_level: Option<LogLevel>,
    source: Mutex<Source>,
}

/// What [`Control`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where tenants are kept.
    pub repository: Arc<Repository>,
    /// What is known of them.
    pub tenants: Arc<TenantCache<TenantRoute>>,
    /// What they inherit from.
    pub tiers: Arc<Tiers>,
    /// The API keys that requests may come with.
    pub keys: Arc<KeyRing>,
    /// Who is alive.
    pub monitor: Arc<Monitor>,
    /// Where names lead.
    pub names: Names,
    /// What is remembered of tenants' health.
    pub history: Arc<History>,
    /// The router's metrics.
    pub telemetry: Arc<Telemetry>,
    /// The certificates that a reload replaces, by address; `None` where there is none.
    pub certificates: Vec<Option<Arc<ArcSwap<rustls::ServerConfig>>>>,
    /// The admin listener's certificate, likewise; `None` if it speaks in clear.
    pub admin_certificate: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    /// The level that a reload changes; `None` where the process does not log.
    pub log_level: Option<LogLevel>,
}

impl Control {
    /// Publishes what a configuration says, and has the keys of tokens followed that it names.
    pub fn new(parts: Parts, config: Config) -> Arc<Self> {
        let credentials = Arc::new(Credentials {
            api_keys: Some(parts.keys.clone()),
            ..Credentials::default()
        });
        credentials.keyrings.follow(config.settings.key_sources());
        let settings = ArcSwap::new(config.settings.clone());
        Arc::new(Self {
            repository: parts.repository,
            standing: Standing::new(parts.tenants.clone(), parts.telemetry.clone()),
            tenants: parts.tenants,
            tiers: parts.tiers,
            keys: parts.keys,
            monitor: parts.monitor,
            names: parts.names,
            history: parts.history,
            telemetry: parts.telemetry,
            credentials,
            settings,
            trends: Arc::default(),
            public_page: Arc::default(),
            started: Timestamp::now(),
            phase: watch::Sender::new(Phase::Starting),
            log_level: parts.log_level.clone(),
            source: Mutex::new(Source::new(
                config,
                parts.certificates,
                parts.admin_certificate,
                parts.log_level,
            )),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Where tenants are kept.
    pub fn repository(&self) -> &Arc<Repository> {
        &self.repository
    }

    /// What is known of tenants.
    pub fn tenants(&self) -> &Arc<TenantCache<TenantRoute>> {
        &self.tenants
    }

    /// What tenants inherit from.
    pub fn tiers(&self) -> &Arc<Tiers> {
        &self.tiers
    }

    /// The API keys that requests may come with.
    pub fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// Who is alive.
    pub fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// Where names lead.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The router's metrics.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// How tenants are.
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// What is remembered of tenants' health.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// What history listens to.
    pub fn history_sources(&self) -> Sources {
        Sources {
            standing: self.standing.clone(),
            telemetry: self.telemetry.clone(),
            tenants: self.tenants.clone(),
        }
    }

    /// What credentials are checked by.
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// The last half hour of tenants' traffic.
    pub fn trends(&self) -> &Arc<Trends> {
        &self.trends
    }

    /// The page that anybody may see, should it be switched on.
    pub fn public_page(&self) -> &Arc<PublicPage> {
        &self.public_page
    }

    /// When this router was started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What the health monitor counts.
    pub fn probes(&self) -> MonitorStats {
        self.monitor.stats()
    }

    /// Log lines that nobody took in time.
    pub fn log_lines_dropped(&self) -> usize {
        self.log_level.as_ref().map_or(0, LogLevel::dropped)
    }

    /// Reads from the configuration in force. Waits for a reload that is under way.
    pub async fn configuration<T>(&self, read: impl FnOnce(&Config) -> T) -> T {
        read(self.source.lock().await.current())
    }

    /// All metrics as text, in pieces.
    pub fn metrics_text(&self) -> impl Iterator<Item = String> + Send + use<> {
        self.telemetry.render(&Scrape {
            tenants: self.standing.states(),
            cache: self.tenants.stats(),
            monitor: self.monitor.stats(),
            names: self.names.resolver.stats(),
            service: self.history.service(&self.tenants, &self.telemetry),
            history: self.history.stats(),
            store_faults: self.repository.store().faults(),
            log_lines_dropped: self.log_lines_dropped(),
        })
    }

    /// Reads secrets and certificates towards backends again, in the background: they are renewed
    /// in place.
    fn rebuild_routes(&self) {
        let tenants = self.tenants.clone();
        tokio::spawn(async move {
            if let Err(error) = tenants.rebuild_all().await {
                tracing::warn!(%error, "routes are built anew as their tenants are read");
            }
        });
    }

    /// Follows the life of the process.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Moves on in the life of the process; there is no way back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|current| {
            let later = phase > *current;
            *current = (*current).max(phase);
            later
        });
    }

    /// Whether clients should be sent here. Depends on no store and no backend.
    pub fn readiness(&self) -> Readiness {
        match *self.phase.borrow() {
            Phase::Starting => Readiness::NotReady("starting"),
            Phase::Serving => Readiness::Ready,
            Phase::Draining | Phase::Closing => Readiness::NotReady("shutting down"),
        }
    }

    /// Reads the configuration again and tells what [`Control::reload`] would do, which may still
    /// refuse a log level.
    ///
    /// # Errors
    /// As there.
    pub async fn rehearse_reload(&self) -> Result<Reloaded, ReloadError> {
        self.source.lock().await.rehearse()
    }

    /// Reads the configuration again and publishes what may change while running.
    ///
    /// # Errors
    /// It is faulty, or changes what only a restart can; the one before stays in force.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let outcome = self.source.lock().await.reload();
        self.telemetry.reloads.tried.inc();
        match &outcome {
            Ok((_, fresh)) => {
                if let Some(settings) = fresh {
                    // First, so that workers find the keyrings that their settings name.
                    self.credentials.keyrings.follow(settings.key_sources());
                    self.keys.set_secret(settings.key_secret.clone());
                    self.settings.store(settings.clone());
                }
                self.rebuild_routes();
                self.telemetry.reloads.succeeded();
                tracing::info!("configuration reloaded");
            }
            Err(error) => {
                self.telemetry.reloads.refused();
                tracing::error!(%error, "configuration not reloaded, the one before stays");
            }
        }
        outcome.map(|(reloaded, _)| reloaded)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("phase", &*self.phase.borrow())
            .finish_non_exhaustive()
    }
}
