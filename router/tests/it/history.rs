//! What is remembered of a tenant: how its health changed, and how many requests were served.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    store::lock,
    support::{
        eventually,
        mirador::Mirador,
        tenant::Tenant,
        upstream::{Step, Upstream, ok, reply},
    },
};

const READ: &str = "/api/v1/query?query=up";

/// Counts are written soon, so that nobody waits for them.
fn soon() -> Value {
    json!({"history": {"write_interval": "200ms"}})
}

/// A backend that answers with the status that is set.
fn answering(status: &Arc<AtomicU16>) -> Upstream {
    let status = status.clone();
    Upstream::start(move |_| match status.load(Relaxed) {
        200 => ok("fine"),
        0 => vec![
            Step::Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".into()),
            Step::Fin,
        ],
        other => reply(other, "", "not fine"),
    })
}

async fn ask(mirador: &Mirador, times: usize) {
    for _ in 0..times {
        // An answer that breaks off has no whole body.
        let _ = mirador.get("acme", READ).await.text().await;
    }
}

async fn read(mirador: &Mirador, path: &str) -> Value {
    let answer = mirador.admin(Method::GET, path).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status();
    let body = answer.json().await.expect("JSON");
    assert!(status.is_success(), "GET {path} answered {status}: {body}");
    body
}

/// Waits until a store that was locked answers: whoever met the lock may try for a moment longer.
async fn until_unlocked(mirador: &Mirador) {
    let path = "/api/v1/tenants/acme/availability";
    let answers = async || {
        let answer = mirador.admin(Method::GET, path).send().await;
        let status = answer.expect("an answer").status();
        (status != StatusCode::SERVICE_UNAVAILABLE).then_some(())
    };
    eventually("the store to answer", answers).await;
}

/// Waits until acme's reads were served and not served so often, and answers what is told of them.
async fn until_served(mirador: &Mirador, good: u64, bad: u64) -> Value {
    let what = format!("{good} requests to be served and {bad} not");
    let served = async || {
        let told = read(mirador, "/api/v1/tenants/acme/availability").await;
        let window = window(&told, "30d");
        (window["good"] == good && window["bad"] == bad).then_some(told)
    };
    eventually(&what, served).await
}

fn window(told: &Value, name: &str) -> Value {
    let windows = told["signals"]["metrics"]["windows"].as_array();
    let mut windows = windows.into_iter().flatten();
    let found = windows.find(|window| window["window"] == name);
    found.cloned().unwrap_or_default()
}

fn close(value: &Value, expected: f64) -> bool {
    value
        .as_f64()
        .is_some_and(|value| (value - expected).abs() < 1e-9)
}

/// Waits for a change of acme's health.
async fn until_changed(mirador: &Mirador, query: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/v1/tenants/acme/health/history?{query}");
    let changed = async || {
        let page = read(mirador, &path).await;
        let changes = page["changes"].as_array().expect("changes");
        changes.iter().find(|change| fits(change)).cloned()
    };
    eventually("the change to be remembered", changed).await
}

/// Runs `mirador` with these words against a router.
async fn command(mirador: &Mirador, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirador"));
    command
        .args(line.split(' '))
        .env("MIRADOR_SERVER", mirador.admin_url(""))
        .env("MIRADOR_TOKEN_FILE", mirador.token_file());
    let ran = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let ran = ran.await.expect("no panic");
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{line}: {err}");
    out.into_owned()
}

