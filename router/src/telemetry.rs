//! What Mirador tells about itself: the only place that names metrics.
//!
//! What is counted per request is counted by worker: no worker writes what another one
//! writes, and scrapes add up what is there. Labels are bounded: beyond the configured number of
//! tenants the rest share `__overflow__`, and requests that name no known tenant share
//! `__unknown__`.

mod block;
mod codes;
mod count;
mod counts;
mod histogram;
mod labels;
mod ledger;
pub mod logs;
mod scrape;
mod series;
mod served;
mod taken;
mod traffic;
mod worker;

use std::sync::Arc;

use prometheus::{
    IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    process_collector::ProcessCollector,
};
use tenant_store::{
    cache::{Entry, TenantCache},
    history::Tally,
    model::{Signal, TenantId},
};

use self::{counts::Book, worker::Workers};

pub use block::{Finished, Service};
pub use counts::{LocalCounts, Overflow, SignalCounts, TenantCounts};
pub use scrape::{DeploymentState, EndpointState, Scrape, TenantState};
pub use traffic::{Stretch, Traffic};
pub use worker::{Connections, Hedge, Resting, WorkerCounts};

/// The label of requests that name no known tenant.
pub const UNKNOWN_TENANT: &str = "__unknown__";
/// The label shared by the tenants beyond the configured number.
pub const OVERFLOW_TENANT: &str = "__overflow__";

/// Every metric of the router.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    book: Book,
    workers: Workers,
    errors: IntCounterVec,
    failovers: IntCounterVec,
    expired: IntCounterVec,
    refused: IntCounterVec,
    /// Notifications of health changes.
    pub notifications: NotificationCounts,
    /// Configuration reloads.
    pub reloads: ReloadMetrics,
}

/// Notifications of health changes.
#[derive(Debug, Clone)]
pub struct NotificationCounts {
    /// Taken by their receiver.
    pub sent: IntCounter,
    /// Not taken, and to be tried again.
    pub failed: IntCounter,
    /// Refused in a way that trying again would not change.
    pub dropped: IntCounter,
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
            book: Book::new(max_tenants),
            workers: Workers::default(),
            errors: maker.counters(
                "request_errors_total",
                "Requests that did not get a backend's whole answer, by reason.",
                &["tenant", "signal", "reason"],
            )?,
            failovers: maker.counters(
                "deployment_failovers_total",
                "Changes of the endpoints that serve a deployment, by cause.",
                &["tenant", "signal", "cause"],
            )?,
            expired: maker.counters(
                "client_connections_expired_total",
                "Client connections ended for want of progress, by cause.",
                &["cause"],
            )?,
            refused: maker.counters(
                "client_connections_refused_total",
                "Client connections ended before a request for what came first, by cause.",
                &["cause"],
            )?,
            notifications: NotificationCounts::new(&maker)?,
            reloads: ReloadMetrics::new(&maker)?,
            registry,
        };
        telemetry.announce_build()?;
        Ok(telemetry.into())
    }

    /// Where a tenant's signal is counted that there is a deployment for: under the tenant's own
    /// label if there is room.
    pub fn deployed(&self, tenant: &TenantId, signal: Signal) -> TenantCounts {
        self.book.deployed(tenant, signal)
    }

    /// The counts of requests that name no known tenant.
    pub fn unknown(&self, signal: Signal) -> Arc<SignalCounts> {
        self.book.unknown(signal)
    }

    /// Counts a request of a known tenant that reached no deployment.
    pub fn unrouted(&self, tenant: &TenantId, signal: Signal, code: u16) {
        self.book.unrouted(tenant, signal, code);
    }

    /// Counts a request that did not get a backend's whole answer. `None` is an unknown tenant.
    pub fn failed(&self, tenant: Option<&TenantId>, signal: Signal, reason: &str) {
        let label = tenant.map(|tenant| self.book.labels.label(tenant));
        let tenant = label
            .as_ref()
            .map_or(UNKNOWN_TENANT, |label| label.as_str());
        self.errors
            .with_label_values(&[tenant, signal.as_str(), reason])
            .inc();
    }

    /// Requests that were served, and that were not, since this was last asked: of each tenant's
    /// signal that had some, whether or not it has a label.
    pub fn fresh_service(&self) -> Vec<(TenantId, Signal, Tally)> {
        self.book.fresh_service()
    }

    /// Counts that other endpoints serve a deployment than before.
    pub fn failed_over(&self, tenant: &TenantId, signal: Signal, cause: &str) {
        let label = self.book.labels.label(tenant);
        self.failovers
            .with_label_values(&[label.as_str(), signal.as_str(), cause])
            .inc();
    }

    /// The tenants that metrics tell of even if nothing of them is counted, in no order: all that are
    /// known, if all can have labels of their own, and otherwise those that have. Linear in the
    /// number of labels, however many more are known.
    pub(crate) fn told<R: Send + Sync + 'static>(
        &self,
        tenants: &TenantCache<R>,
    ) -> Vec<Arc<Entry<R>>> {
        match self.book.labels.given_among(tenants.stats().entries) {
            None => tenants.entries().collect(),
            Some(given) => given.iter().filter_map(|id| tenants.held(id)).collect(),
        }
    }

    /// The counts of a worker that begins.
    pub fn worker(&self) -> WorkerCounts {
        self.workers.open()
    }

    /// Connections, on all workers together.
    pub fn connections(&self) -> Connections {
        self.workers.totals()
    }

    /// Counts a client connection ended for want of progress.
    pub fn connection_expired(&self, cause: &str) {
        self.expired.with_label_values(&[cause]).inc();
    }

    /// Counts a client connection that was ended for how it began.
    pub fn refused(&self, cause: &str) {
        self.refused.with_label_values(&[cause]).inc();
    }

    /// Every metric in the Prometheus text format, in pieces that are written when they are asked
    /// for.
    pub fn render(&self, scrape: &Scrape) -> impl Iterator<Item = String> + Send + use<> {
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

impl NotificationCounts {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let all = make.counters(
            "notifications_total",
            "Messages about tenants' health to receivers, by result.",
            &["result"],
        )?;
        let of = |result| all.with_label_values(&[result]);
        Ok(Self {
            sent: of("sent"),
            failed: of("failed"),
            dropped: of("dropped"),
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

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.registered(IntGauge::with_opts(options(name, help))?)
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
