//! Live tails of a real `VictoriaLogs`.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use reqwest::{Error, Method, Response};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use crate::support::{
    eventually,
    metrics::Metrics,
    mirador::{Mirador, http_client},
    tenant::Tenant,
    victoria::Victoria,
    within,
};

const TAIL: &str = "/select/logsql/tail?query=*";

/// How long nothing happens. No other limit of the router, the backend or the kernel is longer and
/// would show only later.
const SILENCE: Duration = Duration::from_mins(2);

/// The same once the answer has begun, which takes another way through the router. Longer than the
/// deployment's timeout, and than it takes to look whether a stream's tenant is still served.
const SHORT_SILENCE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn a_tail_delivers_after_two_minutes_of_silence_and_ends_when_its_client_leaves() {
    let (backend, mirador) = tailed().await;
    let tail = follow(&mirador);
    until_tailing(&backend, 1.0).await;
    sleep(SILENCE).await;
    say(&backend, "at last").await;
    let mut tail = began(tail).await;
    assert_eq!(line(&mut tail).await, "at last");
    sleep(SHORT_SILENCE).await;
    say(&backend, "once more").await;
    assert_eq!(line(&mut tail).await, "once more");

    drop(tail);
    until_tailing(&backend, 0.0).await;
    check_nobody_is_blamed(&mirador, 1.0).await;
}

#[tokio::test]
async fn a_tail_ends_at_the_backend_before_it_said_anything() {
    let (backend, mirador) = tailed().await;
    let (first, second) = (follow(&mirador), follow(&mirador));
    until_tailing(&backend, 2.0).await;
    first.abort();
    until_tailing(&backend, 1.0).await;
    say(&backend, "to who is left").await;
    let mut second = began(second).await;
    assert_eq!(line(&mut second).await, "to who is left");
    drop(second);
    until_tailing(&backend, 0.0).await;
    check_nobody_is_blamed(&mirador, 2.0).await;
}

#[tokio::test]
async fn a_tail_breaks_off_when_its_backend_dies() {
    let (mut backend, mirador) = tailed().await;
    let tail = follow(&mirador);
    until_tailing(&backend, 1.0).await;
    say(&backend, "hello").await;
    let mut tail = began(tail).await;
    assert_eq!(line(&mut tail).await, "hello");
    backend.kill();
    let end = within("the end of the tail", tail.chunk()).await;
    assert!(
        end.is_err(),
        "a clean end would say that all is told: {end:?}"
    );
}

async fn tailed() -> (Victoria, Mirador) {
    let (backend, mirador) = tokio::join!(Victoria::logs(), Mirador::start());
    let tenant = Tenant::new("acme")
        .logs(&[backend.url()])
        .set("/deployments/logs/timeout", "5s")
        // Only the requests themselves are to tell of the endpoint's health.
        .set("/deployments/logs/health_check", json!({"enabled": false}));
    mirador.apply(&tenant).await;
    (backend, mirador)
}

/// Begins a tail. Older backends send its head with its first line only.
fn follow(mirador: &Mirador) -> JoinHandle<Result<Response, Error>> {
    tokio::spawn(mirador.request(Method::GET, "acme", TAIL).send())
}

async fn began(tail: JoinHandle<Result<Response, Error>>) -> Response {
    let reply = within("the head of the tail", tail).await;
    let reply = reply.expect("no panic").expect("an answer");
    assert_eq!(reply.status(), StatusCode::OK);
    reply
}

/// The message of the next line.
async fn line(tail: &mut Response) -> String {
    let line = within("a line", tail.chunk()).await;
    let line = line.expect("a tail that goes on").expect("a line");
    let line: Value = serde_json::from_slice(&line).expect("a whole line");
    line["_msg"].as_str().expect("a message").to_owned()
}

async fn say(backend: &Victoria, message: &str) {
    let line = json!({"date": Timestamp::now(), "_msg": message, "app": "a"});
    let request = http_client()
        .post(backend.url() + "/insert/jsonline?_time_field=date&_stream_fields=app")
        .header("Content-Type", "application/stream+json")
        .body(line.to_string());
    let reply = request.send().await.expect("an answer");
    assert_eq!(reply.status(), StatusCode::OK);
}

/// Waits until the backend serves so many tails.
async fn until_tailing(backend: &Victoria, tails: f64) {
    eventually(&format!("{tails} tails at the backend"), async || {
        let page = backend.fetch("/metrics").await;
        let now = Metrics::parse(&page).sum("vl_live_tailing_requests", &[]);
        ((now - tails).abs() < 0.5).then_some(())
    })
    .await;
}

/// The clients left; that is all that is said of it.
async fn check_nobody_is_blamed(mirador: &Mirador, left: f64) {
    let canceled = [
        ("tenant", "acme"),
        ("signal", "logs"),
        ("reason", "client_canceled"),
    ];
    let name = "mirador_request_errors_total";
    mirador
        .until_metric(name, &canceled, |count| count >= left)
        .await;
    let metrics = mirador.metrics().await;
    let all = metrics.sum(name, &[]);
    assert!(
        (all - left).abs() < 0.5,
        "nothing else failed: {}",
        metrics.text
    );
    let down = metrics.sum("mirador_endpoint_transitions_total", &[("to", "down")]);
    assert!(
        down < 0.5,
        "the endpoint was up all the time: {}",
        metrics.text
    );
    assert!(metrics.sum("mirador_endpoint_up", &[("tenant", "acme")]) > 0.5);
}
