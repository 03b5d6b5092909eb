//! Which endpoint gets a request, as far as clients and operators can tell.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{READ, asked, health, serving};
use crate::support::{
    acme::of_acme,
    client::RawClient,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Asked, Step, Upstream, ok, reply, send},
};

/// Acme with these endpoints under this policy, judged by requests alone.
fn balanced(policy: &str, endpoints: &Value) -> Tenant {
    Tenant::new("acme").set(
        "/deployments/metrics",
        json!({"endpoints": endpoints, "policy": policy, "health_check": {"enabled": false}}),
    )
}

#[tokio::test]
async fn the_endpoint_of_the_lowest_priority_comes_first_wherever_it_stands() {
    let (mut far, mut near, last) = (
        Upstream::saying("far"),
        Upstream::saying("near"),
        Upstream::saying("last"),
    );
    let endpoints = json!([
        {"url": last.url(), "zone": "c", "priority": 9},
        {"url": far.url(), "zone": "b", "priority": 5},
        {"url": near.url(), "zone": "a", "priority": 1},
    ]);
    let mirador = serving(&balanced("first_available", &endpoints), json!({})).await;
    for (text, stopped) in [("near", &mut near), ("far", &mut far)] {
        for _ in 0..5 {
            assert_eq!(asked(&mirador, READ).await.body.text(), text);
        }
        stopped.stop().await;
    }
    assert_eq!(asked(&mirador, READ).await.body.text(), "last");
    for (position, zone, priority, state) in
        [(0, "c", 9, "up"), (1, "b", 5, "down"), (2, "a", 1, "down")]
    {
        let told = health(&mirador, position).await;
        assert_eq!(
            (&told["zone"], &told["priority"]),
            (&json!(zone), &json!(priority))
        );
        assert_eq!(told["state"], state, "{told}");
    }
}

#[tokio::test]
async fn turns_are_taken_by_weight() {
    let (heavy, light) = (Upstream::saying("heavy"), Upstream::saying("light"));
    let endpoints = json!([
        {"url": heavy.url(), "weight": 3},
        {"url": light.url(), "weight": 1},
    ]);
    let mirador = serving(&balanced("round_robin", &endpoints), json!({})).await;
    for _ in 0..40 {
        assert_eq!(asked(&mirador, READ).await.status(), 200);
    }
    assert_eq!((heavy.asked().len(), light.asked().len()), (30, 10));
}

#[tokio::test]
async fn the_busier_endpoint_is_spared_whichever_worker_it_is_busy_for() {
    let go_on = Arc::new(Notify::new());
    let script = {
        let go_on = Arc::clone(&go_on);
        move |asked: &Asked| match asked.target() {
            "/api/v1/export" => {
                let mut steps = vec![Step::Await(Arc::clone(&go_on))];
                steps.extend(ok("long"));
                steps
            }
            _ => ok("short"),
        }
    };
    let both = [Upstream::start(script.clone()), Upstream::start(script)];
    let endpoints = json!([{"url": both[0].url()}, {"url": both[1].url()}]);
    let workers = json!({"workers": 2});
    let mirador = serving(&balanced("least_loaded", &endpoints), workers).await;
    let mut long = RawClient::connect(mirador.address()).await;
    long.send(of_acme("GET /api/v1/export", "")).await;
    let busy = eventually("one of them to be busy", async || {
        both.iter()
            .position(|upstream| !upstream.asked().is_empty())
    })
    .await;
    let (busy, idle) = (&both[busy], &both[1 - busy]);
    for _ in 0..40 {
        assert_eq!(asked(&mirador, READ).await.body.text(), "short");
    }
    assert_eq!((busy.asked().len(), idle.asked().len()), (1, 40));
    go_on.notify_one();
    assert_eq!(long.reply().await.expect("a reply").body.text(), "long");
    for _ in 0..40 {
        assert_eq!(asked(&mirador, READ).await.body.text(), "short");
    }
    assert!(busy.asked().len() > 1, "it is used again");
}

#[tokio::test]
async fn nearest_stays_in_its_zone_while_it_can() {
    let (far, mut near) = (Upstream::saying("far"), Upstream::saying("near"));
    let endpoints = json!([
        {"url": far.url(), "zone": "b"},
        {"url": near.url(), "zone": "a"},
    ]);
    let config = json!({"zone": "a", "health": {"ejection": {"base": "50ms", "max": "100ms"}}});
    let mirador = serving(&balanced("nearest", &endpoints), config).await;
    for text in ["near", "far"] {
        for _ in 0..20 {
            assert_eq!(asked(&mirador, READ).await.body.text(), text);
        }
        near.stop().await;
    }
    near.listen(|_| ok("near"));
    eventually("the zone's own endpoint to be used again", async || {
        (asked(&mirador, READ).await.body.text() == "near").then_some(())
    })
    .await;
}

