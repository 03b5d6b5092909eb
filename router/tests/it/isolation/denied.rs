//! The backends' own insides: out of reach for tenants, in whatever way the path is written.

use http::StatusCode;
use serde_json::json;

use super::{Signal, World};
use crate::support::{acme::of_acme, client::ask, victoria::Victoria};

/// What a tenant must never reach. `VictoriaMetrics` and `VictoriaLogs` serve most of these to anybody.
const PATHS: [&str; 24] = [
    "/internal/force_flush",
    "/internal/force_merge",
    "/internal/resetRollupResultCache",
    "/internal/select/query",
    "/internal/insert",
    "/api/v1/admin/tsdb/delete_series?match[]={__name__!=''}",
    "/api/v1/admin/tsdb/snapshot",
    "/tags/delSeries?path=acmemark",
    "/snapshot/create",
    "/snapshot/list",
    "/snapshot/delete_all",
    "/metrics",
    "/flags",
    "/config",
    "/api/v1/status/config",
    "/targets",
    "/api/v1/targets",
    "/target_response",
    "/service-discovery",
    "/debug/pprof/cmdline",
    "/-/reload",
    "/delete/run_task?filter=*",
    "/select/tenant_ids",
    "/select/0/prometheus/api/v1/query?query=1",
];

#[tokio::test]
async fn insides_of_the_backends_are_out_of_reach_in_every_spelling() {
    let world = World::start(json!({})).await;
    let metrics = &world.acme.metrics;
    metrics.import_metrics("acmemark 1\n").await;
    let before = [counted(metrics).await, counted(&world.acme.logs).await];

    for path in PATHS {
        for spelling in spellings(path) {
            for (signal, port) in [
                (Signal::Metrics, &world.metrics),
                (Signal::Logs, &world.logs),
            ] {
                for (address, target) in [
                    (port.address(), spelling.clone()),
                    (world.mirador.address(), spelling.clone()),
                    (world.mirador.address(), prefixed(signal, &spelling)),
                ] {
                    for method in ["GET", "POST"] {
                        let line = format!("{method} {target}");
                        let reply = ask(address, of_acme(&line, "Content-Length: 0\r\n")).await;
                        let reply = reply.expect("a reply");
                        assert_eq!(reply.status(), 403, "{line}: {reply:?}");
                        assert!(reply.body.text().contains("not for tenants"), "{reply:?}");
                    }
                }
            }
        }
    }

    let after = [counted(metrics).await, counted(&world.acme.logs).await];
    // Our own look at the count is one of those counted.
    assert_eq!(after, before.map(|count| count + 1), "nothing came through");
    assert!(
        world
            .acme
            .dump(Signal::Metrics, 0)
            .await
            .contains("acmemark")
    );
    let snapshots = metrics.fetch("/snapshot/list").await;
    assert!(snapshots.contains("\"snapshots\":[]"), "{snapshots}");
}

#[tokio::test]
async fn dots_that_could_lead_elsewhere_are_refused() {
    let world = World::start(json!({})).await;
    let targets = [
        "/api/v1/../../internal/force_flush",
        "/select/%2e%2e/internal/force_flush",
        "/./metrics",
        "/api/v1/query/..%2f..%2f..%2fmetrics",
        "/vm/../metrics",
    ];
    for target in targets {
        let reply = ask(
            world.mirador.address(),
            of_acme(&format!("GET {target}"), ""),
        )
        .await;
        let reply = reply.expect("a reply");
        assert_eq!(reply.status(), 400, "{target}: {reply:?}");
        assert!(reply.body.text().contains("malformed_path"), "{reply:?}");
    }
}

#[tokio::test]
async fn what_only_looks_like_them_is_served() {
    let world = World::start(json!({})).await;
    world.acme.metrics.import_metrics("acmemark 1\n").await;
    for path in [
        "/metrics/find?query=*",
        "/metrics/index.json",
        "/tags",
        "/api/v1/status/tsdb",
    ] {
        let reply = world.mirador.get("acme", path).await;
        assert_eq!(reply.status(), StatusCode::OK, "{path}");
    }
}

/// The same path as a backend would read it, in the ways it can be written.
fn spellings(path: &str) -> Vec<String> {
    let (path, query) = path
        .split_once('?')
        .map_or((path, String::new()), |(path, query)| {
            (path, format!("?{query}"))
        });
    let rest = &path[1..];
    let first = rest.as_bytes()[0];
    let encoded: String = rest
        .bytes()
        .map(percent_encoding::percent_encode_byte)
        .collect();
    [
        path.to_owned(),
        format!("//{rest}"),
        format!("/%{first:02x}{}", &rest[1..]),
        format!("/{}", rest.replace('/', "%2F")),
        format!("/{}", rest.replace('/', "//")),
        format!("/{encoded}"),
        format!("/%2f{rest}"),
        format!("{path}/"),
        format!("/prometheus{path}"),
        format!("/graphite//prometheus{path}"),
    ]
    .into_iter()
    .map(|spelling| spelling + &query)
    .collect()
}

fn prefixed(signal: Signal, path: &str) -> String {
    let prefix = if signal == Signal::Logs { "/vl" } else { "/vm" };
    format!("{prefix}{path}")
}

/// How many requests a backend has been asked in its life.
async fn counted(backend: &Victoria) -> u64 {
    let page = backend.fetch("/metrics").await;
    page.lines()
        .find_map(|line| line.strip_prefix("vm_http_requests_all_total "))
        .and_then(|count| count.parse().ok())
        .expect("a count")
}
