//! `mirador.yaml` and what it becomes: every value already a type.
//!
//! Flags go before environment variables, these before the file, and that before the defaults. All
//! faults are reported at once. Nothing here is asked per request, and nothing is started.

mod build;
mod check;
mod identify;
mod notify;
mod operators;
mod overrides;
mod raw;
mod store;
mod value;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use health::{MonitorConfig, ResolverConfig};
use ipnet::IpNet;
use tenant_store::{
    cache::CacheConfig,
    document::{Document, Faults},
    model::Signal,
};

use crate::{history::HistoryConfig, keys::KeySecret};

use self::{build::Built, raw::RawConfig};
pub use self::{
    check::{CheckReport, check},
    identify::{
        Algorithm, Authentication, BaseDomain, CertificateField, CertificateRule, ClaimPath,
        Identify, KeyLocation, KeySource, PathPrefix, SourceKind, TenantPattern, TokenIssuer,
        TokenTrust,
    },
    notify::{NotableCondition, NotifySettings, ReceiverConfig, ReceiverKind, ReceiverUrl},
    operators::{
        CertificateName, Credential, Operator, OperatorIssuer, Operators, Role, TokenHash,
    },
    overrides::Overrides,
    store::StoreConfig,
    value::{LogFormat, Secret},
};

/// The whole configuration: what only a restart can change, and the [`Settings`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect: those for all signals first, then by signal.
    pub listeners: Vec<ListenerConfig>,
    /// Where the admin API is, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// With what the admin listener shows itself; without, it speaks in clear.
    pub admin_tls: Option<AdminTls>,
    /// Where audit events are written beside the store.
    pub audit_log: AuditLogConfig,
    /// Where tenants are kept.
    pub store: StoreConfig,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// How much of the tenants is held, and for how long.
    pub cache: CacheConfig,
    /// How endpoints are watched.
    pub health: MonitorConfig,
    /// How their names are looked up.
    pub dns: ResolverConfig,
    /// What is remembered of tenants' health.
    pub history: HistoryConfig,
    /// How endpoints are picked.
    pub picking: Picking,
    /// Tenants that get metrics of their own; the others share `__overflow__`.
    pub max_tenants: usize,
    /// Tenant files and directories to apply at start.
    pub tenants: Vec<PathBuf>,
    /// What a reload may change.
    pub settings: Arc<Settings>,
    source: Source,
}

/// What a reload may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How a request says for which tenant it is.
    pub identify: Identify,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How requests go to backends.
    pub upstream: UpstreamSettings,
    /// What is logged. The format can't change while the process runs.
    pub log: LogSettings,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// Who may use the admin API; without any it answers only metrics and health.
    pub operators: Operators,
    /// Whether anybody who reaches a public listener may see how all tenants are.
    pub public_page: bool,
    /// What goes into the hashes of API keys; without it none is made or taken.
    pub key_secret: Option<KeySecret>,
    /// What Argo CD's generator shows; without it, it gets nothing.
    pub argocd_token: Option<TokenHash>,
    /// Who is told of changes of tenants' health.
    pub notify: NotifySettings,
    /// Failed attempts to authenticate to the admin API that one address has per minute, at least
    /// 1.
    pub max_login_failures: u32,
}

impl Settings {
    /// Where the keys of all issuers are, whoever's tokens they sign.
    pub fn key_sources(&self) -> impl Iterator<Item = &KeySource> + Clone {
        let of_clients = self.identify.issuers.iter().map(|issuer| &issuer.trust);
        let of_operators = self.operators.issuers().iter().map(|issuer| &issuer.trust);
        of_clients.chain(of_operators).map(|trust| &trust.keys)
    }
}

/// One address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Where; port 0 for any that is free.
    pub address: SocketAddr,
    /// The one signal it serves, or all.
    pub signal: Option<Signal>,
    /// With what it shows itself; without, it speaks in clear.
    pub tls: Option<TlsFiles>,
    /// Whether each connection begins with a proxy's word on whom it speaks for.
    pub proxy_protocol: bool,
    /// What one client connection may take.
    pub limits: ListenerLimits,
}

