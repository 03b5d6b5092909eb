//! What operators are told of tenants' health, and what they do about it, with real backends.

use std::{process::Stdio, sync::Arc};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, sync::Notify, time::timeout};

use crate::support::{
    PATIENCE,
    acme::of_acme,
    client::{RawClient, ask},
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    tools::tool,
    upstream::{Step, Upstream, ok, send},
    victoria::Victoria,
};

async fn health(mirador: &Mirador) -> Value {
    let path = "/api/v1/tenants/acme/health";
    let reply = mirador.admin(Method::GET, path).send().await;
    reply.expect("an answer").json().await.expect("JSON")
}

/// Waits until a field of acme's health says this, and answers its health then.
async fn until(mirador: &Mirador, field: &str, says: &str) -> Value {
    eventually(&format!("acme's {field} to be {says:?}"), async || {
        let health = health(mirador).await;
        (health[field] == says).then_some(health)
    })
    .await
}

/// Waits until both endpoints of acme have answered a probe.
async fn until_well(mirador: &Mirador) -> Value {
    until(mirador, "sentence", "all 2 endpoints are healthy").await
}

/// The router's events, from now on.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn follow(mirador: &Mirador) -> Self {
        let request = mirador.admin(Method::GET, "/api/v1/events");
        let response = request.timeout(10 * PATIENCE).send().await;
        let response = response.expect("a stream of events");
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event of a kind; others are passed over.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            let event = self.any(kind).await;
            if event["kind"] == kind {
                return event;
            }
        }
    }

    /// The next event, whatever it is; `wanted` is what is waited for.
    async fn any(&mut self, wanted: &str) -> Value {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let told = data.map(|data| serde_json::from_str(data).expect("JSON"));
                self.text = rest.into();
                match told {
                    Some(told) => return told,
                    None => continue, // a comment
                }
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("waited for a {wanted} event"));
            let chunk = chunk.expect("a chunk").expect("no end");
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

/// One of two backends is killed and comes back: the event, the sentence, the metrics, each with
/// the cause.
#[tokio::test]
async fn a_killed_backend_is_told_of_and_so_is_its_return() {
    let (mut preferred, other) = tokio::join!(Victoria::metrics(), Victoria::metrics());
    let mirador = Mirador::start().await;
    let urls = [preferred.url(), other.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    let [killed, left] = urls.map(|url| url.replace("http://", ""));
    let well = until_well(&mirador).await;
    assert_eq!(
        (&well["condition"], &well["score"]),
        (&json!("healthy"), &json!(100))
    );
    assert_eq!(well["deployments"]["metrics"]["served_by"], json!([killed]));

    let mut events = Events::follow(&mirador).await;
    preferred.kill();
    let endpoint = events.next("endpoint").await;
    assert_eq!(endpoint["endpoint"], killed);
    assert_eq!(endpoint["to"], "unhealthy");
    assert_eq!(endpoint["cause"], "probe_connect");
    let failover = events.next("failover").await;
    assert_eq!(
        (&failover["from"], &failover["to"]),
        (&json!(killed), &json!(left))
    );
    let tenant = events.next("tenant").await;
    let sentence = tenant["sentence"].as_str().expect("a sentence");
    assert!(
        sentence.starts_with(&format!(
            "metrics degraded: {killed} refused connections since "
        )) && sentence.ends_with(&format!(" UTC, reads and writes served by {left}")),
        "{sentence}"
    );
    let ill = until(&mirador, "condition", "degraded").await;
    assert_eq!(ill["sentence"], tenant["sentence"]);
    assert_eq!(
        ill["deployments"]["metrics"]["last_failover"]["cause"],
        "probe_connect"
    );
    let metrics = mirador.metrics().await;
    let acme = [("tenant", "acme"), ("signal", "metrics")];
    let one = |name: &str, labels: &[(&str, &str)]| {
        let found = metrics.select(name, &[&acme[..], labels].concat());
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0].value
    };
    assert!((one("mirador_tenant_health", &[]) - 0.5).abs() < 0.01);
    let cause = [("cause", "probe_connect")];
    assert!((one("mirador_deployment_failovers_total", &cause) - 1.0).abs() < 0.01);
    let condition = [("endpoint", &*killed), ("condition", "unhealthy")];
    assert!((one("mirador_endpoint_condition", &condition) - 1.0).abs() < 0.01);
    assert!(metrics.sum("mirador_endpoint_ejections_total", &cause) >= 1.0);

    preferred.restart().await;
    let back = events.next("failover").await;
    assert_eq!((&back["from"], &back["to"]), (&json!(left), &json!(killed)));
    assert_eq!(back["cause"], "probes_succeeded");
    let tenant = events.next("tenant").await;
    assert_eq!(
        (&tenant["from"], &tenant["to"]),
        (&json!("degraded"), &json!("healthy"))
    );
    until_well(&mirador).await;
}

