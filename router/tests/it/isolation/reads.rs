//! Every class of reading.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{NAMES, Signal, TENANTS, TracesBackend, World};
use crate::support::{eventually, mirador::http_client, traces::otlp};

/// Paths whose answers show the mark of whoever's data it is, with their arguments as a form.
const METRICS: [(&str, &str); 33] = [
    ("/api/v1/query", "query={mark!=''}"),
    ("/prometheus/api/v1/query", "query={mark!=''}"),
    ("/api/v1/query_range", "query={mark!=''}&start=-1h&step=30s"),
    ("/api/v1/series", "match[]={mark!=''}"),
    ("/api/v1/labels", ""),
    ("/api/v1/label/mark/values", ""),
    ("/api/v1/label/__name__/values", ""),
    ("/api/v1/status/tsdb", ""),
    ("/api/v1/export", "match[]={mark!=''}"),
    (
        "/api/v1/export/csv",
        "match[]={mark!=''}&format=mark,__value__",
    ),
    ("/api/v1/export/native", "match[]={mark!=''}"),
    ("/federate", "match[]={mark!=''}"),
    ("/prometheus/federate", "match[]={mark!=''}"),
    ("/render", "target=*.orders&format=json&from=-10min"),
    (
        "/graphite/render",
        "target=*.orders&format=json&from=-10min",
    ),
    ("/metrics/find", "query=*"),
    ("/metrics/find/", "query=*"),
    ("/graphite/metrics/find", "query=*"),
    ("/metrics/expand", "query=*"),
    ("/metrics/index.json", ""),
    ("/tags", ""),
    ("/tags/mark", ""),
    ("/tags/findSeries", "expr=mark!=x"),
    ("/tags/autoComplete/tags", ""),
    ("/tags/autoComplete/values", "tag=mark"),
    ("//api//v1/query", "query={mark!=''}"),
    ("/%61pi/v1/query", "query={mark!=''}"),
    ("/api/v1%2Fquery", "query={mark!=''}"),
    ("/api/v1/labels", "match[]={mark!=''}"),
    ("/api/v1/query", "query=group by (mark) ({mark!=''})"),
    (
        "/api/v1/query",
        "query={mark!=''}&extra_label=a=b&extra_label=mark={own}",
    ),
    ("/api/v1/query", "query={mark!=''}[10m]"),
    ("/api/v1/export", "match[]={mark!=''}&reduce_mem_usage=1"),
];

const LOGS: [(&str, &str); 10] = [
    ("/select/logsql/query", "query=*"),
    ("/select/logsql/hits", "query=*&step=1h&field=app"),
    ("/select/logsql/facets", "query=*&keep_const_fields=1"),
    (
        "/select/logsql/stats_query",
        "query=* | stats by (app) count()",
    ),
    (
        "/select/logsql/stats_query_range",
        "query=* | stats by (app) count()&start=1h&step=1h",
    ),
    ("/select/logsql/field_names", "query=*"),
    ("/select/logsql/field_values", "query=*&field=app"),
    ("/select/logsql/streams", "query=*"),
    ("/select/logsql/stream_field_names", "query=*"),
    ("/select/logsql/stream_field_values", "query=*&field=app"),
];

const TRACES: [(&str, &str); 4] = [
    ("/select/jaeger/api/services", ""),
    ("/select/jaeger/api/services/{own}/operations", ""),
    ("/select/jaeger/api/traces", "service={own}"),
    ("/select/jaeger/api/traces/{trace}", ""),
];

#[tokio::test]
async fn metrics_are_read_by_their_own_tenant_only() {
    let world = World::start(json!({})).await;
    load_metrics(&world).await;
    read_all(&world, Signal::Metrics, &METRICS).await;
}

#[tokio::test]
async fn answers_without_names_are_those_of_the_own_backend() {
    let world = World::start(json!({})).await;
    load_metrics(&world).await;
    load_logs(&world).await;
    // One tenant has more series than the other, so that counts tell them apart.
    world
        .globex
        .metrics
        .import_metrics("one_more{mark=\"globexmark\"} 1\n")
        .await;
    let paths = [
        (Signal::Metrics, "/api/v1/series/count"),
        (Signal::Metrics, "/federate?match[]={mark!=''}"),
        (Signal::Logs, "/select/logsql/stream_ids?query=*"),
    ];
    for (signal, path) in paths {
        let mut answers = BTreeMap::new();
        for (tenant, _) in TENANTS {
            let direct = world.backends(tenant).url(signal) + path;
            let answer = eventually("the same answer by all ways", async || {
                let expected = http_client()
                    .get(&direct)
                    .send()
                    .await
                    .ok()?
                    .text()
                    .await
                    .ok()?;
                for url in world.ways(signal, path) {
                    let request = world.request(Method::GET, &url, NAMES[0], tenant);
                    let routed = request.send().await.ok()?.text().await.ok()?;
                    if routed != expected {
                        return None;
                    }
                }
                Some(expected)
            })
            .await;
            answers.insert(tenant, answer);
        }
        assert_ne!(
            answers["acme"], answers["globex"],
            "{path} tells them apart"
        );
    }
}

