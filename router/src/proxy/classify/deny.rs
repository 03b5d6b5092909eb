//! The paths that tenants never reach: internal, administrative, destructive, revealing the
//! backend's configuration, or crossing tenants within it.
//!
//! A deny list rather than an allow list, so that new query and ingestion paths of the backends
//! work on the day they come. It is one list for all signals: no backend has a tenant's path where
//! another has an internal one.

/// Prefixes under which the backends serve their whole tree once more.
const MOUNTS: [&str; 4] = ["/prometheus", "/graphite", "/vmalert", "/select/vmalert"];

/// Denied with everything below.
const TREES: [&str; 22] = [
    "/-",
    "/admin",
    "/api/v1/admin",
    "/api/v1/status/config",
    "/api/v1/target-relabel-debug",
    "/api/v1/targets",
    "/config",
    "/debug",
    "/delete",
    "/expvar",
    "/flags",
    "/insert/multitenant",
    "/internal",
    "/reload",
    "/select/multitenant",
    "/select/tenant_ids",
    "/service-discovery",
    "/snapshot",
    "/tags/delSeries",
    "/target-relabel-debug",
    "/target_response",
    "/targets",
];

/// Paths of the clustered backends whose next segment names a tenant of the backend.
const TENANT_TREES: [&str; 2] = ["/select/", "/insert/"];

/// Whether a canonical path is out of bounds.
pub(super) fn is_denied(path: &str) -> bool {
    let path = below_mounts(path);
    TREES.iter().any(|tree| is_within(path, tree))
        || path.trim_end_matches('/') == "/metrics"
        || TENANT_TREES
            .iter()
            .any(|tree| names_backend_tenant(path, tree))
}

/// Strips mounts for as long as there is one: `/prometheus/graphite/config` is `/config`.
fn below_mounts(mut path: &str) -> &str {
    while let Some(below) = MOUNTS.iter().find_map(|mount| {
        path.strip_prefix(mount)
            .filter(|below| below.starts_with('/'))
    }) {
        path = below;
    }
    path
}

fn is_within(path: &str, tree: &str) -> bool {
    // Most differ in the first letter already, and are asked about with every request.
    let letter = |path: &str| path.as_bytes().get(1).copied();
    letter(path) == letter(tree)
        && path
            .strip_prefix(tree)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `/select/42/…` and `/insert/42:7/…` name tenant 42 of the backend.
fn names_backend_tenant(path: &str, tree: &str) -> bool {
    path.strip_prefix(tree)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::is_denied;

    #[test]
    fn every_internal_path_of_the_backends_is_denied() {
        let cases = [
            "/internal/force_flush",
            "/internal/select/query",
            "/internal/insert",
            "/internal/delete/run_task",
            "/internal/resetRollupResultCache",
            "/api/v1/admin/tsdb/delete_series",
            "/api/v1/admin/tsdb/snapshot",
            "/api/v1/admin/status/metric_names_stats/reset",
            "/tags/delSeries",
            "/snapshot",
            "/snapshot/create",
            "/snapshot/delete_all",
            "/-/reload",
            "/config",
            "/api/v1/status/config",
            "/targets",
            "/api/v1/targets",
            "/service-discovery",
            "/target_response",
            "/target-relabel-debug",
            "/flags",
            "/metrics",
            "/metrics/",
            "/debug/pprof/heap",
            "/delete/run_task",
            "/delete/0/prometheus/api/v1/admin/tsdb/delete_series",
            "/admin/tenants",
            "/select/tenant_ids",
            "/select/multitenant/prometheus/api/v1/query",
            "/select/multitenant/logsql/query",
            "/insert/multitenant/native",
            "/select/0/prometheus/api/v1/query",
            "/insert/42:7/prometheus/api/v1/write",
            "/prometheus/config",
            "/prometheus/api/v1/admin/tsdb/delete_series",
            "/prometheus/prometheus/metrics",
            "/graphite/tags/delSeries",
            "/vmalert/-/reload",
            "/vmalert/metrics",
            "/select/vmalert/flags",
        ];
        for path in cases {
            assert!(is_denied(path), "{path}");
        }
    }

    #[test]
    fn what_tenants_use_is_not() {
        let cases = [
            "/api/v1/query",
            "/prometheus/api/v1/query",
            "/metrics/find",
            "/metrics/index.json",
            "/tags/tagSeries",
            "/api/v1/status/tsdb",
            "/select/logsql/query",
            "/select/logsql/multitenant",
            "/select/vmui/",
            "/insert/jsonline",
            "/insert/native",
            "/select/jaeger/api/traces/0123",
            "/api/v1/import/prometheus/metrics/job/config",
            "/vmalert/api/v1/rules",
            "/configuration",
            "/api/v1/label/config/values",
        ];
        for path in cases {
            assert!(!is_denied(path), "{path}");
        }
    }
}
