//! Every class of writing.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::{NAMES, Signal, TENANTS, World};
use crate::support::{eventually, traces::otlp};

/// A way to write one item that bears a mark.
struct Write {
    path: &'static str,
    kind: &'static str,
    body: fn(&str) -> Vec<u8>,
}

const METRICS: [Write; 15] = [
    Write {
        path: "/api/v1/import",
        kind: "application/json",
        body: jsonl,
    },
    Write {
        path: "/prometheus/api/v1/import",
        kind: "application/json",
        body: jsonl,
    },
    Write {
        path: "/api/v1/import/prometheus",
        kind: "text/plain",
        body: text_format,
    },
    Write {
        path: "/api/v1/import/prometheus/metrics/job/snapshot",
        kind: "text/plain",
        body: text_format,
    },
    Write {
        path: "/api/v1/import/csv?format=1:label:mark,2:metric:of_csv",
        kind: "text/csv",
        body: |mark| format!("{mark},1\n").into(),
    },
    Write {
        path: "/write?db=a",
        kind: "text/plain",
        body: influx,
    },
    Write {
        path: "/api/v2/write",
        kind: "text/plain",
        body: influx,
    },
    Write {
        path: "/influx/write",
        kind: "text/plain",
        body: influx,
    },
    Write {
        path: "/influx/api/v2/write",
        kind: "text/plain",
        body: influx,
    },
    Write {
        path: "/opentelemetry/v1/metrics",
        kind: "application/x-protobuf",
        body: |mark| otlp::write_gauge("shop", mark, nanos()),
    },
    Write {
        path: "/opentelemetry/api/v1/push",
        kind: "application/x-protobuf",
        body: |mark| otlp::write_gauge("shop", mark, nanos()),
    },
    Write {
        path: "/datadog/api/v1/series",
        kind: "application/json",
        body: |mark| {
            let points = json!([[Timestamp::now().as_second(), 1]]);
            json_bytes(&json!({"series": [{"metric": mark, "points": points}]}))
        },
    },
    Write {
        path: "/datadog/api/v2/series/",
        kind: "application/json",
        body: |mark| {
            let point = json!({"timestamp": Timestamp::now().as_second(), "value": 1});
            json_bytes(&json!({"series": [{"metric": mark, "points": [point]}]}))
        },
    },
    Write {
        path: "/newrelic/infra/v2/metrics/events/bulk",
        kind: "application/json",
        body: |mark| {
            let event = json!({
                "eventType": "SystemSample",
                "timestamp": Timestamp::now().as_second(),
                "cpuPercent": 1,
                "hostname": mark,
            });
            json_bytes(&json!([{"EntityID": 1, "IsAgent": true, "Events": [event]}]))
        },
    },
    Write {
        path: "/api/v1/write",
        kind: "application/x-protobuf",
        body: remote_write,
    },
];

const LOGS: [Write; 6] = [
    Write {
        path: "/insert/jsonline?_time_field=date&_stream_fields=app",
        kind: "application/stream+json",
        body: |mark| json_bytes(&json!({"date": Timestamp::now(), "_msg": mark, "app": "a"})),
    },
    Write {
        path: "/insert/elasticsearch/_bulk?_time_field=date&_msg_field=_msg",
        kind: "application/json",
        body: |mark| {
            let line = json!({"date": Timestamp::now(), "_msg": mark});
            format!("{}\n{line}\n", json!({"create": {}})).into()
        },
    },
    Write {
        path: "/insert/loki/api/v1/push?_stream_fields=app",
        kind: "application/json",
        body: |mark| {
            let value = json!([nanos().to_string(), mark]);
            json_bytes(&json!({"streams": [{"stream": {"app": "a"}, "values": [value]}]}))
        },
    },
    Write {
        path: "/insert/opentelemetry/v1/logs",
        kind: "application/x-protobuf",
        body: |mark| otlp::write_log("shop", mark, nanos()),
    },
    Write {
        path: "/insert/datadog/api/v2/logs",
        kind: "application/json",
        body: |mark| json_bytes(&json!([{"message": mark, "service": "shop", "ddsource": "a"}])),
    },
    Write {
        path: "/insert/journald/upload",
        kind: "application/vnd.fdo.journal",
        body: |mark| {
            let time = nanos() / 1000;
            format!("__REALTIME_TIMESTAMP={time}\nMESSAGE={mark}\n\n").into()
        },
    },
];