/// A certificate chain and its key, as PEM files. Both were usable when they were checked; a reload
/// reads them anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the listener's own certificate first.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// Whose client certificates are taken; without, none is asked for.
    pub clients: Option<ClientAuthority>,
}

/// Who vouches for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthority {
    /// PEM file of the authorities.
    pub ca_file: PathBuf,
    /// Whether nobody is let in without a certificate.
    pub required: bool,
}

/// Where audit events are written, one JSON object per line, beside the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditLogConfig {
    /// Nowhere.
    None,
    /// To standard output.
    Stdout,
    /// At the end of a file, in a directory that is there.
    File(PathBuf),
}

/// The admin listener's certificate chain and key, and whom it believes about clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminTls {
    /// The chain, the listener's own certificate first.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The authorities whose client certificates are taken; without them none is asked for.
    pub client_ca_file: Option<PathBuf>,
}

/// What one client connection of a listener may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections open at one time, on all workers.
    pub max_connections: usize,
    /// Header fields in one head.
    pub max_headers: usize,
    /// Bytes in one head.
    pub max_head_bytes: usize,
    /// From a head's first byte to its last; also for TLS handshakes.
    pub head_timeout: Duration,
    /// Between an answer and the next request.
    pub idle_timeout: Duration,
    /// How long a client may leave what is written to it unread.
    pub write_timeout: Duration,
}

/// How endpoints are picked, as far as it depends on where the router is, or is the same for all.
#[derive(Debug, Clone, PartialEq)]
pub struct Picking {
    /// The failure domain that the router itself stands in.
    pub zone: Option<String>,
    /// Which part of a deployment's endpoints may be out of use, 0.0 to 1.0, before those that are
    /// ejected get requests nevertheless.
    pub max_ejected: f64,
}

impl Default for Picking {
    fn default() -> Self {
        Self {
            zone: None,
            max_ejected: 0.5,
        }
    }
}

/// How requests go to backends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpstreamSettings {
    /// For a connection, TLS included.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept; below 60 s, after which the backends close it.
    pub idle_timeout: Duration,
    /// Idle connections per endpoint and worker.
    pub max_idle_per_endpoint: usize,
    /// Idle connections per worker.
    pub max_idle: usize,
    /// Bytes of a read's body held to send it again.
    pub retry_window: usize,
    /// Silence that ends an export or import.
    pub stream_idle_timeout: Duration,
    /// How many requests may be sent again.
    pub retry: RetryPolicy,
    /// Whether and when a second endpoint is asked as well; without, none is.
    pub hedge: Option<HedgePolicy>,
}

/// Retries allowed of a deployment's requests in each window of ten seconds: `burst`, and `ratio`
/// of the requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Retries per request, 0 to 1.
    pub ratio: f64,
    /// Retries whatever the number of requests: enough for all that is in flight when an endpoint
    /// dies.
    pub burst: u32,
}

/// When a read whose answer is late is sent to a second endpoint, while the first one has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgePolicy {
    /// Never sooner, however fast the deployment is otherwise; at least 1 ms.
    pub min_delay: Duration,
    /// As long as there are too few reads to go by; at least 1 ms.
    pub initial_delay: Duration,
    /// How many reads may be sent twice while their first endpoint counts as up.
    pub budget: RetryPolicy,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// How lines are written.
    pub format: LogFormat,
    /// A level, or a filter such as `info,router::proxy=debug`.
    pub level: String,
    /// Which requests are logged.
    pub access: AccessLog,
}

/// Which share of requests is logged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccessLog {
    /// Of those that went well, 0 to 1.
    pub success: f64,
    /// Of those that did not, 0 to 1.
    pub errors: f64,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long it serves on, no longer ready, so that load balancers notice.
    pub delay: Duration,
    /// How long requests in flight may take after that.
    pub drain: Duration,
}

/// Where a configuration was read from, and what stood there.
#[derive(Clone)]
struct Source {
    path: Option<PathBuf>,
    overrides: Overrides,
    document: Document,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What stands there may be a secret.
        f.debug_struct("Source")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a configuration; without a file, from flags, variables and defaults alone.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the lines.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, Faults> {
        let (config, faults) = Self::read(path, overrides);
        match config {
            Some(config) => faults.into_result(config),
            None => Err(faults),
        }
    }

