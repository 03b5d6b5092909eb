//! What Mirador tells about itself: the only place that names metrics.
//!
//! Handles are resolved when a route is built or first used, never per request. Labels are
//! bounded: beyond the configured number of tenants the rest share `__overflow__`, and requests
//! that name no known tenant share `__unknown__`.

mod codes;
pub mod logs;
mod scrape;

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, process_collector::ProcessCollector,
};
use tenant_store::model::{Signal, TenantId};

pub use codes::CodeCounters;
pub use scrape::{EndpointState, Scrape};

/// The label of requests that name no known tenant.
pub const UNKNOWN_TENANT: &str = "__unknown__";
/// The label shared by the tenants beyond the configured number.
pub const OVERFLOW_TENANT: &str = "__overflow__";

/// Seconds. From a loopback answer to the longest ordinary query; what is above streams.
const DURATION_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Every metric of the router.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    tenants: TenantLabels,
    families: Families,
    /// Connections on either side.
    pub connections: ConnectionMetrics,
    /// Configuration reloads.
    pub reloads: ReloadMetrics,
}

/// What is told by tenant.
#[derive(Debug)]
struct Families {
    requests: IntCounterVec,
    durations: HistogramVec,
    first_bytes: HistogramVec,
    request_bytes: IntCounterVec,
    response_bytes: IntCounterVec,
    errors: IntCounterVec,
    concurrent: IntGaugeVec,
    failovers: IntCounterVec,
    endpoint_requests: IntCounterVec,
}

/// Connections on either side.
#[derive(Debug)]
pub struct ConnectionMetrics {
    /// Client connections open now.
    pub open: IntGauge,
    /// Client connections accepted.
    pub accepted: IntCounter,
    expired: IntCounterVec,
    /// Connections opened to endpoints.
    pub upstream_opened: IntCounter,
    /// Requests sent to endpoints on a connection that was there already.
    pub upstream_reused: IntCounter,
    /// Further attempts that the retry budget did not allow.
    pub retries_denied: IntCounter,
}

/// Configuration reloads.
#[derive(Debug)]
pub struct ReloadMetrics {
    /// Tried.
    pub tried: IntCounter,
    /// Failed: the last good configuration stays.
    pub failed: IntCounter,
    /// Whether the last one succeeded.
    pub successful: IntGauge,
    /// When the configuration in force was read, in seconds since the epoch.
    pub succeeded_at: IntGauge,
}

/// The metrics of one tenant's one signal.
#[derive(Debug)]
pub struct SignalMetrics {
    /// Requests by status code.
    pub requests: CodeCounters,
    /// Seconds from the request's head to the last byte of its answer.
    pub duration: Histogram,
    /// Seconds from the request's head to the first byte of its answer.
    pub first_byte: Histogram,
    /// Bytes of request bodies.
    pub request_bytes: IntCounter,
    /// Bytes of response bodies.
    pub response_bytes: IntCounter,
    /// Requests in flight.
    pub concurrent: IntGauge,
    /// Requests that another endpoint than the first one answered.
    pub failovers: IntCounter,
}

impl Telemetry {
    /// Registers every metric. At most `max_tenants` tenants get labels of their own.
    ///
    /// # Errors
    /// Two metrics share a name, which only a change of this file can bring about.
    pub fn new(max_tenants: usize) -> Result<Arc<Self>, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let maker = Maker(&registry);
        let telemetry = Self {
            tenants: TenantLabels {
                most: max_tenants,
                seen: Mutex::default(),
            },
            families: Families::new(&maker)?,
            connections: ConnectionMetrics::new(&maker)?,
            reloads: ReloadMetrics::new(&maker)?,
            registry,
        };
        telemetry.announce_build()?;
        Ok(telemetry.into())
    }

    /// The metrics of one tenant's one signal, under the tenant's own label if there is room.
    pub fn signal(&self, tenant: &TenantId, signal: Signal) -> SignalMetrics {
        let labels = [self.tenants.label(tenant), signal.as_str()];
        SignalMetrics {
            requests: CodeCounters::new(self.families.requests.clone(), &labels),
            duration: self.families.durations.with_label_values(&labels),
            first_byte: self.families.first_bytes.with_label_values(&labels),
            request_bytes: self.families.request_bytes.with_label_values(&labels),
            response_bytes: self.families.response_bytes.with_label_values(&labels),
            concurrent: self.families.concurrent.with_label_values(&labels),
            failovers: self.families.failovers.with_label_values(&labels),
        }
    }

    /// The answers of one endpoint, for one tenant's one signal.
    pub fn endpoint(&self, tenant: &TenantId, signal: Signal, endpoint: &str) -> CodeCounters {
        let tenant = self.tenants.label(tenant);
        let endpoint = if tenant == OVERFLOW_TENANT {
            OVERFLOW_TENANT
        } else {
            endpoint
        };
        let labels = [tenant, signal.as_str(), endpoint];
        CodeCounters::new(self.families.endpoint_requests.clone(), &labels)
    }

    /// Counts a request that did not get a backend's whole answer. `None` is an unknown tenant.
    pub fn failed(&self, tenant: Option<&TenantId>, signal: Signal, reason: &str) {
        let tenant = tenant.map_or(UNKNOWN_TENANT, |tenant| self.tenants.label(tenant));
        self.families
            .errors
            .with_label_values(&[tenant, signal.as_str(), reason])
            .inc();
    }

    /// Counts a request that reached no deployment. `None` is an unknown tenant.
    pub fn unrouted(&self, tenant: Option<&TenantId>, signal: Signal, code: u16) {
        let tenant = tenant.map_or(UNKNOWN_TENANT, |tenant| self.tenants.label(tenant));
        let code = code.to_string();
        self.families
            .requests
            .with_label_values(&[tenant, signal.as_str(), &code])
            .inc();
    }

    /// Counts a client connection ended for want of progress.
    pub fn connection_expired(&self, cause: &str) {
        self.connections.expired.with_label_values(&[cause]).inc();
    }

    /// Every metric in the Prometheus text format.
    pub fn render(&self, scrape: &Scrape) -> String {
        scrape::render(self, scrape)
    }

    fn announce_build(&self) -> Result<(), prometheus::Error> {
        let labels = ["version", "revision"];
        let build = IntGaugeVec::new(Opts::new("mirador_build_info", "What is running."), &labels)?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), crate::REVISION])
            .set(1);
        self.registry.register(Box::new(build))
    }
}

