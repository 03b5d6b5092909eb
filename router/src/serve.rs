//! `mirador serve`: puts the parts together, runs them, and takes them down in order.

use std::{convert::Infallible, io, sync::Arc, thread, time::Duration};

use arc_swap::ArcSwap;
use health::{Monitor, Resolver};
use tenant_store::{
    cache::TenantCache,
    document::{self, Faults},
    model::rules,
    repository::{Author, Expect, Repository, RepositoryError, TenantRepository},
};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    admin,
    audit_log::AuditLog,
    config::{Config, ListenerConfig},
    control::{Control, Parts, Phase},
    history::History,
    keys::KeyRing,
    listener::{Address, BindError, Listener, bind},
    names::Names,
    notify,
    proxy::route::{RouteBuilder, RouteFault, TenantRoute},
    store,
    telemetry::{
        Telemetry,
        logs::{self, LogError},
    },
    tiers::Tiers,
    tls::{self, TlsFault},
    worker,
};

/// Why the router can't run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address can't be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin address can't be listened on.
    #[error("can't listen on the admin address {address}: {source}")]
    BindAdmin {
        /// Which.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store can't be opened, or not be written at start.
    #[error(transparent)]
    Store(#[from] RepositoryError),
    /// Tenant files named in the configuration have faults.
    #[error("tenant files have faults:\n{0}")]
    Tenants(#[from] Faults),
    /// A certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// Probes can't be set up.
    #[error(transparent)]
    Routes(#[from] RouteFault),
    /// Logging can't be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Metrics can't be registered.
    #[error("can't register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Threads or signal handlers can't be set up.
    #[error("can't set up the process: {0}")]
    Process(#[from] io::Error),
}

/// How long the store is waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the router until SIGTERM or SIGINT. `ready` is called once requests are wanted, with a
/// line that says where.
///
/// # Errors
/// Something can't be set up; nothing is left running.
pub async fn serve(config: Config, ready: impl FnOnce(&str)) -> Result<(), ServeError> {
    // Before anything else, so that an early SIGHUP does not end the process.
    let mut signals = Signals::register()?;
    tls::install_crypto();
    let (log_level, _last_words) =
        logs::start(config.settings.log.format, &config.settings.log.level)?;
    let addresses = addresses(&config)?;
    let per_worker = bind_all(&addresses, config.workers)?;
    let admin = bind_admin(&config).await?;
    let admin_certificate = match &config.admin_tls {
        Some(tls) => Some(Arc::new(ArcSwap::new(tls::admin_config(tls)?))),
        None => None,
    };

    let repository = Arc::new(store::open(&config.store).await?);
    let history = History::open(config.history.clone(), &repository).await?;
    apply_files(&config, &repository).await?;
    let telemetry = Telemetry::new(config.max_tenants)?;
    let monitor = Monitor::new(config.health);
    let (tiers, keys) = tiers_and_keys(&config, &repository).await;
    let names = names(&config, &telemetry, &monitor, &tiers)?;
    let tenants = tenant_cache(&config, &repository, &names);
    let parts = Parts {
        repository,
        tenants,
        tiers,
        keys,
        monitor,
        names,
        history,
        telemetry,
        certificates: addresses
            .iter()
            .map(|address| address.tls.clone())
            .collect(),
        admin_certificate: admin_certificate.clone(),
        log_level: Some(log_level),
    };
    let one_worker = per_worker.first().map_or(&[][..], Vec::as_slice);
    let announcement = announcement(one_worker, admin.as_ref())?;
    let audit_log = AuditLog::open(&config.audit_log);
    let control = Control::new(parts, config);

    let mut background = in_the_background(&control);
    if let Some(admin) = admin {
        background.push(tokio::spawn(run_admin(
            admin,
            admin_certificate,
            control.clone(),
        )));
    }
    if let Some(log) = audit_log {
        let repository = control.repository().clone();
        background.push(tokio::spawn(log.follow(repository)));
    }
    let workers = start_workers(&control, per_worker)?;
    control.enter(Phase::Serving);
    ready(&announcement);
    signals.wait_for_the_end(&control).await;
    tokio::select! {
        () = shut_down(&control, workers) => {}
        () = signals.ask_again() => tracing::warn!("asked twice to end: not waiting any longer"),
    }
    for task in background {
        task.abort();
    }
    last_words(&control).await;
    Ok(())
}

/// What goes on beside the workers for as long as the process lives.
fn in_the_background(control: &Arc<Control>) -> Vec<JoinHandle<()>> {
    let tenants = control.tenants();
    let (standing, monitor) = (control.standing(), control.monitor());
    let names = control.names().clone();
    vec![
        tokio::spawn(standing.clone().follow(monitor.clone())),
        tokio::spawn(monitor.clone().run()),
        tokio::spawn(names.resolver.clone().run()),
        tokio::spawn(names.follow(tenants.clone())),
        tokio::spawn(warm_and_follow(tenants.clone())),
        tokio::spawn(control.tiers().clone().follow(tenants.clone())),
        tokio::spawn(control.keys().clone().follow()),
        tokio::spawn(control.history().clone().run(control.history_sources())),
        tokio::spawn(control.trends().clone().follow(control.telemetry().clone())),
        tokio::spawn(control.public_page().clone().follow(standing.clone())),
        tokio::spawn(notify::run(control.clone())),
    ]
}

/// Writes what would be late by a minute otherwise, or lost. Not worth waiting for a store that is
/// gone.
async fn last_words(control: &Control) {
    let _ = timeout(LAST_WORDS, control.keys().note_uses()).await;
    let sources = control.history_sources();
    match timeout(LAST_WORDS, control.history().finish(&sources)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the last minute is not remembered"),
        Err(_elapsed) => {
            tracing::warn!("the store took too long: the last minute is not remembered");
        }
    }
}

fn addresses(config: &Config) -> Result<Vec<Arc<Address>>, TlsFault> {
    let address = |listener: &ListenerConfig| {
        let tls = match &listener.tls {
            Some(files) => Some(Arc::new(ArcSwap::new(tls::server_config(files)?))),
            None => None,
        };
        Ok(Arc::new(Address::new(
            listener.address,
            listener.signal,
            tls,
            listener.proxy_protocol,
            listener.limits,
        )))
    };
    config.listeners.iter().map(address).collect()
}

/// One socket on each address for each worker.
fn bind_all(addresses: &[Arc<Address>], workers: usize) -> Result<Vec<Vec<Listener>>, BindError> {
    let mut per_worker: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    for address in addresses {
        for (listeners, listener) in per_worker.iter_mut().zip(bind(address, workers)?) {
            listeners.push(listener);
        }
    }
    Ok(per_worker)
}

async fn bind_admin(config: &Config) -> Result<Option<TcpListener>, ServeError> {
    let Some(address) = config.admin_listen else {
        return Ok(None);
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(ServeError::BindAdmin { address, source }),
    }
}

/// Writes the tenants of the files named in the configuration, where they differ.
async fn apply_files(config: &Config, repository: &Repository) -> Result<(), ServeError> {
    let author = Author {
        name: "tenants in the configuration".into(),
        origin: String::new(),
        request_id: String::new(),
    };
    for path in &config.tenants {
        for tenant in document::tenants(path)? {
            let written = match repository.put(&tenant, Expect::Anything, &author).await {
                // To be deleted, and never there: it is so already.
                Err(RepositoryError::Missing(_)) => continue,
                written => written?,
            };
            tracing::info!(tenant = %tenant.id, outcome = ?written.outcome, "tenant file applied");
            match repository
                .tier(&tenant.tier)
                .await?
                .map(|tier| rules(&tenant, &tier))
            {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(tenant = %tenant.id, %error, "a tenant contradicts its tier");
                }
                None => {
                    tracing::warn!(tenant = %tenant.id, tier = %tenant.tier, "there is no such tier");
                }
            }
        }
    }
    Ok(())
}

/// What routes inherit from and requests come with, read before the first of either is there.
async fn tiers_and_keys(
    config: &Config,
    repository: &Arc<Repository>,
) -> (Arc<Tiers>, Arc<KeyRing>) {
    let tiers = Tiers::new(repository.clone());
    let keys = KeyRing::new(repository.clone(), config.settings.key_secret.clone());
    if let Err(error) = tiers.fill().await {
        tracing::warn!(%error, "tiers can't be read yet; they take effect when they can");
    }
    if let Err(error) = keys.fill().await {
        tracing::warn!(%error, "API keys can't be read yet; they are accepted when they can");
    }
    (tiers, keys)
}

/// What routes are built by.
fn names(
    config: &Config,
    telemetry: &Arc<Telemetry>,
    monitor: &Arc<Monitor>,
    tiers: &Arc<Tiers>,
) -> Result<Names, RouteFault> {
    let roots = Arc::new(tls::system_roots());
    let resolver = Resolver::new(config.dns.clone());
    let routes = RouteBuilder::new(telemetry.clone(), monitor.clone(), roots, tiers.clone())?
        .picking(config.picking.clone())
        .resolving(resolver.clone());
    let routes = Arc::new(routes);
    Ok(Names { resolver, routes })
}

fn tenant_cache(
    config: &Config,
    repository: &Arc<Repository>,
    names: &Names,
) -> Arc<TenantCache<TenantRoute>> {
    let routes = names.routes.clone();
    let build = move |record: &_, previous: Option<&_>| routes.build(record, previous);
    TenantCache::new(repository.clone(), config.cache, Handle::current(), build)
}

/// Fills the cache, so that endpoints are probed before they are asked for, and keeps it current.
async fn warm_and_follow(tenants: Arc<TenantCache<TenantRoute>>) {
    match tenants.warm().await {
        Ok(count) => tracing::info!(count, "tenants read"),
        Err(error) => tracing::warn!(%error, "tenants can't be read ahead; each is when asked for"),
    }
    tenants.follow().await;
}

async fn run_admin(
    listener: TcpListener,
    certificate: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    control: Arc<Control>,
) {
    let end = std::future::pending();
    if let Err(error) = admin::serve(listener, certificate, control, end).await {
        tracing::error!(%error, "the admin listener ended");
    }
}

/// Starts a thread for each worker. Nothing comes from the channel but its end: that of the last
/// worker.
fn start_workers(
    control: &Arc<Control>,
    per_worker: Vec<Vec<Listener>>,
) -> io::Result<mpsc::Receiver<Infallible>> {
    let (running, workers) = mpsc::channel(1);
    for (number, listeners) in per_worker.into_iter().enumerate() {
        let (control, running) = (control.clone(), running.clone());
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                if let Err(error) = worker::run(&control, listeners) {
                    tracing::error!(%error, worker = number, "a worker can't run");
                }
                drop(running);
            })?;
    }
    Ok(workers)
}

/// Readiness off, a delay for load balancers to notice, then the end of all connections.
///
/// Waits for no thread: whoever stops waiting for this can end the process at once.
async fn shut_down(control: &Arc<Control>, mut workers: mpsc::Receiver<Infallible>) {
    let shutdown = control.settings().shutdown;
    tracing::info!(delay = ?shutdown.delay, drain = ?shutdown.drain, "shutting down");
    control.enter(Phase::Draining);
    tokio::time::sleep(shutdown.delay).await;
    control.enter(Phase::Closing);
    let _ = workers.recv().await;
    tracing::info!("all connections have ended");
}

/// The one line that says where the router is. Ports that were left to the system are those it
/// chose.
fn announcement(clients: &[Listener], admin: Option<&TcpListener>) -> io::Result<String> {
    let clients: Vec<String> = clients
        .iter()
        .map(|listener| listener.local_address().map(|address| address.to_string()))
        .collect::<Result<_, _>>()?;
    let admin = match admin {
        Some(listener) => listener.local_addr()?.to_string(),
        None => "none".into(),
    };
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!(
        "mirador {version} ready: clients on {}, admin on {admin}",
        clients.join(", ")
    ))
}

/// The signals a server answers to.
struct Signals {
    end: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn register() -> io::Result<Self> {
        Ok(Self {
            end: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Ends when SIGTERM or SIGINT comes.
    async fn ask_again(&mut self) {
        tokio::select! {
            _ = self.end.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reloads on SIGHUP until SIGTERM or SIGINT comes.
    async fn wait_for_the_end(&mut self, control: &Arc<Control>) {
        loop {
            tokio::select! {
                _ = self.end.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    // What went wrong is logged and counted where it did.
                    let _ = control.reload().await;
                }
            }
        }
    }
}
