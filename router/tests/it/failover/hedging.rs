//! Reads that are sent to a second endpoint when the first is late: who answers, what is sent, and
//! what it is held against.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{READ, WRITE, asked, health, of_five_bytes, reason, serving, unprobed};
use crate::support::{
    client::RawClient,
    eventually,
    mirador::Mirador,
    upstream::{Step, Upstream, ok, reply},
};

/// Long enough for a write to be answered, short enough to wait for.
const TIMEOUT: &str = "600ms";

fn hedged() -> Value {
    hedged_with(&json!({}))
}

/// Hedging on with more than a test can spend, and with `more` of its settings.
fn hedged_with(more: &Value) -> Value {
    let mut hedge = json!({"enabled": true, "initial_delay": "30ms", "budget_burst": 1000});
    for (key, value) in more.as_object().expect("a map") {
        hedge[key] = value.clone();
    }
    json!({
        "upstream": {"hedge": hedge},
        "health": {"ejection": {"base": "10m", "max": "10m"}},
    })
}

fn hanging() -> Upstream {
    Upstream::start(|_| vec![Step::ReadBody, Step::Hang])
}

/// How often hedges came to this.
async fn hedges(mirador: &Mirador, result: &str) -> f64 {
    let metrics = mirador.metrics().await;
    metrics.sum("mirador_hedges_total", &[("result", result)])
}

fn is_count(found: f64, expected: u32) -> bool {
    (found - f64::from(expected)).abs() < 0.5
}

#[tokio::test]
async fn a_late_read_is_answered_by_a_second_endpoint_and_ended_at_the_first() {
    let (hung, other) = (hanging(), Upstream::saying("other"));
    let mirador = serving(&unprobed(&[&hung, &other]), hedged()).await;
    let answer = asked(&mirador, READ).await;
    assert_eq!((answer.status(), answer.body.text()), (200, "other".into()));
    hung.until_abandoned(1).await;
    for sent in [hung.only(), other.only()] {
        assert_eq!(sent.body.expect("a body").text(), "hello");
        assert_eq!(sent.head.get("x-tenant-id"), None);
    }
    assert!(is_count(hedges(&mirador, "won").await, 1));
    let metrics = mirador.metrics().await;
    let moved = metrics.sum("mirador_failovers_total", &[("tenant", "acme")]);
    assert!(is_count(moved, 0), "it is no failover");
    let failures = health(&mirador, 0).await["consecutive_request_failures"].take();
    assert_eq!(failures, 1);
}

