use proptest::prelude::*;
use tenant_store::model::Signal::{Logs, Metrics, Traces};

use super::*;

/// What is served on the listener of all signals, or of this one.
fn on(signal: Option<Signal>) -> Served {
    Served {
        signal,
        status_page: false,
    }
}

fn forwarded(path: &str) -> (Signal, Operation, usize) {
    match classify(path, Served::default()) {
        Classified {
            signal: Some(signal),
            verdict: Verdict::Forward { operation, strip },
            ..
        } => (signal, operation, strip),
        other => panic!("{path} is not forwarded: {other:?}"),
    }
}

#[test]
fn every_native_path_finds_its_signal_and_operation() {
    use Operation::{Export, Import, Read, Tail, Unknown, Write};
    let cases = [
        ("/api/v1/query", Metrics, Read),
        ("/api/v1/query_range", Metrics, Read),
        ("/prometheus/api/v1/query", Metrics, Read),
        ("/api/v1/label/job/values", Metrics, Read),
        ("/api/v1/status/buildinfo", Metrics, Read),
        ("/graphite/render", Metrics, Read),
        ("/metrics/find/", Metrics, Read),
        ("/tags/host", Metrics, Read),
        ("/vmui/", Metrics, Read),
        ("/api/v1/export", Metrics, Export),
        ("/prometheus/api/v1/export/native", Metrics, Export),
        ("/federate", Metrics, Export),
        ("/api/v1/write", Metrics, Write),
        ("/prometheus/api/v1/write", Metrics, Write),
        ("/opentelemetry/v1/metrics", Metrics, Write),
        ("/datadog/api/v2/series", Metrics, Write),
        ("/api/v1/import", Metrics, Import),
        ("/api/v1/import/prometheus/metrics/job/x", Metrics, Import),
        ("/influx/write", Metrics, Import),
        ("/select/logsql/query", Logs, Export),
        ("/select/logsql/hits", Logs, Read),
        ("/select/logsql/tail", Logs, Tail),
        ("/insert/jsonline", Logs, Import),
        ("/insert/elasticsearch/_bulk", Logs, Import),
        ("/insert/loki/api/v1/push", Logs, Write),
        ("/insert/opentelemetry/v1/logs", Logs, Write),
        ("/select/jaeger/api/services", Traces, Read),
        ("/select/tempo/api/search", Traces, Read),
        ("/insert/opentelemetry/v1/traces", Traces, Write),
        (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Traces,
            Write,
        ),
        (
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Logs,
            Write,
        ),
        (
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Metrics,
            Write,
        ),
        ("/api/v9/brand-new", Metrics, Unknown),
    ];
    for (path, signal, operation) in cases {
        assert_eq!(forwarded(path), (signal, operation, 0), "{path}");
    }
}

#[test]
fn prefixes_choose_the_signal_and_are_stripped() {
    assert_eq!(
        forwarded("/vt/select/logsql/query"),
        (Traces, Operation::Export, 3)
    );
    assert_eq!(
        forwarded("/vl/select/logsql/tail"),
        (Logs, Operation::Tail, 3)
    );
    assert_eq!(forwarded("/vm/api/v1/query"), (Metrics, Operation::Read, 3));
    assert_eq!(forwarded("/vm"), (Metrics, Operation::Read, 3));
    assert_eq!(
        forwarded("/vmui/").2,
        0,
        "a longer first segment is no prefix"
    );
}

#[test]
fn a_one_signal_listener_takes_paths_as_they_are() {
    let classified = classify("/select/logsql/query", on(Some(Traces)));
    assert_eq!(classified.signal, Some(Traces));
    let prefixed = classify("/vm/api/v1/query", on(Some(Logs)));
    let unknown = Verdict::Forward {
        operation: Operation::Unknown,
        strip: 0,
    };
    assert_eq!((prefixed.signal, prefixed.verdict), (Some(Logs), unknown));
}

#[test]
fn health_paths_are_the_routers_own() {
    for path in [
        "/health",
        "/-/healthy",
        "/-/ready",
        "/ready",
        "//health",
        "/prometheus/-/healthy",
    ] {
        let classified = classify(path, Served::default());
        assert_eq!(
            (classified.signal, classified.verdict),
            (None, Verdict::HealthCheck),
            "{path}"
        );
    }
    assert_eq!(classify("/vl/health", Served::default()).signal, Some(Logs));
    assert_eq!(classify("/health", on(Some(Traces))).signal, Some(Traces));
}