/// On a terminal the present state is drawn anew whenever something changes, with the last changes below.
#[tokio::test]
async fn a_terminal_shows_what_changes_while_somebody_looks() {
    const CLEAR: &str = "\x1b[2J\x1b[H";
    let (mut first, second) = (Upstream::saying("a"), Upstream::saying("b"));
    let mirador = Mirador::start().await;
    let urls = [first.url(), second.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    until_well(&mirador).await;
    let mut watching = tokio::process::Command::new(tool(&["python3"]))
        .args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])"])
        .args([env!("CARGO_BIN_EXE_mirador"), "status", "--watch"])
        .env("MIRADOR_SERVER", mirador.admin_url(""))
        .env("MIRADOR_TOKEN_FILE", mirador.token_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a terminal");
    let mut screen = watching.stdout.take().expect("its screen");
    let mut shown = String::new();
    let mut until = async |what: &str| {
        let mut bytes = [0; 4096];
        while !shown
            .rsplit(CLEAR)
            .next()
            .is_some_and(|last| last.contains(what))
        {
            let read = timeout(PATIENCE, screen.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("waited for {what:?}: {shown}"));
            let count = read.expect("a screen");
            assert!(count > 0, "it ended: {shown}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        assert!(shown.contains(CLEAR), "drawn, not written on: {shown}");
    };
    until("tenants: 1 healthy").await;
    first.stop().await;
    until("tenants: 1 degraded").await;
    until("last changes:").await;
    until(" acme tenant: metrics degraded: ").await;
}

/// Drains or undrains an endpoint of acme's metrics.
async fn change(mirador: &Mirador, verb: &str, upstream: &Upstream) {
    let path = format!("/api/v1/tenants/acme/deployments/metrics/endpoints/{verb}");
    let request = mirador.admin(Method::POST, &path).header("If-Match", "*");
    let request = request.json(&json!({"endpoint": upstream.authority()}));
    let reply = request.send().await.expect("an answer");
    let status = reply.status();
    let text = reply.text().await.expect("its body");
    assert_eq!(status, StatusCode::OK, "{verb}: {text}");
}

async fn answered(mirador: &Mirador) -> String {
    let query = of_acme("GET /api/v1/query?query=1", "");
    let reply = ask(mirador.address(), query).await.expect("a reply");
    assert_eq!(reply.status(), 200);
    reply.body.text()
}

/// What is in flight at a drained endpoint finishes; what comes after goes elsewhere.
#[tokio::test]
async fn draining_an_endpoint_breaks_nothing_off() {
    let go_on = Arc::new(Notify::new());
    let waited_for = Arc::clone(&go_on);
    let preferred = Upstream::start(move |asked| {
        if asked.target() != "/api/v1/export" {
            return ok("preferred");
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        let rest = send("4\r\nrest\r\n0\r\n\r\n");
        vec![send(head), Step::Await(Arc::clone(&waited_for)), rest]
    });
    let other = Upstream::saying("other");
    let mirador = Mirador::start().await;
    let urls = [preferred.url(), other.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    assert_eq!(answered(&mirador).await, "preferred");

    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_acme("GET /api/v1/export", "")).await;
    let head = client.head().await.expect("the head of an answer");
    assert_eq!(head.status(), 200);
    change(&mirador, "drain", &preferred).await;
    for _ in 0..10 {
        assert_eq!(answered(&mirador).await, "other");
    }
    let drained = health(&mirador).await;
    let deployment = &drained["deployments"]["metrics"];
    assert_eq!(deployment["endpoints"][0]["condition"], "draining");
    assert_eq!(deployment["served_by"], json!([other.authority()]));
    go_on.notify_one();
    assert_eq!(client.body(&head).await.text(), "halfrest");

    change(&mirador, "undrain", &preferred).await;
    assert_eq!(answered(&mirador).await, "preferred");
}

/// What is drained is out of use, however alive it is and whoever else fails.
#[tokio::test]
async fn a_drained_endpoint_gets_nothing_when_all_others_fail() {
    const POLICIES: [&str; 4] = ["first_available", "round_robin", "least_loaded", "nearest"];
    let (drained, mut other) = (Upstream::saying("drained"), Upstream::saying("other"));
    let mirador = Mirador::start().await;
    let id = |policy: &str| policy.replace('_', "-");
    let asks = async |policy: &str, path: &str| {
        let reply = mirador.request(Method::GET, &id(policy), path).send().await;
        let reply = reply.expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("a body"))
    };
    for policy in POLICIES {
        let endpoints = json!([{"url": drained.url(), "drain": true}, {"url": other.url()}]);
        let tenant = Tenant::new(&id(policy)).metrics(&[other.url()]);
        let tenant = tenant.set("/deployments/metrics/endpoints", endpoints);
        mirador
            .apply(&tenant.set("/deployments/metrics/policy", policy))
            .await;
        let answer = asks(policy, "/api/v1/query?query=1").await;
        assert_eq!(answer, (200, "other".into()), "{policy}");
        assert_eq!(asks(policy, "/health").await.0, 200, "{policy}");
    }
    drained.until_probed(1).await;
    other.stop().await;
    for policy in POLICIES {
        let what = format!("{policy} to have nobody left");
        eventually(&what, async || {
            let (status, text) = asks(policy, "/api/v1/query?query=1").await;
            assert!(status >= 500, "{policy}: {status} {text}");
            (status == 503 && text.contains("is available")).then_some(())
        })
        .await;
        assert_eq!(asks(policy, "/health").await.0, 503, "{policy}");
    }
    assert_eq!(drained.asked().len(), 0);
}

/// Requests flow on in maintenance, and nobody is told that a backend is gone until it is over.
#[tokio::test]
async fn maintenance_keeps_quiet_and_lets_requests_through() {
    let mut preferred = Upstream::saying("preferred");
    let other = Upstream::saying("other");
    let mirador = Mirador::start().await;
    let urls = [preferred.url(), other.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    until_well(&mirador).await;
    let mut events = Events::follow(&mirador).await;
    let path = "/api/v1/tenants/acme/maintenance";
    let request = mirador.admin(Method::PUT, path).header("If-Match", "*");
    let request = request.json(&json!({"reason": "new disks"}));
    let reply = request.send().await.expect("an answer");
    assert_eq!(reply.status(), StatusCode::OK, "{:?}", reply.text().await);
    let begun = events.next("maintenance").await;
    assert_eq!(begun["to"], "maintenance");
    preferred.stop().await;
    assert_eq!(answered(&mirador).await, "other");
    mirador
        .until_metric(
            "mirador_endpoint_up",
            &[("endpoint", &preferred.authority())],
            |up| up < 1.0,
        )
        .await;
    assert_eq!(health(&mirador).await["condition"], "maintenance");
    let end = mirador.admin(Method::DELETE, path).header("If-Match", "*");
    let reply = end.send().await.expect("an answer");
    assert_eq!(reply.status(), StatusCode::OK, "{:?}", reply.text().await);
    // Nothing came between.
    let first = events.any("maintenance").await;
    assert_eq!(first["kind"], "maintenance", "{first}");
    assert_eq!(first["from"], "maintenance");
    let tenant = events.next("tenant").await;
    assert_eq!(
        (&tenant["from"], &tenant["to"]),
        (&json!("healthy"), &json!("degraded"))
    );
}