#[tokio::test]
async fn without_hedging_a_late_read_waits() {
    let (hung, other) = (hanging(), Upstream::saying("other"));
    let tenant = unprobed(&[&hung, &other]).set("/deployments/metrics/timeout", TIMEOUT);
    let mirador = serving(&tenant, json!({})).await;
    assert_eq!(reason(&asked(&mirador, READ).await), "upstream_timeout");
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn only_reads_with_a_bounded_answer_are_hedged() {
    let (hung, other) = (hanging(), Upstream::saying("other"));
    let tenant = unprobed(&[&hung, &other]).set("/deployments/metrics/timeout", TIMEOUT);
    let config = json!({"upstream": {
        "stream_idle_timeout": "1s",
        "hedge": {"enabled": true, "initial_delay": "30ms"},
    }});
    let mirador = serving(&tenant, config).await;
    for line in [
        WRITE,
        "POST /api/v1/import",
        "GET /api/v1/export",
        "POST /api/v1/unheard-of",
    ] {
        let answer = asked(&mirador, line).await;
        assert_eq!(reason(&answer), "upstream_timeout", "{line}");
    }
    assert_eq!((hung.asked().len(), other.asked().len()), (4, 0));
}

#[tokio::test]
async fn whichever_answers_first_is_the_answer() {
    let go_on = Arc::new(Notify::new());
    let late = {
        let go_on = go_on.clone();
        Upstream::start(move |_| [vec![Step::Await(go_on.clone())], ok("late")].concat())
    };
    let hung = hanging();
    let mirador = serving(&unprobed(&[&late, &hung]), hedged()).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_five_bytes(READ)).await;
    hung.until_asked(1).await;
    go_on.notify_one();
    let answer = client.reply().await.expect("a reply");
    assert_eq!((answer.status(), answer.body.text()), (200, "late".into()));
    hung.until_abandoned(1).await;
    assert!(is_count(hedges(&mirador, "lost").await, 1));
    for position in [0, 1] {
        let told = health(&mirador, position).await;
        assert_eq!(told["consecutive_request_failures"], 0, "{told}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_second_is_not_taken_for_an_answer() {
    for status in [503, 500, 429] {
        let go_on = Arc::new(Notify::new());
        let late = {
            let go_on = go_on.clone();
            Upstream::start(move |_| [vec![Step::Await(go_on.clone())], ok("late")].concat())
        };
        let busy = Upstream::start(move |_| reply(status, "", "busy"));
        let mirador = serving(&unprobed(&[&late, &busy]), hedged()).await;
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(of_five_bytes(READ)).await;
        busy.until_asked(1).await;
        let labels = [("endpoint", &*busy.authority())];
        mirador
            .until_metric("mirador_endpoint_requests_total", &labels, |n| n > 0.5)
            .await;
        go_on.notify_one();
        let answer = client.reply().await.expect("a reply");
        assert_eq!((answer.status(), answer.body.text()), (200, "late".into()));
        assert!(is_count(hedges(&mirador, "failed").await, 1), "{status}");
    }
}

#[tokio::test]
async fn a_first_endpoint_that_fails_leaves_the_answer_to_the_second() {
    let (break_off, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let broken = {
        let go_on = break_off.clone();
        Upstream::start(move |_| vec![Step::ReadBody, Step::Await(go_on.clone()), Step::Reset])
    };
    let other = {
        let go_on = answer.clone();
        Upstream::start(move |_| [vec![Step::Await(go_on.clone())], ok("other")].concat())
    };
    let mirador = serving(&unprobed(&[&broken, &other]), hedged()).await;
    let mut client = RawClient::connect(mirador.address()).await;
    client.send(of_five_bytes(READ)).await;
    other.until_asked(1).await;
    break_off.notify_one();
    // The first has failed before the second answers.
    eventually("the reset to be seen", async || {
        (broken.asked()[0].body.is_some()).then_some(())
    })
    .await;
    answer.notify_one();
    let answer = client.reply().await.expect("a reply");
    assert_eq!((answer.status(), answer.body.text()), (200, "other".into()));
    assert_eq!((broken.asked().len(), other.asked().len()), (1, 1));
}

#[tokio::test]
async fn an_endpoint_that_is_overtaken_in_a_row_is_ejected() {
    let (hung, other) = (hanging(), Upstream::saying("other"));
    let mirador = serving(&unprobed(&[&hung, &other]), hedged()).await;
    for nth in 0..9 {
        let answer = asked(&mirador, READ).await;
        assert_eq!((answer.status(), answer.body.text()), (200, "other".into()));
        assert_eq!(hung.asked().len(), (nth + 1).min(5), "read {nth}");
    }
    let told = health(&mirador, 0).await;
    assert_eq!(told["state"], "ejected", "{told}");
    assert_eq!(told["reason"], "live request failed: outpaced", "{told}");
    let told = health(&mirador, 1).await;
    assert_eq!(told["state"], "up", "{told}");
}

#[tokio::test]
async fn no_more_is_sent_twice_than_the_budget_allows() {
    let (hung, other) = (hanging(), Upstream::saying("other"));
    let tenant = unprobed(&[&hung, &other]).set("/deployments/metrics/timeout", TIMEOUT);
    let budget = json!({"budget_burst": 2, "budget_ratio": 0});
    let mirador = serving(&tenant, hedged_with(&budget)).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(asked(&mirador, READ).await.status());
    }
    assert_eq!(statuses, [200, 200, 504, 504]);
    assert_eq!(other.asked().len(), 2);
    assert!(is_count(hedges(&mirador, "denied").await, 2));
}

#[tokio::test]
async fn reads_that_wait_when_their_endpoint_is_ejected_follow_the_others() {
    let hung = hanging();
    let gates: Vec<_> = (0..5).map(|_| Arc::new(Notify::new())).collect();
    let other = {
        let gates = gates.clone();
        Upstream::start(move |asked| match gates.get(asked.nth) {
            Some(gate) => [vec![Step::Await(gate.clone())], ok("other")].concat(),
            None => ok("other"),
        })
    };
    // Five hedges eject it; the others wait on it without leave to be hedged.
    let budget = json!({"budget_burst": 5, "budget_ratio": 0});
    let mirador = serving(&unprobed(&[&hung, &other]), hedged_with(&budget)).await;
    let mut clients = Vec::new();
    for nth in 0..20 {
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(of_five_bytes(READ)).await;
        clients.push(client);
        hung.until_asked(nth + 1).await;
    }
    other.until_asked(5).await;
    mirador
        .until_metric("mirador_hedges_total", &[("result", "denied")], |n| {
            n > 14.5
        })
        .await;
    assert_eq!(other.asked().len(), 5);
    for gate in &gates {
        gate.notify_one();
    }
    for mut client in clients {
        let answer = client.reply().await.expect("a reply");
        assert_eq!((answer.status(), answer.body.text()), (200, "other".into()));
    }
    assert_eq!(health(&mirador, 0).await["state"], "ejected");
}

#[tokio::test]
async fn the_delay_is_what_reads_took_before() {
    let hangs = Upstream::start(|asked| match asked.nth {
        0..64 => ok("fast"),
        _ => vec![Step::ReadBody, Step::Hang],
    });
    let other = Upstream::saying("other");
    // Without what was observed the sixty-fifth would have to wait for longer than its deadline.
    let mirador = serving(
        &unprobed(&[&hangs, &other]),
        hedged_with(&json!({"initial_delay": "1m"})),
    )
    .await;
    for _ in 0..64 {
        assert_eq!(asked(&mirador, READ).await.body.text(), "fast");
    }
    assert_eq!(asked(&mirador, READ).await.body.text(), "other");
}
