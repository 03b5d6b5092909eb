//! Who serves is told as it is: those whom requests go to, ejected ones included where they do.

use reqwest::Method;
use serde_json::{Value, json};

use super::{READ, asked, serving, unprobed};
use crate::support::{
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Upstream, reply},
};

/// Acme, whose equal backends for metrics share requests out by `policy`.
fn shared_out(policy: &str, endpoints: &Value) -> Tenant {
    let deployment = json!({
        "policy": policy,
        "endpoints": endpoints,
        "health_check": {"enabled": false},
    });
    Tenant::new("acme").set("/deployments/metrics", deployment)
}

fn endpoint(upstream: &Upstream, zone: &str) -> Value {
    json!({"url": upstream.url(), "zone": zone})
}

/// What the router tells of acme's metrics.
async fn told(mirador: &Mirador) -> Value {
    let path = "/api/v1/tenants/acme/health";
    let reply = mirador.admin(Method::GET, path).send().await;
    let page: Value = reply.expect("an answer").json().await.expect("JSON");
    page["deployments"]["metrics"].clone()
}

fn sentence(told: &Value) -> &str {
    told["sentence"].as_str().expect("a sentence")
}

/// Asks until the router tells that these serve.
async fn until_served_by(mirador: &Mirador, upstreams: &[&Upstream]) -> Value {
    let names: Vec<_> = upstreams.iter().map(|one| one.authority()).collect();
    eventually(&format!("{names:?} to serve"), async || {
        asked(mirador, READ).await;
        let told = told(mirador).await;
        (told["served_by"] == json!(names)).then_some(told)
    })
    .await
}

/// As long as one of its own zone is left, the others get nothing and are not named.
#[tokio::test]
async fn under_nearest_those_of_the_own_zone_serve_until_none_is_left() {
    let far = Upstream::saying("far");
    let (mut one, mut two) = (Upstream::saying("one"), Upstream::saying("two"));
    let endpoints = json!([
        endpoint(&far, "b"),
        endpoint(&one, "a"),
        endpoint(&two, "a")
    ]);
    // Probes judge here: `nearest` need not ever ask an endpoint again whose last answer took long.
    let tenant = shared_out("nearest", &endpoints).set(
        "/deployments/metrics/health_check",
        json!({"interval": "100ms", "healthy_after": 1, "unhealthy_after": 1}),
    );
    let mirador = serving(&tenant, json!({"zone": "a"})).await;
    let well = until_served_by(&mirador, &[&one, &two]).await;
    assert_eq!(
        sentence(&well),
        format!(
            "metrics healthy: served by {}, {}",
            one.authority(),
            two.authority()
        )
    );

    one.stop().await;
    let ill = until_served_by(&mirador, &[&two]).await;
    assert_eq!(ill["condition"], "degraded");
    let expected = format!("reads and writes served by {}", two.authority());
    assert!(sentence(&ill).ends_with(&expected), "{ill}");
    assert_eq!(asked(&mirador, READ).await.body.text(), "two");

    assert_eq!(far.asked().len(), 0, "it was not told to serve, nor did it");
    two.stop().await;
    let ill = until_served_by(&mirador, &[&far]).await;
    let expected = format!("reads and writes served by {}", far.authority());
    assert!(sentence(&ill).ends_with(&expected), "{ill}");
    assert_eq!(asked(&mirador, READ).await.body.text(), "far");
}

/// Where too many are out, ejected ones get requests; elsewhere they don't, and are not named.
#[tokio::test]
async fn ejected_ones_are_named_where_they_serve_for_want_of_others() {
    for (max_ejected, they_serve) in [(0.5, true), (1.0, false)] {
        let failing = || Upstream::start(|_| reply(502, "", "failing"));
        let (one, two, well) = (failing(), failing(), Upstream::saying("fine"));
        let endpoints = [&one, &two, &well].map(|upstream| endpoint(upstream, "a"));
        let config = json!({"health": {"ejection": {
            "base": "10m", "max": "10m", "max_ejected": max_ejected,
        }}});
        let mirador = serving(&shared_out("round_robin", &json!(endpoints)), config).await;
        // Five of each eject the first of the two, and then the other one.
        for _ in 0..30 {
            asked(&mirador, READ).await;
        }
        let told = told(&mirador).await;
        for (position, condition) in ["ejected", "ejected", "healthy"].into_iter().enumerate() {
            assert_eq!(
                told["endpoints"][position]["condition"], condition,
                "{told}"
            );
        }
        assert_eq!(told["condition"], "degraded");
        let before = [&one, &two, &well].map(|upstream| upstream.asked().len());
        for _ in 0..9 {
            asked(&mirador, READ).await;
        }
        let after = [&one, &two, &well].map(|upstream| upstream.asked().len());
        let serving = told["served_by"].as_array().expect("a list");
        for (position, upstream) in [&one, &two, &well].into_iter().enumerate() {
            let is_named = serving.contains(&json!(upstream.authority()));
            let is_asked = after[position] > before[position];
            assert_eq!(is_named, is_asked, "{position}: {told}");
        }
        let all = [&one, &two, &well].map(Upstream::authority);
        let expected = if they_serve {
            let names = all.join(", ");
            format!("reads and writes served by {names}, ejected ones too, as too many are out")
        } else {
            format!("reads and writes served by {}", all[2])
        };
        assert!(sentence(&told).ends_with(&expected), "{told}");
    }
}

/// The only one there is gets requests though it is ejected. That is no health: nobody is told that
/// it serves as it should.
#[tokio::test]
async fn an_ejected_endpoint_that_is_the_last_resort_is_named_and_unhealthy() {
    let failing = Upstream::start(|_| reply(502, "", "failing"));
    let config = json!({"health": {"ejection": {"base": "10m", "max": "10m"}}});
    let mirador = serving(&unprobed(&[&failing]), config).await;
    for _ in 0..5 {
        asked(&mirador, READ).await;
    }
    let told = told(&mirador).await;
    assert_eq!(told["endpoints"][0]["condition"], "ejected");
    assert_eq!(told["condition"], "unhealthy");
    assert_eq!(told["served_by"], json!([failing.authority()]));
    let name = failing.authority();
    let expected = format!("no endpoint is left but ejected ones: requests are tried at {name}");
    assert!(sentence(&told).ends_with(&expected), "{told}");
    let before = failing.asked().len();
    asked(&mirador, READ).await;
    assert!(failing.asked().len() > before, "it is tried");
}