impl Families {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        const ALL: [&str; 2] = ["tenant", "signal"];
        Ok(Self {
            requests: make.counters(
                "requests_total",
                "Requests answered, by status code.",
                &["tenant", "signal", "code"],
            )?,
            durations: make.histograms(
                "request_duration_seconds",
                "Time from a request's head to the last byte of its answer.",
            )?,
            first_bytes: make.histograms(
                "request_first_byte_seconds",
                "Time from a request's head to the first byte of its answer.",
            )?,
            request_bytes: make.counters(
                "request_bytes_total",
                "Bytes of request bodies.",
                &ALL,
            )?,
            response_bytes: make.counters(
                "response_bytes_total",
                "Bytes of response bodies.",
                &ALL,
            )?,
            errors: make.counters(
                "request_errors_total",
                "Requests that did not get a backend's whole answer, by reason.",
                &["tenant", "signal", "reason"],
            )?,
            concurrent: make.gauges("concurrent_requests", "Requests in flight.", &ALL)?,
            failovers: make.counters(
                "failovers_total",
                "Requests that another endpoint than the first one answered.",
                &ALL,
            )?,
            endpoint_requests: make.counters(
                "endpoint_requests_total",
                "Answers of an endpoint, by status code.",
                &["tenant", "signal", "endpoint", "code"],
            )?,
        })
    }
}

impl ConnectionMetrics {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            open: make.gauge("client_connections", "Client connections open now.")?,
            accepted: make.counter("client_connections_total", "Client connections accepted.")?,
            expired: make.counters(
                "client_connections_expired_total",
                "Client connections ended for want of progress, by cause.",
                &["cause"],
            )?,
            upstream_opened: make.counter(
                "upstream_connections_opened_total",
                "Connections opened to endpoints.",
            )?,
            upstream_reused: make.counter(
                "upstream_connections_reused_total",
                "Requests sent on a connection that was there already.",
            )?,
            retries_denied: make.counter(
                "retries_denied_total",
                "Further attempts that the retry budget did not allow.",
            )?,
        })
    }
}

impl ReloadMetrics {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let metrics = Self {
            tried: make.counter("config_reloads_total", "Configuration reloads tried.")?,
            failed: make.counter(
                "config_reload_errors_total",
                "Configuration reloads that failed; the last good configuration stays.",
            )?,
            successful: make.gauge(
                "config_last_reload_successful",
                "Whether the last configuration reload succeeded.",
            )?,
            succeeded_at: make.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration in force was read.",
            )?,
        };
        metrics.succeeded();
        Ok(metrics)
    }

    /// A configuration was read and is in force.
    pub fn succeeded(&self) {
        self.successful.set(1);
        self.succeeded_at.set(jiff::Timestamp::now().as_second());
    }

    /// A configuration was not taken in.
    pub fn refused(&self) {
        self.failed.inc();
        self.successful.set(0);
    }
}

/// Hands out tenant labels while there is room.
#[derive(Debug)]
struct TenantLabels {
    most: usize,
    seen: Mutex<HashSet<TenantId>>,
}

impl TenantLabels {
    /// Whether a tenant has a label of its own already. Only use gives one: a tenant that is never
    /// asked takes nobody's place.
    fn has(&self, tenant: &TenantId) -> bool {
        self.seen.lock().contains(tenant)
    }

    fn label<'a>(&self, tenant: &'a TenantId) -> &'a str {
        let mut seen = self.seen.lock();
        if seen.contains(tenant) || (seen.len() < self.most && seen.insert(tenant.clone())) {
            tenant.as_str()
        } else {
            OVERFLOW_TENANT
        }
    }
}

/// Makes and registers metrics under the `mirador_` prefix.
struct Maker<'r>(&'r Registry);

impl Maker<'_> {
    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.registered(IntCounterVec::new(options(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.registered(IntCounter::with_opts(options(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.registered(IntGaugeVec::new(options(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.registered(IntGauge::with_opts(options(name, help))?)
    }

    fn histograms(&self, name: &str, help: &str) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::from(options(name, help)).buckets(DURATION_BUCKETS.into());
        self.registered(HistogramVec::new(options, &["tenant", "signal"])?)
    }

    fn registered<M>(&self, metric: M) -> prometheus::Result<M>
    where
        M: prometheus::core::Collector + Clone + 'static,
    {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("mirador_{name}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_beyond_the_limit_share_one_label() {
        let labels = TenantLabels {
            most: 2,
            seen: Mutex::default(),
        };
        let ids: Vec<TenantId> = ["t1", "t2", "t3"]
            .map(|id| id.parse().expect("a tenant id"))
            .into();
        let given: Vec<&str> = ids.iter().map(|id| labels.label(id)).collect();
        assert_eq!(given, ["t1", "t2", OVERFLOW_TENANT]);
        assert_eq!(labels.label(&ids[0]), "t1", "a label once given stays");
    }
}
