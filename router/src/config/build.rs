//! From what is written to what is used: bounds, rules over several fields, and the files that are
//! named.

mod admin;
mod identify;
mod listeners;
mod notify;
mod store;
mod tokens;

use std::{
    fmt, fs, io,
    net::SocketAddr,
    num::NonZeroU32,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use health::{EjectionPolicy, Family, MonitorConfig, OutlierPolicy, ResolverConfig};
use tenant_store::{
    cache::CacheConfig,
    document::{Document, Report},
    model::HumanDuration,
};

use super::{
    AccessLog, AdminTls, AuditLogConfig, HedgePolicy, ListenerConfig, LogSettings, Picking,
    RetryPolicy, Settings, Shutdown, StoreConfig, UpstreamSettings,
    raw::{
        RawCache, RawConfig, RawDns, RawFamily, RawHealth, RawHedge, RawHistory, RawStore,
        RawStoreKind, RawUpstream,
    },
    value::Workers,
};
use crate::history::HistoryConfig;

/// What a configuration says, whether or not it is free of faults.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) listeners: Vec<ListenerConfig>,
    pub(super) admin_listen: Option<SocketAddr>,
    pub(super) admin_tls: Option<AdminTls>,
    pub(super) audit_log: AuditLogConfig,
    pub(super) store: StoreConfig,
    pub(super) workers: usize,
    pub(super) cache: CacheConfig,
    pub(super) health: MonitorConfig,
    pub(super) dns: ResolverConfig,
    pub(super) history: HistoryConfig,
    pub(super) picking: Picking,
    pub(super) max_tenants: usize,
    pub(super) tenants: Vec<PathBuf>,
    pub(super) settings: Settings,
}

/// Makes a configuration of what is written, and reports what is wrong with it.
pub(super) fn build(raw: RawConfig, document: &Document, report: &mut Report<'_>) -> Built {
    let mut builder = Builder { document, report };
    let listeners = builder.listeners(&raw.listen, !raw.trusted_proxies.is_empty());
    let RawConfig {
        admin,
        store,
        log,
        identify,
        trusted_proxies,
        shutdown,
        ..
    } = raw;
    let key_secret = builder.key_secret(&raw.keys);
    let settings = Settings {
        identify: builder.identify(identify, &listeners, key_secret.is_some()),
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
        operators: builder.operators(&admin),
        public_page: raw.health.public_page,
        key_secret,
        argocd_token: builder.argocd_token(&admin.argocd),
        notify: builder.notify(&raw.notify),
        max_login_failures: builder.count(
            "admin.max_failures_per_minute",
            admin.max_failures_per_minute,
            1..=1_000_000,
        ),
    };
    Built {
        listeners,
        admin_listen: raw.listen.admin.0,
        admin_tls: builder.admin_tls(&admin),
        audit_log: builder.audit_log(&raw.audit.log),
        tenants: builder.tenant_files(&raw.tenants, &store),
        store: builder.store(&store),
        workers: workers(raw.workers.0),
        cache: builder.cache(&raw.cache),
        health: builder.health(&raw.health),
        dns: builder.dns(&raw.dns),
        history: builder.history(&raw.history),
        picking: Picking {
            zone: builder.zone(raw.zone),
            max_ejected: raw.health.ejection.max_ejected.0,
        },
        max_tenants: builder.count("metrics.max_tenants", raw.metrics.max_tenants, 1..=100_000),
        settings,
    }
}

const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// When backends close a connection that is silent. A request sent at that moment would be lost.
const BACKEND_IDLE: Duration = MINUTE;

struct Builder<'b, 'd> {
    document: &'b Document,
    report: &'b mut Report<'d>,
}

