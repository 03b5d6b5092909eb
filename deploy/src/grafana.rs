//! Grafana data sources, one for each signal of a tenant, as a provisioning file.
//!
//! Decides names, stable uids and the tenant header. It deliberately does not know who may use
//! which data source: that is Grafana's own business (organisations, teams).

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};
use tenant_store::model::{Signal, TenantId};

/// The longest uid that Grafana accepts, in characters.
const UID_LENGTH: usize = 40;
/// How much of a digest a shortened uid carries: 20 characters of 5 bits.
const DIGEST_LENGTH: usize = 20;

/// What somebody looking at a tenant's data needs to know of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantAccess {
    /// Sent as `X-Tenant-ID`; names and uids of the data sources are made of it.
    pub id: TenantId,
    /// For people reading the file; may hold any character.
    pub display_name: String,
    /// The signals the tenant has a deployment for, in the order wanted.
    pub signals: Vec<Signal>,
}

/// How all data sources of a file reach the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// The public listener, as Grafana's server reaches it.
    pub url: String,
    /// The plug-in that asks for metrics.
    pub metrics: MetricsPlugin,
    /// What tells the router whose data is wanted.
    pub identification: Identification,
    /// The organisation of Grafana that gets the data sources; without one, Grafana's first.
    pub organisation: Option<u32>,
}

impl Router {
    /// A router that believes the header `X-Tenant-ID`, asked by what is built into Grafana.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.into(),
            metrics: MetricsPlugin::Prometheus,
            identification: Identification::Header("X-Tenant-ID".into()),
            organisation: None,
        }
    }
}

/// What speaks the query language of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsPlugin {
    /// Built into Grafana.
    Prometheus,
    /// `victoriametrics-metrics-datasource`, which knows all of `MetricsQL`.
    VictoriaMetrics,
}

/// What a data source sends along so that the router knows the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identification {
    /// The tenant's id, in the header of this name.
    Header(String),
    /// An API key of the tenant's, which Grafana takes from an environment variable: this prefix,
    /// and [the tenant's part](key_variable). The file holds no secret.
    ApiKey {
        /// How the names of all variables begin.
        prefix: String,
    },
}

/// The environment variable that holds a tenant's API key: no two tenants have the same.
pub fn key_variable(prefix: &str, tenant: &TenantId) -> String {
    // Ids have no `_` and no capitals, so nothing that differs becomes equal.
    let name = tenant.as_str().replace('-', "_").to_ascii_uppercase();
    format!("{prefix}{name}")
}

/// Renders the provisioning file that gives Grafana the data sources of `tenants` through `router`.
///
/// Grafana (11.1 or newer) removes the data sources that an earlier version of the file had.
/// Data sources for logs need the plug-in `victoriametrics-logs-datasource`.
pub fn provisioning(tenants: &[TenantAccess], router: &Router) -> String {
    let mut file = String::from("apiVersion: 1\nprune: true\n");
    if tenants.iter().all(|tenant| tenant.signals.is_empty()) {
        file.push_str("datasources: []\n");
        return file;
    }
    file.push_str("datasources:\n");
    for tenant in tenants {
        render_tenant(&mut file, tenant, router);
    }
    file
}

/// The uid of a tenant's data source: the same in every file, at most 40 characters, and different
/// for different tenants and signals.
///
/// It is `<id>-<signal>` where that fits. Longer ones keep the first letters of the id and add a
/// digest of all of it, after a `_`, which no id contains, so that the two forms never meet.
pub fn datasource_uid(tenant: &TenantId, signal: Signal) -> String {
    let id = tenant.as_str();
    let room = UID_LENGTH - signal.as_str().len() - 1;
    if id.len() <= room {
        return format!("{id}-{signal}");
    }
    let (prefix, _) = id.split_at(room - DIGEST_LENGTH - 1);
    format!("{prefix}_{}-{signal}", digest(id))
}