#[tokio::test]
async fn nearest_prefers_who_answers_sooner() {
    let slow = Upstream::start(|_| {
        // So much that no stall of a busy machine makes the fast one seem slower.
        let late = Step::Drip("HT".into(), Duration::from_millis(500));
        let rest = send("TP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        vec![Step::ReadBody, late, rest]
    });
    let fast = Upstream::saying("fast");
    let endpoints = json!([{"url": slow.url()}, {"url": fast.url()}]);
    let mirador = serving(&balanced("nearest", &endpoints), json!({})).await;
    for _ in 0..100 {
        assert_eq!(asked(&mirador, READ).await.status(), 200);
    }
    let (slow, fast) = (slow.asked().len(), fast.asked().len());
    assert!(
        (1..=5).contains(&slow),
        "{slow} to the slow one, {fast} to the fast one"
    );
    let told = health(&mirador, 0).await;
    let latency = told["latency_ms"].as_f64().expect("a number");
    assert!(latency >= 100.0, "it fades while nobody asks: {told}");
}

/// Three endpoints that take turns, of which the first two answer 502.
async fn two_of_three_failing(max_ejected: f64) -> (Mirador, [Upstream; 3]) {
    let failing = || Upstream::start(|_| reply(502, "", "failing"));
    let all = [failing(), failing(), Upstream::saying("fine")];
    let urls: Vec<Value> = all.iter().map(|one| json!({"url": one.url()})).collect();
    let config = json!({"health": {"ejection": {
        "base": "10m", "max": "10m", "max_ejected": max_ejected,
    }}});
    let mirador = serving(&balanced("round_robin", &json!(urls)), config).await;
    // Five of each eject the first of the two, and then the other one.
    for _ in 0..30 {
        asked(&mirador, READ).await;
    }
    (mirador, all)
}

#[tokio::test]
async fn those_left_are_not_overrun_where_too_many_are_ejected() {
    let (mirador, all) = two_of_three_failing(0.5).await;
    for position in [0, 1] {
        assert_eq!(health(&mirador, position).await["state"], "ejected");
    }
    let before = all[2].asked().len();
    for _ in 0..30 {
        asked(&mirador, READ).await;
    }
    assert_eq!(all[2].asked().len() - before, 10, "its third, as ever");
    let metrics = mirador.metrics().await;
    assert!(metrics.sum("mirador_panic_picks_total", &[]) > 19.5);

    let (mirador, all) = two_of_three_failing(1.0).await;
    let before = all[2].asked().len();
    for _ in 0..30 {
        assert_eq!(asked(&mirador, READ).await.body.text(), "fine");
    }
    assert_eq!(all[2].asked().len() - before, 30);
    assert!(
        mirador
            .metrics()
            .await
            .sum("mirador_panic_picks_total", &[])
            < 0.5
    );
}

#[tokio::test]
async fn who_fails_every_other_request_is_ejected_by_its_share() {
    let failing = Upstream::start(|asked| match asked.nth % 2 {
        0 => reply(502, "", "failing"),
        _ => ok("sometimes"),
    });
    let other = Upstream::saying("other");
    let endpoints = json!([{"url": failing.url()}, {"url": other.url()}]);
    let config = json!({"health": {
        "ejection": {"base": "10m", "max": "10m"},
        "outliers": {"min_requests": 40, "failure_ratio": 0.4, "window": "1h"},
    }});
    let mirador = serving(&balanced("first_available", &endpoints), config).await;
    for _ in 0..50 {
        asked(&mirador, READ).await;
    }
    assert_eq!(
        failing.asked().len(),
        41,
        "up to the first failure after forty"
    );
    let told = health(&mirador, 0).await;
    assert_eq!(told["state"], "ejected", "{told}");
    assert_eq!(told["reason"], "21 of 41 live requests failed", "{told}");
}

#[tokio::test]
async fn who_comes_back_is_not_given_everything_at_once() {
    let back = Upstream::start(|asked| match asked.nth {
        0..5 => reply(502, "", "failing"),
        _ => ok("back"),
    });
    let other = Upstream::saying("other");
    let endpoints = json!([{"url": back.url()}, {"url": other.url()}]);
    let config = json!({"health": {
        "ejection": {"base": "50ms", "max": "100ms"},
        "slow_start": "1h",
    }});
    let mirador = serving(&balanced("first_available", &endpoints), config).await;
    for _ in 0..5 {
        assert_eq!(asked(&mirador, READ).await.status(), 502);
    }
    eventually("it to be back", async || {
        asked(&mirador, READ).await;
        (health(&mirador, 0).await["state"] == "up").then_some(())
    })
    .await;
    let before = back.asked().len();
    for _ in 0..300 {
        assert_eq!(asked(&mirador, READ).await.status(), 200);
    }
    let given = back.asked().len() - before;
    assert!((15..=60).contains(&given), "{given} of 300, not a tenth");
}