impl Builder<'_, '_> {
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
        let idle_timeout = self.span("upstream.idle_timeout", raw.idle_timeout, SECOND..=HOUR);
        if idle_timeout >= BACKEND_IDLE && idle_timeout <= HOUR {
            let message = "expected less than 60s, when backends close what is silent";
            self.report.fault("upstream.idle_timeout", message);
        }
        UpstreamSettings {
            connect_timeout: self.span(
                "upstream.connect_timeout",
                raw.connect_timeout,
                MILLISECOND..=MINUTE,
            ),
            idle_timeout,
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
            hedge: self.hedge(&raw.hedge),
        }
    }

    /// Its bounds hold whether or not it is enabled.
    fn hedge(&mut self, raw: &RawHedge) -> Option<HedgePolicy> {
        let policy = HedgePolicy {
            min_delay: self.span(
                "upstream.hedge.min_delay",
                raw.min_delay,
                MILLISECOND..=MINUTE,
            ),
            initial_delay: self.span(
                "upstream.hedge.initial_delay",
                raw.initial_delay,
                MILLISECOND..=MINUTE,
            ),
            budget: RetryPolicy {
                ratio: raw.budget_ratio.0,
                burst: self.count("upstream.hedge.budget_burst", raw.budget_burst, 0..=100_000),
            },
        };
        raw.enabled.then_some(policy)
    }

    fn health(&mut self, raw: &RawHealth) -> MonitorConfig {
        let RawHealth {
            max_concurrent_probes,
            ejection,
            public_page: _,
            outliers,
            slow_start,
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
            outliers: OutlierPolicy {
                window: self.span("health.outliers.window", outliers.window, SECOND..=HOUR),
                min_requests: self.count(
                    "health.outliers.min_requests",
                    outliers.min_requests,
                    1..=1_000_000,
                ),
                failure_ratio: outliers.failure_ratio.0,
            },
            slow_start: self.span("health.slow_start", *slow_start, ZERO..=HOUR),
            ..MonitorConfig::default()
        }
    }

    fn dns(&mut self, raw: &RawDns) -> ResolverConfig {
        let most = 16;
        if raw.servers.len() > most {
            let message = format!("expected at most {most} servers, not {}", raw.servers.len());
            self.report.fault("dns.servers", message);
        }
        for (n, server) in raw.servers.iter().enumerate() {
            if server.0.port() == 0 || server.0.ip().is_unspecified() {
                let path = self.report.item("dns.servers", n);
                let message = format!(
                    "expected a server's address and port such as 10.96.0.10:53, not {}",
                    server.0
                );
                self.report.fault(&path, message);
            }
        }
        ResolverConfig {
            refresh: self.span("dns.refresh", raw.refresh, SECOND..=DAY),
            timeout: self.span("dns.timeout", raw.timeout, 10 * MILLISECOND..=MINUTE),
            family: match raw.family {
                RawFamily::Auto => Family::Auto,
                RawFamily::Ipv4 => Family::Ipv4,
                RawFamily::Ipv6 => Family::Ipv6,
            },
            servers: raw.servers.iter().map(|server| server.0).collect(),
        }
    }

    fn history(&mut self, raw: &RawHistory) -> HistoryConfig {
        let path = raw.path.as_deref().map(|path| {
            let path = self.document.resolve("history.path", path);
            self.in_a_directory("history.path", &path);
            path
        });
        let most: u32 = self.count(
            "history.max_changes_per_tenant",
            raw.max_changes_per_tenant,
            1..=10_000,
        );
        HistoryConfig {
            path,
            write_interval: self.span(
                "history.write_interval",
                raw.write_interval,
                100 * MILLISECOND..=HOUR,
            ),
            keep_for: self.span("history.keep_for", raw.keep_for, HOUR..=365 * DAY),
            max_changes_per_tenant: NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN),
        }
    }

    /// A file that may be made there.
    fn in_a_directory(&mut self, key: &str, file: &Path) {
        let directory = file
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            let message = format!("there is no directory {}", directory.display());
            self.report.fault(key, message);
        }
    }

    fn zone(&mut self, zone: Option<String>) -> Option<String> {
        let is_name = |zone: &str| !zone.trim().is_empty() && !zone.contains(char::is_control);
        if zone.as_deref().is_some_and(|zone| !is_name(zone)) {
            let message = "expected a name as in the endpoints' `zone`, such as eu-1a";
            self.report.fault("zone", message);
        }
        zone
    }

    fn tenant_files(&mut self, files: &[PathBuf], store: &RawStore) -> Vec<PathBuf> {
        if !files.is_empty() && store.kind == RawStoreKind::Files {
            let message = "these are written to the store, and one of files can't be written: put \
                           them into store.path";
            self.report.fault("tenants", message);
        }
        let mut resolved = Vec::new();
        for (n, file) in files.iter().enumerate() {
            let path = self.report.item("tenants", n);
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
                .fault(path, format!("expected {least} to {most}"));
        }
        span.0
    }

    /// What does not even fit the type becomes 0: it is reported, and not used.
    fn count<N, T>(&mut self, path: &str, count: N, range: RangeInclusive<u64>) -> T
    where
        N: Into<u64> + Copy + fmt::Display,
        T: TryFrom<u64> + Default,
    {
        if !range.contains(&count.into()) {
            let (least, most) = (range.start(), range.end());
            self.report
                .fault(path, format!("expected {least} to {most}"));
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

fn workers(workers: Workers) -> usize {
    match workers {
        Workers::Count(count) => count.get().into(),
        Workers::Auto => thread::available_parallelism().map_or(1, usize::from),
    }
}