#[tokio::test]
async fn logs_are_read_by_their_own_tenant_only() {
    let world = World::start(json!({})).await;
    load_logs(&world).await;
    read_all(&world, Signal::Logs, &LOGS).await;
}

#[tokio::test]
async fn traces_are_read_by_their_own_tenant_only() {
    let world = World::start(json!({})).await;
    load_traces(&world).await;
    read_all(&world, Signal::Traces, &TRACES).await;
}

#[tokio::test]
async fn traces_of_real_servers_are_read_by_their_own_tenant_only() {
    let Some(world) = World::with_real_traces().await else {
        eprintln!("skipped: MIRADOR_TEST_VICTORIA_TRACES names no victoria-traces");
        return;
    };
    load_traces(&world).await;
    read_all(&world, Signal::Traces, &TRACES).await;
}

/// Asks for each path in every way, by every header, and by GET and as a form.
async fn read_all(world: &World, signal: Signal, paths: &[(&str, &str)]) {
    // Jaeger's API takes its arguments from the URL alone.
    let methods: &[Method] = match signal {
        Signal::Traces => &[Method::GET],
        Signal::Metrics | Signal::Logs => &[Method::GET, Method::POST],
    };
    for (path, form) in paths {
        for (position, (tenant, own)) in TENANTS.into_iter().enumerate() {
            let (_, other) = TENANTS[1 - position];
            let fill = |text: &str| {
                let trace = format!("{:02x}", position + 1).repeat(16);
                text.replace("{own}", own).replace("{trace}", &trace)
            };
            for url in world.ways(signal, &fill(path)) {
                for name in NAMES {
                    for method in methods {
                        let request = Request {
                            method: method.clone(),
                            url: &url,
                            name,
                            tenant,
                            form: &fill(form),
                        };
                        request.shows(world, own, other).await;
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct Request<'a> {
    method: Method,
    url: &'a str,
    name: &'a str,
    tenant: &'a str,
    form: &'a str,
}

impl Request<'_> {
    /// Waits until the answer shows `own` mark, and fails once it shows the `other`.
    async fn shows(&self, world: &World, own: &str, other: &str) {
        let pairs: Vec<(&str, &str)> = self
            .form
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        eventually(&format!("{own} in the answer to {self:?}"), async || {
            let request = world.request(self.method.clone(), self.url, self.name, self.tenant);
            let request = if self.method == Method::POST {
                let body = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(&pairs)
                    .finish();
                request
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(body)
            } else {
                request.query(&pairs)
            };
            let reply = request.send().await.expect("an answer");
            let status = reply.status();
            assert_eq!(reply.headers().get("x-server-hostname"), None, "{self:?}");
            let text = reply.text().await.expect("a whole body");
            // A real VictoriaTraces knows a trace only after a while.
            if status == StatusCode::NOT_FOUND {
                return None;
            }
            assert_eq!(status, StatusCode::OK, "{self:?}: {text}");
            assert!(!text.contains(other), "{self:?} shows {other}: {text}");
            text.contains(own).then_some(())
        })
        .await;
    }
}

async fn load_metrics(world: &World) {
    let now = Timestamp::now().as_millisecond();
    for (tenant, mark) in TENANTS {
        let line = json!({
            "metric": {"__name__": format!("{mark}.orders"), "mark": mark, format!("{mark}_label"): "a", "a": "b"},
            "values": [1, 2],
            "timestamps": [now - 120_000, now - 60_000],
        });
        let metrics = &world.backends(tenant).metrics;
        send(
            &metrics.url(),
            "/api/v1/import",
            "application/json",
            line.to_string(),
        )
        .await;
        metrics.flush().await;
    }
}

async fn load_logs(world: &World) {
    for (tenant, mark) in TENANTS {
        let line: Value = json!({
            "date": Timestamp::now(),
            "_msg": format!("{mark} says hello"),
            "app": mark,
            format!("{mark}_field"): "a",
        });
        let path = format!("/insert/jsonline?_time_field=date&_stream_fields=app,{mark}_field");
        let logs = &world.backends(tenant).logs;
        send(
            &logs.url(),
            &path,
            "application/stream+json",
            line.to_string(),
        )
        .await;
    }
}

async fn load_traces(world: &World) {
    for (seed, (tenant, mark)) in (1..).zip(TENANTS) {
        let now = u64::try_from(Timestamp::now().as_nanosecond()).expect("a time after 1970");
        let span = otlp::write_span(mark, &format!("{mark} checkout"), seed, now);
        let backends = world.backends(tenant);
        let path = "/insert/opentelemetry/v1/traces";
        send(
            &backends.url(Signal::Traces),
            path,
            "application/x-protobuf",
            span,
        )
        .await;
        if let TracesBackend::Real(real) = &backends.traces {
            real.flush().await;
        }
    }
}

async fn send(url: &str, path: &str, kind: &str, body: impl Into<reqwest::Body>) {
    let request = http_client()
        .post(format!("{url}{path}"))
        .header("Content-Type", kind)
        .body(body);
    let reply = request.send().await.expect("an answer");
    assert!(reply.status().is_success(), "{path}: {reply:?}");
}
