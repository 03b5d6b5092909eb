//! What the router says itself: in each protocol's own format, with tenant, reason and request id,
//! and nothing of anybody else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    acme::{acme, of_acme, request},
    client::{RawClient, RawReply, ask},
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    upstream::{Step, Upstream, send},
};

/// A read of each protocol.
const PROMETHEUS: &str = "GET /api/v1/query?query=1";
const LOGS: &str = "GET /select/logsql/query?query=*";
const LOG_STATS: &str = "GET /select/logsql/stats_query?query=*";
const JAEGER: &str = "GET /select/jaeger/api/services";

/// Asks as `tenant`, with a known request id.
async fn asked(mirador: &Mirador, tenant: &str, line: &str) -> RawReply {
    let headers = format!("X-Tenant-ID: {tenant}\r\nX-Request-ID: r-1\r\n");
    let reply = ask(mirador.address(), request(line, &headers, "")).await;
    reply.unwrap_or_else(|end| panic!("{line} ended with {end:?}"))
}

fn json_of(reply: &RawReply) -> Value {
    assert_eq!(reply.head.get("content-type"), Some("application/json"));
    serde_json::from_slice(&reply.body.kept).expect("JSON")
}

fn text_of(reply: &RawReply) -> String {
    assert_eq!(
        reply.head.get("content-type"),
        Some("text/plain; charset=utf-8")
    );
    reply.body.text()
}