#[tokio::test]
async fn requests_that_were_served_are_told_from_those_that_were_not() {
    let status = Arc::new(AtomicU16::new(200));
    let (mirador, upstream) = (Mirador::with(soon()).await, answering(&status));
    let acme = Tenant::new("acme")
        .metrics(&[upstream.url()])
        .set("/slo", json!({"availability": "80%"}));
    mirador.apply(&acme).await;

    ask(&mirador, 6).await;
    // Refused for what it is, which says nothing of the service.
    let refused = mirador
        .get("acme", "/api/v1/admin/tsdb/delete_series")
        .await;
    assert_eq!(refused.status().as_u16(), 403);
    // A query that the backend finds faulty was served.
    status.store(422, Relaxed);
    ask(&mirador, 1).await;
    status.store(500, Relaxed);
    ask(&mirador, 2).await;
    // An answer that breaks off was not served, whatever its status.
    status.store(0, Relaxed);
    ask(&mirador, 1).await;

    let told = until_served(&mirador, 7, 3).await;
    assert_eq!(told["objective"], "80%", "{told}");
    let month = window(&told, "30d");
    assert!(close(&month["availability"], 0.7), "{month}");
    assert!(close(&month["burn_rate"], 1.5), "{month}");
    let budget = &told["signals"]["metrics"]["error_budget"];
    assert!(close(&budget["allowed"], 2.0), "{budget}");
    assert!(close(&budget["remaining"], -0.5), "{budget}");
    assert_eq!(budget["spent"], 3);
    for name in ["5m", "30m", "1h", "6h", "24h", "3d"] {
        assert_eq!(window(&told, name)["bad"], 3, "{name}: {told}");
    }
    assert!(told["signals"].get("logs").is_none(), "{told}");

    let of_acme = [("tenant", "acme"), ("signal", "metrics")];
    let of_month = [of_acme[0], of_acme[1], ("window", "30d")];
    let is = |expected: f64| move |value: f64| (value - expected).abs() < 1e-9;
    for (name, labels, expected) in [
        ("mirador_slo_objective_ratio", &of_acme[..], 0.8),
        ("mirador_availability_ratio", &of_month, 0.7),
        ("mirador_error_budget_burn_rate", &of_month, 1.5),
    ] {
        mirador.until_metric(name, labels, is(expected)).await;
    }
    let table = command(&mirador, "tenant availability acme").await;
    let line = table
        .lines()
        .find(|line| line.contains("30d "))
        .expect("a line");
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(cells, ["metrics", "30d", "7", "3", "70%", "1.50"]);
    assert!(
        table.contains("metrics: objective 80% over 30d, -50% left of the error budget"),
        "{table}"
    );
}

