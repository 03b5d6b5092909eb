//! How tenants are, what happens to them, and what operators do about it. No probe meddles: the
//! tests say what live requests met.

use std::{sync::Arc, time::Duration};

use health::{EndpointHealth, Failure, Finding};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tenant_store::{cache::Known, model::Signal};
use tokio::time::timeout;

use crate::{
    admin::testing::{Admin, Answer, acme, tenant},
    standing::{HealthEvent, Kind},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Acme, with this many equal endpoints for metrics that nobody probes.
pub(super) fn unprobed(id: &str, first_port: u16, count: u16) -> Value {
    let endpoints: Vec<_> = (0..count)
        .map(|n| json!({"url": format!("http://127.0.0.1:{}", first_port + n), "priority": n}))
        .collect();
    json!({
        "id": id,
        "tier": "pro",
        "deployments": {"metrics": {
            "endpoints": endpoints,
            "health_check": {"enabled": false},
        }},
    })
}

/// The health of a tenant's endpoint for metrics.
pub(super) fn endpoint(admin: &Admin, id: &str, position: usize) -> Arc<EndpointHealth> {
    let Known::Tenant(entry) = admin.control.tenants().known(id) else {
        panic!("{id} is not known");
    };
    let deployment = entry.route().deployment(Signal::Metrics).expect("metrics");
    let endpoint = &deployment.endpoints()[position];
    endpoint.upstream().health().clone()
}

/// Waits for the next event of a kind.
pub(super) async fn next(feed: &mut crate::standing::Feed, kind: Kind) -> Arc<HealthEvent> {
    let wait = async {
        loop {
            let event = feed.recv().await.expect("an event");
            if event.kind == kind {
                return event;
            }
        }
    };
    let event = timeout(PATIENCE, wait).await;
    event.unwrap_or_else(|_| panic!("no {kind} event"))
}

pub(super) async fn health(admin: &Admin, id: &str) -> Value {
    let answer = admin.get(&format!("/api/v1/tenants/{id}/health")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

pub(super) async fn metrics(admin: &Admin) -> String {
    let answer = Answer::of(admin.anonymous(Method::GET, "/metrics")).await;
    answer.body.as_str().expect("a text").to_owned()
}

/// What an operator is told while one of two endpoints, then both, then none are out of use.
#[tokio::test]
async fn a_failing_endpoint_is_told_of_at_every_level() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_001, 2)).await;
    let unknown = health(&admin, "acme").await;
    assert_eq!(unknown["condition"], "unknown");
    assert_eq!(unknown["score"], Value::Null);
    for position in 0..2 {
        endpoint(&admin, "acme", position).report_success();
    }
    let well = health(&admin, "acme").await;
    assert_eq!(
        (&well["condition"], &well["score"]),
        (&json!("healthy"), &json!(100))
    );
    assert_eq!(well["sentence"], "all 2 endpoints are healthy");

    let mut feed = admin.control.standing().feed();
    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    let told = next(&mut feed, Kind::Endpoint).await;
    assert_eq!(told.endpoint.as_deref(), Some("127.0.0.1:10001"));
    assert_eq!((&*told.from, &*told.to), ("healthy", "unhealthy"));
    assert_eq!(told.cause.as_str(), "connect");
    let failover = next(&mut feed, Kind::Failover).await;
    assert_eq!(
        (&*failover.from, &*failover.to),
        ("127.0.0.1:10001", "127.0.0.1:10002")
    );
    let deployment = next(&mut feed, Kind::Deployment).await;
    assert_eq!(deployment.signal, Some(Signal::Metrics));
    let tenant = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*tenant.from, &*tenant.to), ("healthy", "degraded"));
    assert_eq!(tenant.cause.as_str(), "connect");
    assert!(
        tenant
            .sentence
            .starts_with("metrics degraded: 127.0.0.1:10001 could not be connected to since ")
            && tenant
                .sentence
                .ends_with(" UTC, reads and writes served by 127.0.0.1:10002"),
        "{}",
        tenant.sentence
    );
    let ill = health(&admin, "acme").await;
    assert_eq!(
        (&ill["condition"], &ill["score"]),
        (&json!("degraded"), &json!(50))
    );
    assert_eq!(ill["sentence"], tenant.sentence);
    assert_eq!(ill["overall"], "degraded");
    assert!(ill["since"].is_string(), "{ill}");
    let deployment = &ill["deployments"]["metrics"];
    assert_eq!(deployment["served_by"], json!(["127.0.0.1:10002"]));
    assert_eq!(deployment["last_failover"]["cause"], "connect");
    assert_eq!(deployment["endpoints"][0]["condition"], "unhealthy");
    assert_eq!(deployment["endpoints"][0]["cause"], "connect");
    assert_eq!(deployment["endpoints"][1]["condition"], "healthy");
}

