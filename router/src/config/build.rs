//! From what is written to what is used: bounds, rules over several fields, and the files that are
//! named.

use std::{
    env, fmt, fs, io,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use health::{EjectionPolicy, MonitorConfig};
use tenant_store::{
    cache::CacheConfig,
    document::{Document, Report},
    model::{HumanDuration, Signal},
};

use super::{
    AccessLog, Identify, ListenerConfig, ListenerLimits, LogSettings, Secret, Settings, Shutdown,
    StoreConfig, TlsFiles, UpstreamSettings,
    raw::{
        LongListener, RawAdmin, RawCache, RawConfig, RawHealth, RawLimits, RawListen, RawStoreKind,
        RawTls, RawUpstream,
    },
    value::{TenantHeader, Workers},
};
use crate::{proxy::route::RetryPolicy, tls};

/// What a configuration says, whether or not it is free of faults.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) listeners: Vec<ListenerConfig>,
    pub(super) admin_listen: Option<SocketAddr>,
    pub(super) store: StoreConfig,
    pub(super) workers: usize,
    pub(super) cache: CacheConfig,
    pub(super) health: MonitorConfig,
    pub(super) max_tenants: usize,
    pub(super) tenants: Vec<PathBuf>,
    pub(super) settings: Settings,
}

/// Makes a configuration of what is written, and reports what is wrong with it.
pub(super) fn build(raw: RawConfig, document: &Document, report: &mut Report<'_>) -> Built {
    let mut builder = Builder { document, report };
    let listeners = builder.listeners(&raw.listen);
    let RawConfig {
        admin,
        store,
        log,
        identify,
        trusted_proxies,
        shutdown,
        ..
    } = raw;
    let settings = Settings {
        identify: builder.identify(identify.headers),
        trusted_proxies: trusted_proxies
            .into_iter()
            .map(|network| network.0)
            .collect(),
        upstream: builder.upstream(&raw.upstream),
        log: LogSettings {
            format: log.format,
            level: log.level.0,
            access: AccessLog {
                success: log.access.success.0,
                errors: log.access.errors.0,
            },
        },
        shutdown: Shutdown {
            delay: builder.span("shutdown.delay", shutdown.delay, ZERO..=HOUR),
            drain: builder.span("shutdown.drain", shutdown.drain, ZERO..=HOUR),
        },
        admin_token: builder.admin_token(&admin),
    };
    Built {
        listeners,
        admin_listen: raw.listen.admin.0,
        store: builder.store(store.kind, &store.path, store.busy_timeout),
        workers: workers(raw.workers.0),
        cache: builder.cache(&raw.cache),
        health: builder.health(&raw.health),
        max_tenants: builder.count("metrics.max_tenants", raw.metrics.max_tenants, 1..=100_000),
        tenants: builder.tenant_files(&raw.tenants),
        settings,
    }
}

const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The backends close a connection after a minute of silence; a request sent at that moment would
/// be lost.
const LONGEST_UPSTREAM_IDLE: Duration = Duration::from_millis(59_999);

/// What a listener's limits are where nothing is said.
const LIMITS: ListenerLimits = ListenerLimits {
    max_connections: 10_000,
    max_headers: 100,
    max_head_bytes: 64 << 10,
    head_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(75),
    write_timeout: Duration::from_mins(1),
};

struct Builder<'b, 'd> {
    document: &'b Document,
    report: &'b mut Report<'d>,
}

impl Builder<'_, '_> {
    fn listeners(&mut self, listen: &RawListen) -> Vec<ListenerConfig> {
        let defaults = self.limits("listen.limits", &listen.limits, LIMITS);
        let groups = [
            ("listen.public", None, &listen.public),
            ("listen.metrics", Some(Signal::Metrics), &listen.metrics),
            ("listen.logs", Some(Signal::Logs), &listen.logs),
            ("listen.traces", Some(Signal::Traces), &listen.traces),
        ];
        let mut taken: Vec<(String, SocketAddr)> = Vec::new();
        let admin = listen
            .admin
            .0
            .map(|address| ("listen.admin".to_owned(), address));
        taken.extend(admin);
        let mut listeners = Vec::new();
        for (field, signal, group) in groups {
            for (path, listener) in group.with_paths(field) {
                let address = listener.address.0;
                if let Some((other, _)) = taken.iter().find(|(_, at)| collide(*at, address)) {
                    let message = format!("{address} is taken by {other} already");
                    self.report.fault(&path, message);
                }
                listeners.push(self.listener(&path, signal, listener, defaults));
                taken.push((path, address));
            }
        }
        if listeners.is_empty() {
            self.report
                .fault("listen.public", "expected at least one address for clients");
        }
        listeners
    }

