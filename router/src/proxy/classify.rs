//! Which signal a request is for, what kind of operation it is, and which path goes upstream.
//!
//! Decided from the path alone: the backends accept any method on nearly every path, so a method
//! says nothing. Matching is done on the *canonical* path (percent-decoded once, `//` collapsed),
//! because that is what the backends match on; what is forwarded is the raw one, byte for byte.
//! Knows no tenants and no endpoints.

mod canonical;
mod deny;
mod feature;
mod operation;

use tenant_store::model::Signal;

use crate::{pages::assets, public_page};

pub(super) use canonical::canonical;
pub use feature::feature_of;
pub use operation::Operation;

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    /// Whose backend it is for; `None` for a health check of everything, or the page.
    pub signal: Option<Signal>,
    /// The format errors are told in.
    pub dialect: Dialect,
    /// What is to be done.
    pub verdict: Verdict,
}

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it, less the first `strip` bytes of its path.
    Forward {
        /// What kind of operation it is.
        operation: Operation,
        /// Length of the router's own prefix (`/vm`, `/vl`, `/vt`), 0 without one.
        strip: usize,
    },
    /// Answer for the router's or the tenant's health.
    HealthCheck,
    /// Show the page of all tenants, or what it is made of.
    StatusPage,
    /// Not for tenants: internal, administrative or crossing tenants.
    Denied,
    /// Not a path: dot segments, or broken percent-encoding.
    Malformed,
}

/// The format in which a protocol's clients expect errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `{"status":"error","errorType":…,"error":…}`, as Prometheus' HTTP API has it.
    Prometheus,
    /// Plain text, as the log backends have it.
    Text,
    /// `{"data":null,"errors":[{"code":…,"msg":…}]}`, as Jaeger's query API has it.
    Jaeger,
    /// `grpc-status` and `grpc-message` in an empty 200.
    Grpc,
}

/// The router's own prefixes, for paths that several backends share.
const PREFIXES: [(&str, Signal); 3] = [
    ("/vm", Signal::Metrics),
    ("/vl", Signal::Logs),
    ("/vt", Signal::Traces),
];

/// What is served where a request came in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Served {
    /// The signal of a one-signal listener; there the path is the backend's own and no prefix is
    /// looked for.
    pub signal: Option<Signal>,
    /// Whether the page of all tenants is shown.
    pub status_page: bool,
}

/// Classifies a raw request path (without query).
pub fn classify(raw_path: &str, served: Served) -> Classified {
    // As it is written in pages, and in no other way: whatever else is a tenant's path.
    if served.status_page && is_status_page(raw_path) {
        return Classified {
            signal: served.signal,
            dialect: Dialect::Text,
            verdict: Verdict::StatusPage,
        };
    }
    let (prefixed, strip) = match served.signal {
        Some(signal) => (Some(signal), 0),
        None => own_prefix(raw_path),
    };
    // Without a path, a target is an authority, which is for CONNECT alone.
    let canonical = canonical(&raw_path[strip..]).filter(|_| !raw_path.is_empty());
    let Some(canonical) = canonical else {
        let signal = prefixed.unwrap_or(Signal::Metrics);
        let dialect = dialect(signal, "");
        return Classified {
            signal: Some(signal),
            dialect,
            verdict: Verdict::Malformed,
        };
    };
    let path = canonical.as_ref();
    if is_health_check(path) {
        let dialect = dialect(prefixed.unwrap_or(Signal::Metrics), path);
        return Classified {
            signal: prefixed,
            dialect,
            verdict: Verdict::HealthCheck,
        };
    }
    let signal = prefixed.unwrap_or_else(|| operation::signal_of(path));
    let verdict = if deny::is_denied(path) {
        Verdict::Denied
    } else {
        Verdict::Forward {
            operation: Operation::of(signal, path),
            strip,
        }
    };
    Classified {
        signal: Some(signal),
        dialect: dialect(signal, path),
        verdict,
    }
}

/// Finds `/vm`, `/vl` or `/vt` as a whole first segment.
fn own_prefix(raw_path: &str) -> (Option<Signal>, usize) {
    for (prefix, signal) in PREFIXES {
        if let Some(rest) = raw_path.strip_prefix(prefix)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return (Some(signal), prefix.len());
        }
    }
    (None, 0)
}

fn is_status_page(raw_path: &str) -> bool {
    raw_path.starts_with(assets::PREFIX) || raw_path == public_page::PATH
}

/// The paths that load balancers, Kubernetes and Grafana's "Save & test" ask.
fn is_health_check(path: &str) -> bool {
    // Grafana's data source URL may end with `/prometheus`.
    let path = path.strip_prefix("/prometheus").unwrap_or(path);
    matches!(path, "/health" | "/-/healthy" | "/-/ready" | "/ready")
}

fn dialect(signal: Signal, path: &str) -> Dialect {
    if path.starts_with(operation::GRPC_PREFIX) {
        return Dialect::Grpc;
    }
    match signal {
        Signal::Metrics => Dialect::Prometheus,
        Signal::Logs | Signal::Traces if path.starts_with("/select/logsql/stats_query") => {
            Dialect::Prometheus
        }
        Signal::Traces if path.starts_with("/select/jaeger/") => Dialect::Jaeger,
        Signal::Logs | Signal::Traces => Dialect::Text,
    }
}

#[cfg(test)]
mod tests;
