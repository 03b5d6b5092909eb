//! Which endpoint gets a request, as far as clients and operators can tell.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{READ, asked, health, serving};
use crate::support::{
    acme::of_acme,
    client::RawClient,
    eventually,
    tenant::Tenant,
    upstream::{Asked, Step, Upstream, ok},
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