/// What a router remembers is there when it is started again, and counts go on from there.
#[tokio::test]
async fn what_happened_is_remembered_across_restarts() {
    let status = Arc::new(AtomicU16::new(200));
    let (mut mirador, upstream) = (Mirador::with(soon()).await, answering(&status));
    let second = Upstream::saying("second");
    let urls = [upstream.url(), second.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    ask(&mirador, 3).await;
    until_served(&mirador, 3, 0).await;

    let (gone, name) = (upstream, urls[0].trim_start_matches("http://").to_owned());
    drop(gone);
    let is_down = |change: &Value| change["endpoint"] == name && change["to"] != "healthy";
    let change = until_changed(&mirador, "kind=endpoint&signal=metrics", is_down).await;
    assert!(
        change["sentence"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert!(
        change["router"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let of_another = "/api/v1/tenants/acme/health/history?signal=logs";
    assert_eq!(read(&mirador, of_another).await["changes"], json!([]));
    ask(&mirador, 2).await;
    until_served(&mirador, 5, 0).await;

    mirador.restart().await;
    ask(&mirador, 1).await;
    until_served(&mirador, 6, 0).await;
    let again = until_changed(&mirador, "kind=endpoint", |found| *found == change).await;
    assert_eq!(again["cause"], change["cause"]);
    let table = command(&mirador, "tenant history acme --kind endpoint --since 1h").await;
    let sentence = change["sentence"].as_str().expect("a sentence");
    assert!(table.contains(sentence), "{table}");
}

/// The last counts are written when the router ends in order, however long it would have waited.
#[tokio::test]
async fn the_last_counts_are_written_at_the_end() {
    let config = json!({"history": {"write_interval": "1h"}});
    let mut mirador = Mirador::with(config).await;
    let upstream = Upstream::saying("fine");
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador.apply(&acme).await;
    ask(&mirador, 4).await;
    mirador.terminate();
    let ended = mirador.process.exit().await;
    assert!(ended.success(), "{ended}");
    mirador.restart().await;
    until_served(&mirador, 4, 0).await;
}

/// Metrics have labels for one tenant only; how the others are served is known all the same.
#[tokio::test]
async fn tenants_without_a_label_have_an_availability_too() {
    let mut config = soon();
    config["metrics"] = json!({"max_tenants": 1});
    let (mirador, upstream) = (Mirador::with(config).await, Upstream::saying("fine"));
    let first = Tenant::new("globex").metrics(&[upstream.url()]);
    mirador.apply(&first).await;
    mirador.text("globex", READ).await;
    let status = Arc::new(AtomicU16::new(200));
    let own = answering(&status);
    let acme = Tenant::new("acme").metrics(&[own.url()]);
    mirador.apply(&acme).await;
    ask(&mirador, 3).await;
    status.store(503, Relaxed);
    ask(&mirador, 2).await;
    until_served(&mirador, 3, 2).await;
    let overflow = [
        ("tenant", "__overflow__"),
        ("signal", "metrics"),
        ("code", "200"),
    ];
    mirador
        .until_metric("mirador_requests_total", &overflow, |value| value > 2.5)
        .await;
}

#[tokio::test]
async fn nothing_counts_while_the_backends_are_worked_on() {
    let (mirador, upstream) = (Mirador::with(soon()).await, Upstream::saying("fine"));
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador.apply(&acme).await;
    ask(&mirador, 2).await;
    until_served(&mirador, 2, 0).await;
    let worked_on = acme
        .clone()
        .set("/maintenance", json!({"reason": "new disks"}));
    mirador.apply(&worked_on).await;
    ask(&mirador, 5).await;
    // Another tenant's requests are counted after these were passed over.
    let globex = Tenant::new("globex").metrics(&[upstream.url()]);
    mirador.apply(&globex).await;
    mirador.text("globex", READ).await;
    let counted = async || {
        let told = read(&mirador, "/api/v1/tenants/globex/availability").await;
        (window(&told, "30d")["good"] == 1).then_some(())
    };
    eventually("globex to be counted", counted).await;
    mirador.apply(&acme).await;
    ask(&mirador, 1).await;
    until_served(&mirador, 3, 0).await;
}

/// The store can't be written for a while: requests go on, and what happened meanwhile is written
/// afterwards.
#[tokio::test]
async fn what_happens_while_the_store_is_locked_is_written_later() {
    let config = json!({
        "history": {"write_interval": "200ms"},
        "store": {"busy_timeout": "100ms"},
    });
    let mirador = Mirador::with(config).await;
    let (first, second) = (Upstream::saying("first"), Upstream::saying("second"));
    let urls = [first.url(), second.url()];
    mirador.apply(&Tenant::new("acme").metrics(&urls)).await;
    ask(&mirador, 1).await;
    until_served(&mirador, 1, 0).await;

    let folder = tempfile::tempdir().expect("a folder");
    let locker = lock(&mirador.folder().join("mirador.db"), folder.path()).await;
    ask(&mirador, 4).await;
    drop(first);
    let failed = [("result", "error")];
    mirador
        .until_metric("mirador_history_writes_total", &failed, |count| count > 0.0)
        .await;
    ask(&mirador, 3).await;
    mirador
        .until_metric("mirador_history_waiting", &[], |count| count > 0.0)
        .await;
    drop(locker);
    until_unlocked(&mirador).await;
    until_served(&mirador, 8, 0).await;
    until_changed(&mirador, "kind=endpoint", |change| {
        change["to"] != "healthy"
    })
    .await;
    mirador
        .until_metric("mirador_history_waiting", &[], |count| count == 0.0)
        .await;
    let lost = mirador
        .metrics()
        .await
        .sum("mirador_history_lost_total", &[]);
    assert!(lost.abs() < f64::EPSILON, "{lost}");
}

/// A store that keeps no history: it is in memory, or in a file of its own that outlives the
/// process.
#[tokio::test]
async fn history_of_a_store_of_files_is_in_memory_or_in_a_file_of_its_own() {
    let upstream = Upstream::saying("fine");
    let folder = tempfile::tempdir().expect("a folder");
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    let document = serde_json::to_string(acme.document()).expect("JSON");
    std::fs::write(folder.path().join("acme.json"), document).expect("a file");
    for (path, survives) in [(None, false), (Some("history.db"), true)] {
        let mut mirador = Mirador::with(json!({
            "store": {"kind": "files", "path": folder.path()},
            "history": {"write_interval": "200ms", "path": path},
        }))
        .await;
        ask(&mirador, 2).await;
        until_served(&mirador, 2, 0).await;
        let file = mirador.folder().join("history.db");
        assert_eq!(file.exists(), survives);
        mirador.restart().await;
        ask(&mirador, 1).await;
        until_served(&mirador, if survives { 3 } else { 1 }, 0).await;
    }
}

/// What is remembered of a tenant ends with it.
#[tokio::test]
async fn a_purged_tenant_is_forgotten() {
    let (mirador, upstream) = (Mirador::with(soon()).await, Upstream::saying("fine"));
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    mirador.apply(&acme).await;
    ask(&mirador, 2).await;
    until_served(&mirador, 2, 0).await;
    let purge = mirador.admin(Method::DELETE, "/api/v1/tenants/acme?purge=true");
    let purged = purge.header("If-Match", "*").send().await;
    assert!(purged.expect("an answer").status().is_success());
    for path in ["availability", "health/history"] {
        let path = format!("/api/v1/tenants/acme/{path}");
        let answer = mirador.admin(Method::GET, &path).send().await;
        assert_eq!(answer.expect("an answer").status().as_u16(), 404);
    }
    mirador.apply(&acme).await;
    ask(&mirador, 1).await;
    until_served(&mirador, 1, 0).await;
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_named() {
    let mirador = Mirador::start().await;
    mirador.apply(&Tenant::new("acme")).await;
    for (query, field, expected) in [
        ("kind=weather", "kind", "expected one of endpoint"),
        ("signal=smoke", "signal", "expected metrics, logs or traces"),
        ("since=yesterday", "since", "expected a time such as"),
        ("before=17", "before", "the `next` of the page before"),
        ("limit=0", "limit", "expected a number from 1 to 1000"),
        ("page=2", "page", "there is no such argument here"),
    ] {
        let path = format!("/api/v1/tenants/acme/health/history?{query}");
        let answer = mirador.admin(Method::GET, &path).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status().as_u16(), 400, "{query}");
        let told: Value = answer.json().await.expect("JSON");
        assert_eq!(told["errors"][0]["field"], field, "{told}");
        let message = told["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{told}");
    }
    let tenant = Tenant::new("acme").set("/slo", json!({"availability": "100%"}));
    let put = mirador.admin(Method::PUT, "/api/v1/tenants/acme");
    let answer = put.header("If-Match", "*").json(tenant.document()).send();
    let told: Value = answer.await.expect("an answer").json().await.expect("JSON");
    assert_eq!(told["errors"][0]["field"], "slo.availability", "{told}");
}

/// What is told of a tenant is what all routers served that share the store.
#[tokio::test]
async fn what_routers_count_that_share_a_store_adds_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = json!({
        "history": {"write_interval": "200ms"},
        "store": {"path": folder.path().join("shared.db")},
    });
    let one = Mirador::with(config.clone()).await;
    let upstream = Upstream::saying("fine");
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    one.apply(&acme).await;
    let other = Mirador::with(config).await;
    for (router, times) in [(&one, 3), (&other, 4), (&one, 1)] {
        ask(router, times).await;
    }
    for router in [&one, &other] {
        until_served(router, 8, 0).await;
    }
}