/// The lines of a head but the one that tells the time.
fn dateless(reply: &RawReply) -> Vec<&str> {
    let lines = reply.head.0.split("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test]
async fn each_protocol_is_refused_in_its_own_format() {
    let upstream = Upstream::saying("acme");
    let mirador = Mirador::start().await;
    let acme = Tenant::new("acme").everything(&[upstream.url()]);
    mirador.apply(&acme.set("/status", "suspended")).await;
    let message = "tenant acme: the tenant is suspended (request r-1)";
    let prometheus = json!({
        "status": "error", "errorType": "forbidden", "error": message, "reason": "suspended",
    });
    for line in [
        PROMETHEUS,
        LOG_STATS,
        "POST /prometheus/api/v1/query_range",
        "GET /select/logsql/stats_query_range?query=*",
        "GET /vt/select/logsql/stats_query?query=*",
        "POST /api/v1/write",
    ] {
        let reply = asked(&mirador, "acme", line).await;
        assert_eq!(reply.status(), 403, "{line}");
        assert_eq!(json_of(&reply), prometheus, "{line}");
    }
    for line in [
        LOGS,
        "POST /insert/jsonline",
        "POST /insert/opentelemetry/v1/traces",
    ] {
        let reply = asked(&mirador, "acme", line).await;
        assert_eq!(
            (reply.status(), text_of(&reply)),
            (403, format!("{message}\n")),
            "{line}"
        );
    }
    let reply = asked(&mirador, "acme", JAEGER).await;
    let jaeger = json!({"data": null, "errors": [{"code": 403, "msg": message}]});
    assert_eq!((reply.status(), json_of(&reply)), (403, jaeger));
    assert_eq!(reply.head.get("x-request-id"), Some("r-1"));
    assert_eq!(
        reply.head.get("retry-after"),
        None,
        "waiting would not help"
    );
    assert!(upstream.asked().is_empty());
}

#[tokio::test]
async fn a_one_signal_listener_speaks_its_signals_format() {
    let (logs, metrics) = (Port::take(), Port::take());
    let mirador = Mirador::with(json!({"listen": {
        "logs": logs.address().to_string(), "metrics": metrics.address().to_string(),
    }}))
    .await;
    let bytes = of_acme("GET /api/v1/anything", "X-Request-ID: r-1\r\n");
    let reply = ask(logs.address(), &bytes).await.expect("a reply");
    assert!(text_of(&reply).starts_with("tenant acme: "), "{reply:?}");
    let bytes = of_acme("GET /select/logsql/query", "X-Request-ID: r-1\r\n");
    let reply = ask(metrics.address(), &bytes).await.expect("a reply");
    assert_eq!(json_of(&reply)["reason"], "unknown_tenant");
    drop(mirador);
}

#[tokio::test]
async fn readers_of_an_unknown_tenant_are_turned_away_and_its_writers_keep_their_data() {
    let mirador = Mirador::start().await;
    for line in [PROMETHEUS, LOGS, LOG_STATS, JAEGER, "GET /api/v1/export"] {
        let reply = asked(&mirador, "nobody", line).await;
        assert_eq!(reply.status(), 403, "{line}");
        assert_eq!(reply.head.get("retry-after"), None, "{line}");
    }
    for line in [
        "POST /api/v1/write",
        "POST /api/v1/import/prometheus",
        "GET /api/v1/write?get_vm_proto_version=1",
        "POST /opentelemetry/v1/metrics",
        "POST /insert/jsonline",
        "POST /insert/loki/api/v1/push",
        "POST /insert/elasticsearch/_bulk",
        "POST /insert/opentelemetry/v1/traces",
    ] {
        let reply = asked(&mirador, "nobody", line).await;
        assert_eq!(reply.status(), 503, "{line}");
        assert_eq!(reply.head.get("retry-after"), Some("10"), "{line}");
        let body = reply.body.text();
        let told = "tenant nobody: the tenant is not known here, or not open to this request (request r-1)";
        assert!(body.contains(told), "{line}: {body}");
    }
}

#[tokio::test]
async fn a_deleted_tenant_can_not_be_told_from_one_that_never_was() {
    let mirador = Mirador::start().await;
    mirador
        .apply(&Tenant::new("gone").metrics(&["http://127.0.0.1:1".into()]))
        .await;
    let deleted = mirador
        .admin(Method::DELETE, "/api/v1/tenants/gone")
        .header("If-Match", "*")
        .send()
        .await;
    assert!(deleted.expect("an answer").status().is_success());
    for line in [PROMETHEUS, LOGS, JAEGER, "POST /api/v1/write"] {
        let gone = asked(&mirador, "gone", line).await;
        let never = asked(&mirador, "nots", line).await;
        assert_eq!(dateless(&gone), dateless(&never), "{line}");
        assert_eq!(
            gone.body.text().replace("gone", "nots"),
            never.body.text(),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_tenant_that_is_not_ready_is_to_be_asked_again() {
    let upstream = Upstream::saying("acme");
    let mirador = Mirador::start().await;
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador
        .apply(&acme.clone().set("/status", "provisioning"))
        .await;
    for line in [PROMETHEUS, "POST /api/v1/write"] {
        let reply = asked(&mirador, "acme", line).await;
        assert_eq!(
            (reply.status(), reply.head.get("retry-after")),
            (503, Some("10")),
            "{line}"
        );
        assert_eq!(json_of(&reply)["reason"], "not_ready");
    }
    mirador.apply(&acme).await;
    let reply = asked(&mirador, "acme", LOGS).await;
    assert_eq!(
        (reply.status(), reply.head.get("retry-after")),
        (503, Some("10"))
    );
    let told = "tenant acme: the tenant has no deployment for logs (request r-1)\n";
    assert_eq!(text_of(&reply), told);
    assert_eq!(asked(&mirador, "acme", PROMETHEUS).await.status(), 200);
}

#[tokio::test]
async fn failing_backends_are_told_of_without_naming_them() {
    let upstream = Upstream::start(|asked| match asked.target() {
        "/api/v1/labels" => vec![send("SSH-2.0-OpenSSH_9.2\r\n\r\n"), Step::Fin],
        "/api/v1/series" => vec![Step::Hang],
        _ => vec![Step::Reset],
    });
    let mirador = Mirador::start().await;
    let globex = Tenant::new("globex").everything(&["http://globex.internal:8428".into()]);
    mirador.apply(&globex).await;
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador
        .apply(&acme.set("/deployments/metrics/timeout", "300ms"))
        .await;
    let nowhere = Tenant::new("nowhere").metrics(&[Port::take().url()]);
    let no_probe = json!({"enabled": false});
    mirador
        .apply(&nowhere.set("/deployments/metrics/health_check", no_probe))
        .await;
    let cases = [
        (
            "acme",
            "POST /api/v1/write",
            502,
            "unavailable",
            "upstream_broken",
        ),
        (
            "acme",
            "GET /api/v1/labels",
            502,
            "unavailable",
            "upstream_protocol",
        ),
        (
            "acme",
            "GET /api/v1/series",
            504,
            "timeout",
            "upstream_timeout",
        ),
        (
            "nowhere",
            "GET /api/v1/labels",
            503,
            "unavailable",
            "unreachable",
        ),
    ];
    for (tenant, line, status, kind, reason) in cases {
        let reply = asked(&mirador, tenant, line).await;
        let body = json_of(&reply);
        let told = (reply.status(), &body["errorType"], &body["reason"]);
        assert_eq!(
            told,
            (status, &json!(kind), &json!(reason)),
            "{line}: {body}"
        );
        let retry = (status == 503).then_some("1");
        assert_eq!(reply.head.get("retry-after"), retry, "{line}");
        let everything = reply.head.0 + &reply.body.text();
        for secret in ["globex", "127.0.0.1", "refused", &upstream.authority()] {
            assert!(!everything.contains(secret), "{secret} in {everything}");
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_in_a_way_that_keeps_data() {
    let upstream = Upstream::start(|_| vec![Step::ReadBody, Step::Hang]);
    let mirador = Mirador::start().await;
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador
        .apply(&acme.set("/deployments/metrics/timeout", "300ms"))
        .await;
    for (line, status, retry) in [
        ("POST /api/v1/query", 408, None),
        ("POST /api/v1/write", 503, Some("10")),
    ] {
        let headers = "X-Tenant-ID: acme\r\nContent-Length: 10\r\n";
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(request(line, headers, "abc")).await;
        let reply = client.reply().await.expect("a reply");
        assert_eq!(reply.status(), status, "{line}: {reply:?}");
        assert_eq!(json_of(&reply)["reason"], "slow_body", "{line}");
        assert_eq!(reply.head.get("retry-after"), retry, "{line}");
        assert_eq!(reply.head.get("connection"), Some("close"), "{line}");
        assert_eq!(client.rest().await.length, 0, "{line}");
    }
}

#[tokio::test]
async fn internal_paths_are_out_of_reach_in_any_spelling() {
    let upstream = Upstream::saying("acme");
    let mirador = acme(&upstream, json!({})).await;
    for target in [
        "/internal/force_flush",
        "//internal///force_flush",
        "/internal%2Fforce_flush",
        "/%69nternal/force_flush",
        "/%2Finternal/force_flush",
        "/vm/internal/force_flush",
        "/vl//internal/select/query",
        "/prometheus/api/v1/admin/tsdb/delete_series?match[]=x",
        "/api/v1/%61dmin/tsdb/delete_series",
        "/snapshot/create",
        "/-/reload",
        "/metrics",
        "/vl/metrics",
        "/flags",
        "/vt/debug/pprof/heap",
        "/config",
        "/api/v1/status/config",
        "/select/tenant_ids",
        "/select/0/prometheus/api/v1/query",
        "/insert/multitenant/native",
        "/select/multitenant/logsql/query",
        "/delete/run_task",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let line = format!("{method} {target}");
            let reply = asked(&mirador, "acme", &line).await;
            assert_eq!(reply.status(), 403, "{line}");
            let told = "tenant acme: this path is not for tenants";
            assert!(reply.body.text().contains(told), "{line}: {reply:?}");
        }
    }
    for target in [
        "/api/v1/../../internal/force_flush",
        "/vm/../internal/force_flush",
        "/api/%2e%2e/internal/force_flush",
        "/./metrics",
        "/api/v1/query%2",
        "/api/v1/%zz",
        "/api/v1/%ff",
    ] {
        let reply = asked(&mirador, "acme", &format!("GET {target}")).await;
        assert_eq!(reply.status(), 400, "{target}");
        assert_eq!(json_of(&reply)["reason"], "malformed_path", "{target}");
    }
    assert!(upstream.asked().is_empty(), "{:?}", upstream.asked());
}
