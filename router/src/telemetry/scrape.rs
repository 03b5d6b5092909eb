//! `/metrics`: the registered metrics, and what the cache and the health monitor count themselves.

use std::{collections::BTreeSet, time::UNIX_EPOCH};

use health::{MonitorStats, NameStats};
use prometheus::{Encoder, TextEncoder};
use tenant_store::{
    cache::CacheStats,
    model::{Signal, Status, TenantId, Tier},
    repository::StoreFault,
};

use super::{Hedge, Telemetry, series, worker::Connections};
use crate::history::{HistoryStats, ServiceState};

/// What others count, at the moment of a scrape.
#[derive(Debug)]
pub struct Scrape {
    /// The tenant cache.
    pub cache: CacheStats,
    /// The health monitor.
    pub monitor: MonitorStats,
    /// Where names lead.
    pub names: NameStats,
    /// What is wrong with parts of what is stored.
    pub store_faults: Vec<StoreFault>,
    /// Log lines that nobody took in time.
    pub log_lines_dropped: usize,
    /// How the tenants that are told of were served.
    pub service: Vec<ServiceState>,
    /// What is remembered of them.
    pub history: HistoryStats,
    /// The tenants that are told of.
    pub tenants: Vec<TenantState>,
}

/// One tenant.
#[derive(Debug)]
pub struct TenantState {
    /// Which.
    pub tenant: TenantId,
    /// What kind of customer it is.
    pub tier: Tier,
    /// Whether it is served.
    pub status: Status,
    /// Whether it is worked on.
    pub in_maintenance: bool,
    /// Its deployments.
    pub deployments: Vec<DeploymentState>,
}

/// One deployment of a tenant.
#[derive(Debug)]
pub struct DeploymentState {
    /// What it serves.
    pub signal: Signal,
    /// 1 if it is healthy, 0.5 if degraded, 0 if unhealthy; `None` if nothing is known, or its tenant
    /// is suspended.
    pub health: Option<f64>,
    /// Its endpoints, each port once.
    pub endpoints: Vec<EndpointState>,
}

/// One endpoint of a deployment.
#[derive(Debug, Clone)]
pub struct EndpointState {
    /// `host:port`.
    pub endpoint: String,
    /// Whether it gets requests.
    pub up: bool,
    /// How it is.
    pub condition: &'static str,
    /// What deep checks found wrong.
    pub findings: Vec<&'static str>,
}

/// Everything there is to tell, in the Prometheus text format, in pieces that are written when they
/// are asked for.
pub(super) fn render(
    telemetry: &Telemetry,
    scrape: &Scrape,
) -> impl Iterator<Item = String> + Send + use<> {
    let mut encoded = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&telemetry.registry.gather(), &mut encoded) {
        tracing::error!(%error, "metrics can't be encoded");
    }
    let mut text = Text(String::from_utf8_lossy(&encoded).into_owned());
    text.connections(&telemetry.workers.totals());
    text.cache(&scrape.cache);
    text.store(&scrape.store_faults);
    text.tenants(&scrape.tenants);
    text.endpoints(&scrape.tenants);
    text.health(&scrape.monitor);
    text.names(&scrape.names);
    text.service(&scrape.service);
    text.history(&scrape.history);
    let help = "Log lines dropped because nobody took them in time.";
    text.single(
        "log_lines_dropped_total",
        "counter",
        help,
        scrape.log_lines_dropped,
    );
    std::iter::once(text.0).chain(series::pieces(telemetry.book.all()))
}

/// Faulty files that get a series of their own.
const NAMED_FILES: usize = 100;