    fn listener(
        &mut self,
        path: &str,
        signal: Option<Signal>,
        listener: &LongListener,
        defaults: ListenerLimits,
    ) -> ListenerConfig {
        ListenerConfig {
            address: listener.address.0,
            signal,
            tls: listener
                .tls
                .as_ref()
                .map(|tls| self.tls(&format!("{path}.tls"), tls)),
            limits: self.limits(&format!("{path}.limits"), &listener.limits, defaults),
        }
    }

    fn tls(&mut self, path: &str, tls: &RawTls) -> TlsFiles {
        let [cert_file, key_file] = [("cert_file", &tls.cert_file), ("key_file", &tls.key_file)]
            .map(|(field, file)| {
                let path = format!("{path}.{field}");
                let file = self.document.resolve(&path, file);
                let readable = self.read(&path, &file).is_some();
                (file, readable)
            });
        if cert_file.1 && key_file.1 {
            tls::install_crypto();
            if let Err(error) = tls::server_config(&cert_file.0, &key_file.0) {
                self.report.fault(path, error.to_string());
            }
        }
        TlsFiles {
            cert_file: cert_file.0,
            key_file: key_file.0,
        }
    }

    fn limits(&mut self, path: &str, raw: &RawLimits, or: ListenerLimits) -> ListenerLimits {
        let field = |name: &str| format!("{path}.{name}");
        let mut span = |name, span: Option<HumanDuration>, or| {
            span.map_or(or, |span| self.span(&field(name), span, MILLISECOND..=HOUR))
        };
        let head_timeout = span("head_timeout", raw.head_timeout, or.head_timeout);
        let idle_timeout = span("idle_timeout", raw.idle_timeout, or.idle_timeout);
        let write_timeout = span("write_timeout", raw.write_timeout, or.write_timeout);
        let mut count = |name, count: Option<u64>, or, range| {
            count.map_or(or, |count| self.count(&field(name), count, range))
        };
        ListenerLimits {
            max_connections: count(
                "max_connections",
                raw.max_connections.map(u64::from),
                or.max_connections,
                1..=1_000_000,
            ),
            max_headers: count(
                "max_headers",
                raw.max_headers.map(u64::from),
                or.max_headers,
                16..=1000,
            ),
            // The HTTP library can't do with less than 8 KiB.
            max_head_bytes: count(
                "max_head_bytes",
                raw.max_head_bytes.map(|size| size.0),
                or.max_head_bytes,
                8192..=1 << 20,
            ),
            head_timeout,
            idle_timeout,
            write_timeout,
        }
    }