/// Metrics tell the same, and a tenant that nothing is left of is read again at once.
#[tokio::test]
async fn metrics_tell_of_failing_endpoints() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_001, 2)).await;
    for position in 0..2 {
        endpoint(&admin, "acme", position).report_success();
    }
    let mut feed = admin.control.standing().feed();
    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    next(&mut feed, Kind::Tenant).await;
    let text = metrics(&admin).await;
    for line in [
        "mirador_tenant_health{tenant=\"acme\",signal=\"metrics\"} 0.5",
        "mirador_tenant_info{tenant=\"acme\",tier=\"pro\",status=\"active\"} 1",
        "mirador_endpoint_condition{tenant=\"acme\",signal=\"metrics\",endpoint=\"127.0.0.1:10001\",condition=\"unhealthy\"} 1",
        "mirador_deployment_failovers_total{cause=\"connect\",signal=\"metrics\",tenant=\"acme\"} 1",
        "mirador_endpoint_ejections_total{cause=\"connect\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }

    let reread = admin.control.tenants().stats().invalidations;
    endpoint(&admin, "acme", 1).report_failure(Failure::Connect);
    let tenant = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*tenant.from, &*tenant.to), ("degraded", "unhealthy"));
    assert!(
        tenant.sentence.ends_with(", no endpoint is left"),
        "{}",
        tenant.sentence
    );
    let again = admin.control.tenants().stats().invalidations;
    assert_eq!(again, reread + 1, "read again at once");
    assert!(
        metrics(&admin)
            .await
            .contains("mirador_tenant_health{tenant=\"acme\",signal=\"metrics\"} 0\n")
    );
}

/// What deep checks find makes an endpoint degraded, not unused.
#[tokio::test]
async fn findings_are_told() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_011, 1)).await;
    endpoint(&admin, "acme", 0).report_success();
    let mut feed = admin.control.standing().feed();
    endpoint(&admin, "acme", 0).find([Finding::ReadOnly].into_iter().collect());
    let found = next(&mut feed, Kind::Findings).await;
    assert_eq!((&*found.from, &*found.to), ("none", "read_only"));
    let tenant = next(&mut feed, Kind::Tenant).await;
    assert_eq!(
        tenant.sentence,
        "metrics degraded: 127.0.0.1:10011 is read-only"
    );
    let ill = health(&admin, "acme").await;
    let told = &ill["deployments"]["metrics"]["endpoints"][0];
    assert_eq!(told["findings"], json!(["read_only"]));
    assert_eq!(
        (&told["condition"], &told["cause"]),
        (&json!("degraded"), &json!("findings"))
    );
    assert_eq!(ill["overall"], "healthy", "it is up");
    let line = "mirador_endpoint_findings{tenant=\"acme\",signal=\"metrics\",endpoint=\"127.0.0.1:10011\",finding=\"read_only\"} 1";
    assert!(metrics(&admin).await.contains(line));
    endpoint(&admin, "acme", 0).find(health::Findings::default());
    let tenant = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*tenant.from, &*tenant.to), ("degraded", "healthy"));
    assert_eq!(tenant.cause.as_str(), "findings");
}