/// A label's value, as the text format has it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn deployments(tenants: &[TenantState]) -> impl Iterator<Item = (&TenantState, &DeploymentState)> {
    tenants
        .iter()
        .flat_map(|state| state.deployments.iter().map(move |one| (state, one)))
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        series::head(&mut self.0, name, kind, help);
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        series::sample(&mut self.0, name, labels, value);
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    fn connections(&mut self, totals: &Connections) {
        let help = "Client connections open now.";
        self.single("client_connections", "gauge", help, totals.open);
        let help = "Client connections that hold no buffers, for want of a request.";
        self.single("client_connections_resting", "gauge", help, totals.resting);
        let counters = [
            (
                "client_connections_total",
                "Client connections accepted.",
                totals.accepted,
            ),
            (
                "upstream_connections_opened_total",
                "Connections opened to endpoints.",
                totals.upstream_opened,
            ),
            (
                "upstream_connections_reused_total",
                "Requests sent on a connection that was there already.",
                totals.upstream_reused,
            ),
            (
                "retries_denied_total",
                "Further attempts that the retry budget did not allow.",
                totals.retries_denied,
            ),
            (
                "panic_picks_total",
                "Requests sent to an ejected endpoint, as too many were out of use.",
                totals.ejected_picks,
            ),
        ];
        for (name, help, count) in counters {
            self.single(name, "counter", help, count);
        }
        let help = "Reads that were to be sent to a second endpoint, by what became of it.";
        self.family("hedges_total", "counter", help);
        for (result, count) in Hedge::ALL.iter().zip(totals.hedges) {
            let labels = format!("{{result=\"{}\"}}", result.as_str());
            self.sample("hedges_total", &labels, count);
        }
    }

    fn cache(&mut self, stats: &CacheStats) {
        let counters = [
            ("hits", "Look-ups of a known tenant.", stats.hits),
            (
                "negative_hits",
                "Look-ups of an id known not to exist.",
                stats.negative_hits,
            ),
            (
                "misses",
                "Look-ups that had to ask the store.",
                stats.misses,
            ),
            (
                "stale",
                "Look-ups answered while the tenant was read again.",
                stats.stale,
            ),
            (
                "evictions",
                "Tenants dropped for want of room.",
                stats.evictions,
            ),
            (
                "invalidations",
                "Tenants told to be read again.",
                stats.invalidations,
            ),
        ];
        for (event, help, count) in counters {
            self.single(
                &format!("tenant_cache_{event}_total"),
                "counter",
                help,
                count,
            );
        }
        self.family(
            "tenant_cache_entries",
            "gauge",
            "What the tenant cache holds.",
        );
        self.sample("tenant_cache_entries", "{kind=\"tenant\"}", stats.entries);
        self.sample(
            "tenant_cache_entries",
            "{kind=\"unknown_id\"}",
            stats.negative_entries,
        );
        self.family(
            "repository_requests_total",
            "counter",
            "Reads of the repository, by result.",
        );
        for (result, count) in [("ok", stats.loads_ok), ("error", stats.loads_failed)] {
            let labels = format!("{{op=\"get\",result=\"{result}\"}}");
            self.sample("repository_requests_total", &labels, count);
        }
        let contact = stats
            .last_contact
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        self.single(
            "repository_last_sync_timestamp_seconds",
            "gauge",
            "When the repository last answered.",
            contact.map_or(0, |since| since.as_secs()),
        );
    }

    fn store(&mut self, faults: &[StoreFault]) {
        let files: BTreeSet<_> = faults.iter().map(|fault| &fault.place).collect();
        let help = "Files of the store that are faulty.";
        self.single("store_faulty_files", "gauge", help, files.len());
        let help = "A file of the store that is faulty; the log tells why.";
        self.family("store_file_fault", "gauge", help);
        for file in files.into_iter().take(NAMED_FILES) {
            let labels = format!("{{file=\"{}\"}}", escaped(&file.to_string_lossy()));
            self.sample("store_file_fault", &labels, 1);
        }
    }

    fn tenants(&mut self, tenants: &[TenantState]) {
        let help = "What kind of customer a tenant is, and whether it is served.";
        self.family("tenant_info", "gauge", help);
        for state in tenants {
            let TenantState {
                tenant,
                tier,
                status,
                ..
            } = state;
            let status = status.as_str();
            let labels = format!("{{tenant=\"{tenant}\",tier=\"{tier}\",status=\"{status}\"}}");
            self.sample("tenant_info", &labels, 1);
        }
        let help = "Tenants in maintenance.";
        self.family("maintenance", "gauge", help);
        for state in tenants.iter().filter(|state| state.in_maintenance) {
            let labels = format!("{{tenant=\"{}\"}}", state.tenant);
            self.sample("maintenance", &labels, 1);
        }
        let help = "How a deployment is: 1 healthy, 0.5 degraded, 0 unhealthy.";
        self.family("tenant_health", "gauge", help);
        for (state, deployment) in deployments(tenants) {
            if let Some(health) = deployment.health {
                let (tenant, signal) = (&state.tenant, deployment.signal);
                let labels = format!("{{tenant=\"{tenant}\",signal=\"{signal}\"}}");
                self.sample("tenant_health", &labels, health);
            }
        }
    }

    fn endpoints(&mut self, tenants: &[TenantState]) {
        let endpoints = || {
            deployments(tenants).flat_map(|(state, deployment)| {
                let (tenant, signal) = (&state.tenant, deployment.signal);
                deployment.endpoints.iter().map(move |endpoint| {
                    let name = &endpoint.endpoint;
                    let labels =
                        format!("tenant=\"{tenant}\",signal=\"{signal}\",endpoint=\"{name}\"");
                    (endpoint, labels)
                })
            })
        };
        self.family("endpoint_up", "gauge", "Whether an endpoint is up.");
        for (endpoint, labels) in endpoints() {
            let labels = format!("{{{labels}}}");
            self.sample("endpoint_up", &labels, u8::from(endpoint.up));
        }
        let help = "The condition an endpoint is in.";
        self.family("endpoint_condition", "gauge", help);
        for (endpoint, labels) in endpoints() {
            let labels = format!("{{{labels},condition=\"{}\"}}", endpoint.condition);
            self.sample("endpoint_condition", &labels, 1);
        }
        let help = "What deep checks found wrong with an endpoint.";
        self.family("endpoint_findings", "gauge", help);
        for (endpoint, labels) in endpoints() {
            for finding in &endpoint.findings {
                let labels = format!("{{{labels},finding=\"{finding}\"}}");
                self.sample("endpoint_findings", &labels, 1);
            }
        }
    }

    fn service(&mut self, states: &[ServiceState]) {
        let help = "Share of requests that is promised to be served.";
        self.family("slo_objective_ratio", "gauge", help);
        for ServiceState {
            tenant,
            signal,
            objective,
            ..
        } in states
        {
            let labels = format!("{{tenant=\"{tenant}\",signal=\"{signal}\"}}");
            if let Some(objective) = objective {
                self.sample("slo_objective_ratio", &labels, objective);
            }
        }
        let help = "Share of requests that were served, all routers together.";
        self.windows("availability_ratio", help, states, |state| {
            &state.availability
        });
        let help = "How many times faster than allowed the error budget is used up.";
        self.windows("error_budget_burn_rate", help, states, |state| {
            &state.burn_rates
        });
    }

    fn windows(
        &mut self,
        name: &str,
        help: &str,
        states: &[ServiceState],
        values: impl Fn(&ServiceState) -> &Vec<(&'static str, f64)>,
    ) {
        self.family(name, "gauge", help);
        for state in states {
            let ServiceState { tenant, signal, .. } = state;
            for (window, value) in values(state) {
                let labels =
                    format!("{{tenant=\"{tenant}\",signal=\"{signal}\",window=\"{window}\"}}");
                self.sample(name, &labels, value);
            }
        }
    }

    fn history(&mut self, stats: &HistoryStats) {
        let help = "Batches of history written to the store, by result.";
        self.family("history_writes_total", "counter", help);
        for (result, count) in [("ok", stats.written), ("error", stats.failed)] {
            let labels = format!("{{result=\"{result}\"}}");
            self.sample("history_writes_total", &labels, count);
        }
        let help = "Changes of health and counts of requests that wait to be written.";
        self.single("history_waiting", "gauge", help, stats.waiting);
        let help = "What was forgotten before it could be written, for want of room.";
        self.family("history_lost_total", "counter", help);
        for (kind, count) in [("change", stats.changes_lost), ("count", stats.counts_lost)] {
            let labels = format!("{{kind=\"{kind}\"}}");
            self.sample("history_lost_total", &labels, count);
        }
    }

    fn health(&mut self, stats: &MonitorStats) {
        self.single(
            "endpoints_watched",
            "gauge",
            "Endpoints being watched.",
            stats.endpoints,
        );
        self.family(
            "health_checks_total",
            "counter",
            "Finished probes, by result.",
        );
        for (result, count) in stats.probes.by_result() {
            self.sample(
                "health_checks_total",
                &format!("{{result=\"{result}\"}}"),
                count,
            );
        }
        self.family(
            "health_check_duration_seconds",
            "summary",
            "Time that probes took.",
        );
        self.sample(
            "health_check_duration_seconds_sum",
            "",
            stats.probe_time.as_secs_f64(),
        );
        self.sample(
            "health_check_duration_seconds_count",
            "",
            stats.probes.total(),
        );
        let help = "Endpoints that went out of use, by cause.";
        self.family("endpoint_ejections_total", "counter", help);
        for (cause, count) in stats.ejections_by_cause() {
            let labels = format!("{{cause=\"{cause}\"}}");
            self.sample("endpoint_ejections_total", &labels, count);
        }
        let help = "Changes of an endpoint's availability.";
        self.single(
            "endpoint_transitions_total",
            "counter",
            help,
            stats.transitions,
        );
    }

    fn names(&mut self, stats: &NameStats) {
        let help = "Names of endpoints, by what was last answered about them.";
        self.family("dns_names", "gauge", help);
        for (state, count) in [
            ("resolved", stats.resolved),
            ("kept", stats.kept),
            ("unresolved", stats.unresolved),
        ] {
            let labels = format!("{{state=\"{state}\"}}");
            self.sample("dns_names", &labels, count);
        }
        let help = "Finished lookups of names, by result.";
        self.family("dns_lookups_total", "counter", help);
        for (result, count) in stats.lookups.by_result() {
            let labels = format!("{{result=\"{result}\"}}");
            self.sample("dns_lookups_total", &labels, count);
        }
        let help = "Changes of the addresses of a name.";
        self.single("dns_changes_total", "counter", help, stats.changes);
    }
}