#[test]
fn the_page_of_all_tenants_hides_its_own_paths_and_only_where_it_is_shown() {
    let shown = Served {
        status_page: true,
        ..Served::default()
    };
    for path in [
        "/health/tenants",
        "/health/assets/",
        "/health/assets/v/mirador.css",
    ] {
        assert_eq!(classify(path, shown).verdict, Verdict::StatusPage, "{path}");
        assert_eq!(forwarded(path), (Metrics, Operation::Unknown, 0), "{path}");
    }
    for path in [
        "/health/tenants/",
        "/health/tenant",
        "/health/router",
        "/health/assets",
        "//health/tenants",
        "/health/%74enants",
        "/vm/health/tenants",
        "/api/v1/query",
    ] {
        let verdict = classify(path, shown).verdict;
        assert!(matches!(verdict, Verdict::Forward { .. }), "{path}");
    }
    assert_eq!(classify("/health", shown).verdict, Verdict::HealthCheck);
}

#[test]
fn errors_come_in_the_dialect_of_the_path() {
    let cases = [
        ("/api/v1/query", Dialect::Prometheus),
        ("/select/logsql/query", Dialect::Text),
        ("/select/logsql/stats_query_range", Dialect::Prometheus),
        ("/select/jaeger/api/traces", Dialect::Jaeger),
        ("/insert/opentelemetry/v1/traces", Dialect::Text),
        (
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Dialect::Grpc,
        ),
    ];
    for (path, dialect) in cases {
        assert_eq!(classify(path, Served::default()).dialect, dialect, "{path}");
    }
}

/// One path below each denied handler of the three backends.
const DENIED: [&str; 14] = [
    "/internal/force_flush",
    "/api/v1/admin/tsdb/delete_series",
    "/snapshot/create",
    "/-/reload",
    "/config",
    "/flags",
    "/metrics",
    "/debug/pprof/heap",
    "/tags/delSeries",
    "/delete/run_task",
    "/select/tenant_ids",
    "/select/multitenant/logsql/query",
    "/insert/multitenant/native",
    "/select/42/prometheus/api/v1/query",
];

/// What the backends do to a path before they look up its handler: decode once, collapse slashes.
fn as_a_backend_reads_it(raw: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(raw)
        .decode_utf8()
        .ok()?;
    let mut path = decoded.into_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    Some(path)
}

/// A path with each character perhaps escaped and each slash perhaps repeated.
fn disguised(path: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec((0_u8..6, 1_usize..3), path.len()).prop_map(move |choices| {
        let disguise = |(c, (kind, times)): (char, (u8, usize))| match kind {
            0 => format!("%{:02x}", c as u32),
            1 => format!("%{:02X}", c as u32),
            _ if c == '/' => "/".repeat(times),
            _ => c.to_string(),
        };
        let rest: String = path.chars().zip(choices).skip(1).map(disguise).collect();
        format!("/{rest}")
    })
}

proptest! {
    #[test]
    fn no_encoding_of_a_denied_path_gets_through(
        raw in prop::sample::select(&DENIED[..]).prop_flat_map(disguised),
        mount in prop::sample::select(&["", "/prometheus", "/vm", "/vl", "/vt", "/vm/prometheus"][..]),
        slash in prop::sample::select(&["", "/", "//"][..]),
    ) {
        for listener in [None, Some(Metrics), Some(Logs), Some(Traces)] {
            // On a one-signal listener the router's prefixes are no prefixes to anybody.
            if listener.is_some() && mount.starts_with("/v") {
                continue;
            }
            let classified = classify(&format!("{mount}{raw}{slash}"), on(listener));
            prop_assert_eq!(classified.verdict, Verdict::Denied);
        }
    }

    #[test]
    fn what_is_forwarded_reads_the_same_to_a_backend(raw in "/[a-z/.%0-9]{0,24}") {
        let classified = classify(&raw, Served::default());
        if let Verdict::Forward { strip, .. } = classified.verdict {
            let seen = as_a_backend_reads_it(&raw[strip..]).expect("a forwarded path decodes");
            prop_assert!(!seen.split('/').any(|segment| segment == "." || segment == ".."));
            prop_assert!(!deny::is_denied(&seen), "{seen}");
        }
    }

    #[test]
    fn no_path_panics(raw in "\\PC*", signal in prop::option::of(prop::sample::select(&Signal::ALL[..]))) {
        classify(&raw, on(signal));
    }
}