/// The worst come first, page by page; filters and counts go by what is asked for.
#[tokio::test]
async fn the_overview_puts_the_worst_first() {
    let admin = Admin::start().await;
    for (n, id) in ["t1", "t2", "t3", "t4"].into_iter().enumerate() {
        let first_port = 10_021 + 2 * u16::try_from(n).expect("small");
        admin.put(&unprobed(id, first_port, 2)).await;
        endpoint(&admin, id, 0).report_success();
    }
    let mut named = tenant("empty");
    named["display_name"] = json!("Nothing Here");
    admin.put(&named).await;
    endpoint(&admin, "t3", 0).report_failure(Failure::Connect);
    for position in 0..2 {
        endpoint(&admin, "t4", position).report_failure(Failure::Connect);
    }
    let ids = |page: &Value| -> Vec<String> {
        let tenants = page["tenants"].as_array().expect("tenants");
        let id = |tenant: &Value| tenant["tenant"].as_str().expect("an id").to_owned();
        tenants.iter().map(id).collect()
    };
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let page = admin
            .get(&format!("/api/v1/health?limit=2{cursor}"))
            .await
            .body;
        assert_eq!(
            page["counts"],
            json!({"healthy": 2, "degraded": 1, "unhealthy": 1, "unknown": 1, "maintenance": 0,
                   "provisioning": 0, "suspended": 0})
        );
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["t4", "t3", "empty", "t1", "t2"]);
    let asked = async |query: &str| ids(&admin.get(&format!("/api/v1/health?{query}")).await.body);
    assert_eq!(asked("condition=unhealthy,degraded").await, ["t4", "t3"]);
    assert_eq!(asked("tier=pro&condition=healthy").await, ["t1", "t2"]);
    assert_eq!(asked("tier=free").await, ["empty"]);
    assert_eq!(
        asked("signal=metrics&condition=unknown").await,
        Vec::<String>::new()
    );
    assert_eq!(asked("signal=logs").await, Vec::<String>::new());
    assert_eq!(asked("q=HING%20h").await, ["empty"]);
    assert_eq!(asked("q=t1").await, ["t1"]);
    let first = admin.get("/api/v1/health?limit=1").await.body;
    let worst = &first["tenants"][0];
    assert_eq!(worst["endpoints"], json!({"total": 2, "healthy": 0}));
    assert_eq!(
        worst["signals"]["metrics"],
        json!({"condition": "unhealthy", "score": 0})
    );
}

#[tokio::test]
async fn faulty_questions_are_refused_by_name() {
    let admin = Admin::start().await;
    for (query, field) in [
        ("condition=ill", "condition"),
        ("signal=smoke", "signal"),
        ("cursor=somewhere", "cursor"),
        ("limit=0", "limit"),
        ("colour=red", "colour"),
    ] {
        let refused = admin.get(&format!("/api/v1/health?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(
            refused.body["errors"][0]["field"], field,
            "{}",
            refused.body
        );
    }
}

/// Reads server-sent events as text until one contains `what`.
async fn until_sent(stream: &mut Response, what: &str) -> String {
    let mut text = String::new();
    while !text.contains(what) {
        let chunk = timeout(PATIENCE, stream.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("waited for {what:?}, got {text:?}"));
        let chunk = chunk.expect("a chunk").expect("no end");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

/// Events are streamed as they happen, and those that were missed are sent to who comes back.
#[tokio::test]
async fn events_are_streamed_and_caught_up_with() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_041, 2)).await;
    admin.put(&unprobed("globex", 10_043, 2)).await;
    let path = "/api/v1/events?tenant=acme";
    let mut stream = admin
        .request(Method::GET, path)
        .send()
        .await
        .expect("a stream");
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    endpoint(&admin, "globex", 0).report_failure(Failure::Connect);
    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    let text = until_sent(&mut stream, "event: tenant\n").await;
    assert!(!text.contains("globex"), "{text}");
    let kinds: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("event:"))
        .collect();
    assert_eq!(
        kinds,
        [
            "event: endpoint",
            "event: failover",
            "event: deployment",
            "event: tenant"
        ]
    );
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    let first: HealthEvent = serde_json::from_str(data.expect("data")).expect("an event");
    assert!(text.contains(&format!("id: {}\n", first.seq)), "{text}");
    drop(stream);

    let resumed = admin.request(Method::GET, path);
    let resumed = resumed.header("Last-Event-ID", first.seq.to_string());
    let text = until_sent(
        &mut resumed.send().await.expect("a stream"),
        "event: tenant\n",
    )
    .await;
    assert!(
        text.starts_with("id: ") && !text.contains("event: endpoint"),
        "{text}"
    );
    let stranger = admin
        .request(Method::GET, path)
        .header("Last-Event-ID", "5");
    let text = until_sent(
        &mut stranger.send().await.expect("a stream"),
        "event: tenant\n",
    )
    .await;
    assert!(text.contains("event: gap\ndata: {}\n"), "{text}");
    let faulty = admin
        .request(Method::GET, path)
        .header("Last-Event-ID", "yesterday");
    let refused = Answer::of(faulty).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.body["errors"][0]["field"], "Last-Event-ID");
}

/// Alerts about a tenant that is deleted have to end.
#[tokio::test]
async fn a_tenant_that_is_gone_is_told_of() {
    let admin = Admin::start().await;
    let mut ill = acme();
    ill["deployments"]["metrics"]["health_check"] = json!({"enabled": false});
    admin.put(&ill).await;
    let mut feed = admin.control.standing().feed();
    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    next(&mut feed, Kind::Tenant).await;
    admin.delete("acme").await;
    let gone = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*gone.from, &*gone.to), ("degraded", "unknown"));
}