const TRACES: [Write; 1] = [Write {
    path: "/insert/opentelemetry/v1/traces",
    kind: "application/x-protobuf",
    body: |mark| otlp::write_span(mark, "checkout", 1, nanos()),
}];

#[tokio::test]
async fn metrics_are_written_to_their_own_tenant_only() {
    write_all(Signal::Metrics, &METRICS).await;
}

#[tokio::test]
async fn logs_are_written_to_their_own_tenant_only() {
    write_all(Signal::Logs, &LOGS).await;
}

#[tokio::test]
async fn traces_are_written_to_their_own_tenant_only() {
    write_all(Signal::Traces, &TRACES).await;
}

/// Writes an item of its own by each path in every way and by every header, and looks where all of
/// them are.
async fn write_all(signal: Signal, writes: &[Write]) {
    let world = World::start(json!({})).await;
    let mut written = [vec![], vec![]];
    for ((tenant, own), written) in TENANTS.into_iter().zip(&mut written) {
        for (nth, write) in writes.iter().enumerate() {
            for (way, url) in world.ways(signal, write.path).iter().enumerate() {
                for (naming, name) in NAMES.into_iter().enumerate() {
                    let mark = format!("{own}_{nth}_{way}_{naming}_");
                    let request = world
                        .request(Method::POST, url, name, tenant)
                        .header("Content-Type", write.kind)
                        .body((write.body)(&mark));
                    let reply = request.send().await.expect("an answer");
                    assert!(reply.status().is_success(), "{url}: {reply:?}");
                    written.push(mark);
                }
            }
        }
    }
    for (position, (tenant, _)) in TENANTS.into_iter().enumerate() {
        let (_, other) = TENANTS[1 - position];
        let backends = world.backends(tenant);
        let mut missing = written[position].clone();
        let what = format!("all that was written to be at {tenant}'s");
        eventually(&what, async || {
            if signal == Signal::Metrics {
                backends.metrics.flush().await;
            }
            let held = backends.dump(signal, 0).await;
            assert!(!held.contains(other), "{tenant} holds {other}: {held}");
            missing.retain(|mark| !held.contains(mark));
            missing.is_empty().then_some(())
        })
        .await;
    }
}

fn jsonl(mark: &str) -> Vec<u8> {
    let now = Timestamp::now().as_millisecond();
    json_bytes(&json!({"metric": {"__name__": mark}, "values": [1], "timestamps": [now]}))
}

fn text_format(mark: &str) -> Vec<u8> {
    format!("{mark} 1\n").into()
}

fn influx(mark: &str) -> Vec<u8> {
    format!("{mark},a=b value=1\n").into()
}

/// A `WriteRequest` of one sample, as one literal of the Snappy format.
fn remote_write(mark: &str) -> Vec<u8> {
    let now = Timestamp::now().as_millisecond();
    let label = [otlp::bytes(1, b"__name__"), otlp::bytes(2, mark.as_bytes())].concat();
    let sample = [otlp::fixed64(1, 1.0_f64.to_bits()), otlp::number(2, now)].concat();
    let series = [otlp::bytes(1, &label), otlp::bytes(2, &sample)].concat();
    let request = otlp::bytes(1, &series);
    let length = u8::try_from(request.len()).expect("a short request");
    assert!(length < 0x80, "longer lengths take more bytes");
    [&[length, 60 << 2, length - 1], &*request].concat()
}

fn json_bytes(value: &serde_json::Value) -> Vec<u8> {
    value.to_string().into()
}

fn nanos() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).expect("a time after 1970")
}
