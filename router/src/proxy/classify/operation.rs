//! What kind of operation a path is: what may be sent twice, and which deadlines bind it.

use tenant_store::model::{Access, Signal};

/// Full method names of OTLP over gRPC begin so.
pub(super) const GRPC_PREFIX: &str = "/opentelemetry.proto.collector.";

/// What kind of operation a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A query with a bounded answer: may be sent again until the answer begins.
    Read,
    /// A query whose answer streams without bound: as a read, bound by idleness only.
    Export,
    /// A live stream that may be silent for as long as nothing happens: as a read, without bound
    /// once it flows.
    Tail,
    /// Ingestion: never sent twice.
    Write,
    /// Ingestion that streams without bound: as a write, bound by idleness only.
    Import,
    /// A path this version does not know: never sent twice, bound like a read.
    Unknown,
}

impl Operation {
    /// Classifies a canonical path of a signal's backend.
    pub(super) fn of(signal: Signal, path: &str) -> Self {
        if path.starts_with(GRPC_PREFIX) {
            return Self::Write;
        }
        match signal {
            Signal::Metrics => metrics(path),
            Signal::Logs | Signal::Traces => logs_or_traces(path),
        }
    }

    /// Whether the same request may be sent to another endpoint after it has reached one.
    pub const fn is_repeatable(self) -> bool {
        matches!(self, Self::Read | Self::Export | Self::Tail)
    }

    /// Whether a sender that is turned away must be told to keep its data and try again.
    pub const fn is_ingestion(self) -> bool {
        matches!(self, Self::Write | Self::Import)
    }

    /// What a key has to permit for it.
    pub const fn access(self) -> Access {
        match self {
            Self::Read | Self::Export | Self::Tail => Access::Read,
            Self::Write | Self::Import => Access::Write,
            Self::Unknown => Access::Admin,
        }
    }

    /// The name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Export => "export",
            Self::Tail => "tail",
            Self::Write => "write",
            Self::Import => "import",
            Self::Unknown => "unknown",
        }
    }
}

/// Which backend a path belongs to where the listener serves all three.
///
/// `/select/logsql/` and `/select/vmui/` exist on logs and traces backends alike and mean logs
/// unless the `/vt` prefix says otherwise.
pub(super) fn signal_of(path: &str) -> Signal {
    if let Some(service) = path.strip_prefix(GRPC_PREFIX) {
        return match service.split('.').next() {
            Some("logs") => Signal::Logs,
            Some("trace") => Signal::Traces,
            _ => Signal::Metrics,
        };
    }
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    if begins(&TRACES) {
        Signal::Traces
    } else if begins(&LOGS) {
        Signal::Logs
    } else {
        Signal::Metrics
    }
}

const TRACES: [&str; 3] = [
    "/select/jaeger",
    "/select/tempo",
    "/insert/opentelemetry/v1/traces",
];
const LOGS: [&str; 4] = [
    "/select/",
    "/insert/",
    "/services/collector",
    "/api/v2/logs",
];

/// A path of the metrics backend without what may stand around it.
pub(super) fn metrics_path(path: &str) -> &str {
    let path = path
        .strip_prefix("/prometheus")
        .filter(|p| p.starts_with('/'))
        .unwrap_or(path);
    let path = path
        .strip_prefix("/graphite")
        .filter(|p| p.starts_with('/'))
        .unwrap_or(path);
    if path.len() > 1 {
        path.trim_end_matches('/')
    } else {
        path
    }
}

fn metrics(path: &str) -> Operation {
    let path = metrics_path(path);
    match path {
        "/federate" | "/api/v1/export" | "/api/v1/export/csv" | "/api/v1/export/native" => {
            Operation::Export
        }
        "/api/v1/query"
        | "/api/v1/query_range"
        | "/api/v1/query_exemplars"
        | "/api/v1/series"
        | "/api/v1/series/count"
        | "/api/v1/labels"
        | "/api/v1/metadata"
        | "/api/v1/rules"
        | "/api/v1/alerts"
        | "/api/v1/notifiers"
        | "/rules"
        | "/alerts"
        | "/notifiers"
        | "/render"
        | "/metrics/find"
        | "/metrics/expand"
        | "/metrics/index.json"
        | "/tags"
        | "/tags/findSeries"
        | "/functions"
        | "/prettify-query"
        | "/expand-with-exprs"
        | "/metric-relabel-debug"
        | "/query"
        | "/influx/query"
        | "/influx/health"
        | "/" => Operation::Read,
        "/api/v1/import"
        | "/api/v1/import/csv"
        | "/api/v1/import/native"
        | "/write"
        | "/api/v2/write"
        | "/influx/write"
        | "/influx/api/v2/write" => Operation::Import,
        "/api/v1/write" | "/api/v1/push" | "/tags/tagSeries" | "/tags/tagMultiSeries" => {
            Operation::Write
        }
        _ => metrics_by_prefix(path),
    }
}

fn metrics_by_prefix(path: &str) -> Operation {
    const READS: [&str; 7] = [
        "/api/v1/label/",
        "/api/v1/status/",
        "/functions/",
        "/graph",
        "/tags/autoComplete/",
        "/vmalert",
        "/vmui",
    ];
    const WRITES: [&str; 4] = [
        "/opentelemetry/",
        "/datadog/",
        "/newrelic",
        "/zabbixconnector/",
    ];
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
    if path.starts_with("/api/v1/import/prometheus") {
        Operation::Import
    } else if begins(&WRITES) {
        Operation::Write
    } else if begins(&READS) || is_single_tag(path) {
        Operation::Read
    } else {
        Operation::Unknown
    }
}

/// `/tags/{tag}` of the Graphite API.
fn is_single_tag(path: &str) -> bool {
    path.strip_prefix("/tags/")
        .is_some_and(|tag| !tag.contains('/'))
}

fn logs_or_traces(path: &str) -> Operation {
    match path {
        "/select/logsql/tail" => Operation::Tail,
        "/select/logsql/query" => Operation::Export,
        "/insert/jsonline"
        | "/insert/elasticsearch/_bulk"
        | "/insert/journald/upload"
        | "/insert/native" => Operation::Import,
        _ if path.starts_with("/insert/")
            || path.starts_with("/services/collector")
            || path == "/api/v2/logs" =>
        {
            Operation::Write
        }
        _ if path.starts_with("/select/") => Operation::Read,
        _ => Operation::Unknown,
    }
}