    /// Reads it again from where it came from, under the same flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read_again(&self) -> Result<Self, Faults> {
        Self::load(self.source.path.as_deref(), &self.source.overrides)
    }

    /// Whether what was read is the same, that of the token's file included. What certificate and
    /// tenant files hold is not compared.
    pub fn is_same_text(&self, other: &Self) -> bool {
        self.source.document == other.source.document
            && self.settings.operators == other.settings.operators
            && self.settings.argocd_token == other.settings.argocd_token
            && self.settings.key_secret == other.settings.key_secret
            && self.settings.notify == other.settings.notify
    }

    /// The keys that differ and take effect only by a restart. A listener's certificate may
    /// change, whether it has one may not.
    pub fn restart_only_differences(&self, other: &Self) -> Vec<String> {
        let differences = [
            ("listen.public", self.sockets(None) != other.sockets(None)),
            ("listen.metrics", self.differs_in(other, Signal::Metrics)),
            ("listen.logs", self.differs_in(other, Signal::Logs)),
            ("listen.traces", self.differs_in(other, Signal::Traces)),
            ("listen.admin", self.admin_listen != other.admin_listen),
            (
                "admin.tls",
                self.admin_tls.is_some() != other.admin_tls.is_some(),
            ),
            ("audit.log", self.audit_log != other.audit_log),
            ("store", self.store != other.store),
            ("workers", self.workers != other.workers),
            (
                "log.format",
                self.settings.log.format != other.settings.log.format,
            ),
            ("cache", self.cache != other.cache),
            ("zone", self.picking.zone != other.picking.zone),
            (
                "health",
                self.health != other.health
                    || self.picking.max_ejected.to_bits() != other.picking.max_ejected.to_bits(),
            ),
            ("dns", self.dns != other.dns),
            ("history", self.history != other.history),
            ("metrics.max_tenants", self.max_tenants != other.max_tenants),
            ("tenants", self.tenants != other.tenants),
        ];
        let differing = differences.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(key, _)| key.to_owned()).collect()
    }

    /// Reads as much as there is to be read: faults don't exclude a configuration.
    fn read(path: Option<&Path>, overrides: &Overrides) -> (Option<Self>, Faults) {
        let document = match path.map_or_else(|| Ok(Document::empty()), Document::read) {
            Ok(document) => document,
            Err(faults) => return (None, faults),
        };
        let source = Source {
            path: path.map(Into::into),
            overrides: overrides.clone(),
            document,
        };
        Self::from_source(source)
    }

    fn from_source(mut source: Source) -> (Option<Self>, Faults) {
        source.overrides.apply(&mut source.document);
        let (raw, mut report) = source.document.decode_partly::<RawConfig>();
        let built = raw.map(|raw| build::build(raw, &source.document, &mut report));
        let faults = report.into_faults();
        (built.map(|built| Self::new(built, source)), faults)
    }

    fn new(built: Built, source: Source) -> Self {
        let Built {
            listeners,
            admin_listen,
            admin_tls,
            audit_log,
            store,
            workers,
            cache,
            health,
            dns,
            history,
            picking,
            max_tenants,
            tenants,
            settings,
        } = built;
        Self {
            listeners,
            admin_listen,
            admin_tls,
            audit_log,
            store,
            workers,
            cache,
            health,
            dns,
            history,
            picking,
            max_tenants,
            tenants,
            settings: Arc::new(settings),
            source,
        }
    }

    fn differs_in(&self, other: &Self, signal: Signal) -> bool {
        self.sockets(Some(signal)) != other.sockets(Some(signal))
    }

    /// What of the listeners of `signal` only a restart can change.
    fn sockets(&self, signal: Option<Signal>) -> Vec<(SocketAddr, bool, bool, ListenerLimits)> {
        let listeners = self
            .listeners
            .iter()
            .filter(|listener| listener.signal == signal);
        listeners
            .map(|listener| {
                let tls = listener.tls.is_some();
                (
                    listener.address,
                    tls,
                    listener.proxy_protocol,
                    listener.limits,
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