fn render_tenant(file: &mut String, tenant: &TenantAccess, router: &Router) {
    if !tenant.signals.is_empty() {
        append(
            file,
            format_args!("  # {}\n", single_line(&tenant.display_name)),
        );
    }
    let (header, value) = credential(&tenant.id, &router.identification);
    let organisation = router.organisation;
    let organisation = organisation.map_or_else(String::new, |id| format!("    orgId: {id}\n"));
    for &signal in &tenant.signals {
        let name = quoted(&format!("{} {signal}", tenant.id));
        let uid = quoted(&datasource_uid(&tenant.id, signal));
        let (kind, path) = source_type(signal, router.metrics);
        let url = quoted(&format!("{}{path}", router.url.trim_end_matches('/')));
        append(
            file,
            format_args!(
                "  - name: {name}\n    uid: {uid}\n{organisation}    type: {kind}\n    access: proxy\n    \
                 url: {url}\n    jsonData:\n{}      httpHeaderName1: {header}\n    \
                 secureJsonData:\n      httpHeaderValue1: {value}\n",
                type_options(signal, router.metrics),
            ),
        );
    }
}

/// The header that names the tenant, and its value, both as YAML scalars.
fn credential(tenant: &TenantId, identification: &Identification) -> (String, String) {
    match identification {
        Identification::Header(name) => (quoted(name), quoted(tenant.as_str())),
        Identification::ApiKey { prefix } => {
            let variable = key_variable(prefix, tenant);
            // Not by `quoted`: Grafana is to put the variable's value here.
            (quoted("X-API-Key"), format!("\"${{{variable}}}\""))
        }
    }
}

/// The data source plug-in that speaks a signal's query language, and where its API begins.
const fn source_type(signal: Signal, metrics: MetricsPlugin) -> (&'static str, &'static str) {
    match (signal, metrics) {
        (Signal::Metrics, MetricsPlugin::Prometheus) => ("prometheus", ""),
        (Signal::Metrics, MetricsPlugin::VictoriaMetrics) => {
            ("victoriametrics-metrics-datasource", "")
        }
        (Signal::Logs, _) => ("victoriametrics-logs-datasource", ""),
        (Signal::Traces, _) => ("jaeger", "/select/jaeger"),
    }
}

/// POST spares long queries the limits on URLs. The version is the one whose query functions
/// `VictoriaMetrics` says to offer.
const fn type_options(signal: Signal, metrics: MetricsPlugin) -> &'static str {
    match (signal, metrics) {
        (Signal::Metrics, MetricsPlugin::Prometheus) => concat!(
            "      httpMethod: POST\n",
            "      prometheusType: Prometheus\n",
            "      prometheusVersion: 2.24.0\n",
            "      timeInterval: 15s\n",
        ),
        (Signal::Metrics, MetricsPlugin::VictoriaMetrics) => {
            concat!("      httpMethod: POST\n", "      timeInterval: 15s\n")
        }
        (Signal::Logs | Signal::Traces, _) => "",
    }
}

/// A YAML double-quoted scalar that survives Grafana's expansion of `$VARIABLE`.
///
/// Everything is quoted, as ids such as `null`, `no` or `1e5` mean something else without.
fn quoted(text: &str) -> String {
    let mut scalar = String::with_capacity(text.len() + 2);
    scalar.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => scalar.extend(['\\', c]),
            '$' => scalar.push_str("$$"),
            _ if is_special(c) => append(&mut scalar, format_args!("\\U{:08x}", u32::from(c))),
            _ => scalar.push(c),
        }
    }
    scalar.push('"');
    scalar
}

/// A comment must not end early: nothing that any YAML version takes for a line break gets in.
fn single_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_special(c) { ' ' } else { c })
        .collect()
}

/// Whether a character breaks lines in some YAML version or may not stand in a YAML file.
fn is_special(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// The first 100 bits of the SHA-256 of `text`, in lower-case base 32.
fn digest(text: &str) -> String {
    const ALPHABET: [u8; 32] = *b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::digest(text.as_bytes());
    let bit = |index: usize| usize::from(hash[index / 8] >> (7 - index % 8) & 1);
    (0..DIGEST_LENGTH)
        .map(|at| (0..5).fold(0, |value, offset| value << 1 | bit(at * 5 + offset)))
        .map(|value| char::from(ALPHABET[value]))
        .collect()
}

fn append(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests;
