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

/// Renders the provisioning file that gives Grafana the data sources of `tenants` through the
/// router at `router_url`.
///
/// Grafana (11.1 or newer) removes the data sources that an earlier version of the file had.
/// Data sources for logs need the plug-in `victoriametrics-logs-datasource`.
pub fn provisioning(tenants: &[TenantAccess], router_url: &str) -> String {
    let mut file = String::from("apiVersion: 1\nprune: true\n");
    if tenants.iter().all(|tenant| tenant.signals.is_empty()) {
        file.push_str("datasources: []\n");
        return file;
    }
    file.push_str("datasources:\n");
    for tenant in tenants {
        render_tenant(&mut file, tenant, router_url.trim_end_matches('/'));
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

fn render_tenant(file: &mut String, tenant: &TenantAccess, router_url: &str) {
    if !tenant.signals.is_empty() {
        append(
            file,
            format_args!("  # {}\n", single_line(&tenant.display_name)),
        );
    }
    for &signal in &tenant.signals {
        let name = quoted(&format!("{} {signal}", tenant.id));
        let uid = quoted(&datasource_uid(&tenant.id, signal));
        let (kind, path) = source_type(signal);
        let url = quoted(&format!("{router_url}{path}"));
        let header_value = quoted(tenant.id.as_str());
        append(
            file,
            format_args!(
                "  - name: {name}\n    uid: {uid}\n    type: {kind}\n    access: proxy\n    url: {url}\n    \
                 jsonData:\n{}      httpHeaderName1: X-Tenant-ID\n    \
                 secureJsonData:\n      httpHeaderValue1: {header_value}\n",
                type_options(signal),
            ),
        );
    }
}

/// The data source plug-in that speaks a signal's query language, and where its API begins.
const fn source_type(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Metrics => ("prometheus", ""),
        Signal::Logs => ("victoriametrics-logs-datasource", ""),
        Signal::Traces => ("jaeger", "/select/jaeger"),
    }
}

/// POST spares long queries the limits on URLs. The version is the one whose query functions
/// `VictoriaMetrics` says to offer.
const fn type_options(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => concat!(
            "      httpMethod: POST\n",
            "      prometheusType: Prometheus\n",
            "      prometheusVersion: 2.24.0\n",
            "      timeInterval: 15s\n",
        ),
        Signal::Logs | Signal::Traces => "",
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