    fn admin_token(&mut self, admin: &RawAdmin) -> Option<Secret> {
        match (&admin.token_file, &admin.token_env) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let message = "token_file and token_env exclude each other, name one";
                self.report.fault("admin.token_env", message);
                None
            }
            (Some(file), None) => {
                let path = "admin.token_file";
                let text = self.read(path, &self.document.resolve(path, file))?;
                self.secret(path, &String::from_utf8_lossy(&text))
            }
            (None, Some(name)) => {
                let path = "admin.token_env";
                let Ok(text) = env::var(name) else {
                    self.report
                        .fault(path, format!("the variable {name} is not set, or not text"));
                    return None;
                };
                self.secret(path, &text)
            }
        }
    }

    fn secret(&mut self, path: &str, text: &str) -> Option<Secret> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) {
            return Some(Secret::new(text.into()));
        }
        let message = "the token there is empty, or not one line of visible ASCII characters";
        self.report.fault(path, message);
        None
    }

    fn store(
        &mut self,
        kind: RawStoreKind,
        path: &Path,
        busy_timeout: HumanDuration,
    ) -> StoreConfig {
        let RawStoreKind::Sqlite = kind;
        let path = self.document.resolve("store.path", path);
        let directory = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            let message = format!("there is no directory {}", directory.display());
            self.report.fault("store.path", message);
        }
        let busy_timeout = self.span("store.busy_timeout", busy_timeout, MILLISECOND..=MINUTE);
        StoreConfig::Sqlite { path, busy_timeout }
    }

    fn identify(&mut self, headers: Vec<TenantHeader>) -> Identify {
        let mut names = Vec::new();
        for (index, TenantHeader(name)) in headers.into_iter().enumerate() {
            if names.contains(&name) {
                let message = format!("the header {name} stands in this list twice");
                self.report
                    .fault(&format!("identify.headers[{index}]"), message);
            } else {
                names.push(name);
            }
        }
        if names.is_empty() {
            let message = "expected at least one header, nothing else names the tenant";
            self.report.fault("identify.headers", message);
        }
        Identify { headers: names }
    }

    fn cache(&mut self, raw: &RawCache) -> CacheConfig {
        let soft_ttl = self.span("cache.soft_ttl", raw.soft_ttl, SECOND..=HOUR);
        let hard_ttl = self.span("cache.hard_ttl", raw.hard_ttl, SECOND..=365 * DAY);
        if hard_ttl < soft_ttl {
            let message = format!("expected at least cache.soft_ttl ({})", raw.soft_ttl);
            self.report.fault("cache.hard_ttl", message);
        }
        CacheConfig {
            capacity: self.count("cache.capacity", raw.capacity, 1..=10_000_000),
            soft_ttl,
            hard_ttl,
            negative_ttl: self.span("cache.negative_ttl", raw.negative_ttl, MILLISECOND..=HOUR),
            negative_capacity: self.count(
                "cache.negative_capacity",
                raw.negative_capacity,
                1..=10_000_000,
            ),
            load_timeout: self.span("cache.load_timeout", raw.load_timeout, MILLISECOND..=MINUTE),
        }
    }

    fn upstream(&mut self, raw: &RawUpstream) -> UpstreamSettings {
        let idle = SECOND..=LONGEST_UPSTREAM_IDLE;
        UpstreamSettings {
            connect_timeout: self.span(
                "upstream.connect_timeout",
                raw.connect_timeout,
                MILLISECOND..=MINUTE,
            ),
            idle_timeout: self.span("upstream.idle_timeout", raw.idle_timeout, idle),
            max_idle_per_endpoint: self.count(
                "upstream.max_idle_per_endpoint",
                raw.max_idle_per_endpoint,
                0..=10_000,
            ),
            max_idle: self.count("upstream.max_idle", raw.max_idle, 0..=100_000),
            retry_window: self.count("upstream.retry_window", raw.retry_window.0, 0..=16 << 20),
            stream_idle_timeout: self.span(
                "upstream.stream_idle_timeout",
                raw.stream_idle_timeout,
                SECOND..=DAY,
            ),
            retry: RetryPolicy {
                ratio: raw.retry.budget_ratio.0,
                burst: self.count(
                    "upstream.retry.budget_burst",
                    raw.retry.budget_burst,
                    0..=100_000,
                ),
            },
        }
    }

    fn health(&mut self, raw: &RawHealth) -> MonitorConfig {
        let RawHealth {
            max_concurrent_probes,
            ejection,
        } = raw;
        let base = self.span(
            "health.ejection.base",
            ejection.base,
            10 * MILLISECOND..=HOUR,
        );
        let max = self.span("health.ejection.max", ejection.max, 10 * MILLISECOND..=DAY);
        if max < base {
            let message = format!("expected at least health.ejection.base ({})", ejection.base);
            self.report.fault("health.ejection.max", message);
        }
        MonitorConfig {
            max_concurrent_probes: self.count(
                "health.max_concurrent_probes",
                *max_concurrent_probes,
                1..=4096,
            ),
            ejection: EjectionPolicy {
                consecutive_failures: self.count(
                    "health.ejection.consecutive_failures",
                    ejection.consecutive_failures,
                    1..=1000,
                ),
                base,
                max,
            },
            ..MonitorConfig::default()
        }
    }

    fn tenant_files(&mut self, files: &[PathBuf]) -> Vec<PathBuf> {
        let mut resolved = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let path = format!("tenants[{index}]");
            let file = self.document.resolve(&path, file);
            if let Err(error) = fs::metadata(&file) {
                self.unreadable(&path, &file, &error);
            }
            resolved.push(file);
        }
        resolved
    }

    fn span(
        &mut self,
        path: &str,
        span: HumanDuration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        if !range.contains(&span.0) {
            let (least, most) = (HumanDuration(*range.start()), HumanDuration(*range.end()));
            self.report
                .fault(path, format!("expected {least} to {most}, not {span}"));
        }
        span.0
    }

    /// What is out of bounds becomes the lower bound: it is reported, and not used.
    fn count<N, T>(&mut self, path: &str, count: N, range: RangeInclusive<u64>) -> T
    where
        N: Into<u64> + Copy + fmt::Display,
        T: TryFrom<u64> + Default,
    {
        if !range.contains(&count.into()) {
            let (least, most) = (range.start(), range.end());
            self.report
                .fault(path, format!("expected {least} to {most}, not {count}"));
        }
        T::try_from(count.into()).unwrap_or_default()
    }

    fn read(&mut self, path: &str, file: &Path) -> Option<Vec<u8>> {
        match fs::read(file) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.unreadable(path, file, &error);
                None
            }
        }
    }

    fn unreadable(&mut self, path: &str, file: &Path, error: &io::Error) {
        self.report
            .fault(path, format!("{} can't be read: {error}", file.display()));
    }
}

/// Whether two addresses can't be listened on at one time. Port 0 stands for any that is free.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || (same_family && (any(a.ip()) || any(b.ip()))))
}

fn workers(workers: Workers) -> usize {
    match workers {
        Workers::Count(count) => count.get().into(),
        Workers::Auto => thread::available_parallelism().map_or(1, usize::from),
    }
}
