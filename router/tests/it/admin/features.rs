//! What a tier or a tenant switches off, as clients meet it.

use reqwest::Method;
use serde_json::{Value, json};

use super::Answer;
use crate::support::{eventually, mirador::Mirador, tenant::Tenant, upstream::Upstream};

/// The status of what the router answers acme.
async fn status(mirador: &Mirador, method: Method, path: &str) -> u16 {
    let reply = mirador.request(method, "acme", path).send().await;
    reply.expect("an answer").status().as_u16()
}

async fn define(mirador: &Mirador, tier: &Value) {
    let name = tier["name"].as_str().expect("a name");
    let path = format!("/api/v1/tiers/{name}");
    for condition in ["If-Match", "If-None-Match"] {
        let put = mirador.admin(Method::PUT, &path).json(tier);
        let answer = Answer::of(put.header(condition, "*")).await;
        if answer.status.is_success() {
            return;
        }
        assert_eq!(answer.status.as_u16(), 412, "{}", answer.body);
    }
    panic!("the tier {name} could not be defined");
}

/// A path of each feature, and how it is asked.
const PATHS: [(&str, &str, &str); 12] = [
    ("metrics", "GET", "/api/v1/query?query=up"),
    ("logs", "GET", "/select/logsql/query?query=*"),
    ("traces", "GET", "/select/jaeger/api/services"),
    ("reads", "GET", "/api/v1/query?query=up"),
    ("reads", "GET", "/api/v1/a_path_nobody_knows"),
    ("writes", "POST", "/api/v1/write"),
    ("writes", "POST", "/insert/jsonline"),
    ("writes", "GET", "/api/v1/a_path_nobody_knows"),
    ("federation", "GET", "/federate?match[]=up"),
    ("exports", "GET", "/api/v1/export?match[]=up"),
    ("tails", "GET", "/select/logsql/tail?query=*"),
    ("vmui", "GET", "/vmui/"),
];

#[tokio::test]
async fn what_is_switched_off_is_refused_and_the_rest_goes_on() {
    let (mirador, upstream) = (Mirador::start().await, Upstream::saying("here"));
    let acme = Tenant::new("acme").everything(&[upstream.url()]);
    for feature in [
        "metrics",
        "logs",
        "traces",
        "reads",
        "writes",
        "federation",
        "exports",
        "tails",
        "vmui",
    ] {
        mirador
            .apply(&acme.clone().set("/features", json!({feature: false})))
            .await;
        let method = |name: &str| Method::from_bytes(name.as_bytes()).expect("a method");
        for (of, name, path) in PATHS.iter().filter(|(of, ..)| *of == feature) {
            let asked = upstream.asked().len();
            let reply = mirador.request(method(name), "acme", path).send().await;
            let reply = reply.expect("an answer");
            assert_eq!(reply.status().as_u16(), 403, "{of} {path}");
            let told = reply.text().await.expect("a body");
            let expected = format!("{feature} is switched off for this tenant");
            assert!(told.contains(&expected), "{told}");
            assert_eq!(upstream.asked().len(), asked, "{path} reached a backend");
        }
        let (other, path) = match feature {
            "metrics" | "reads" => ("POST", "/insert/jsonline"),
            _ => ("GET", "/api/v1/query?query=up"),
        };
        assert_eq!(
            status(&mirador, method(other), path).await,
            200,
            "{feature} {path}"
        );
    }
}

#[tokio::test]
async fn a_tier_takes_effect_on_its_tenants_at_once_and_they_may_say_otherwise() {
    let (mirador, upstream) = (Mirador::start().await, Upstream::saying("here"));
    define(
        &mirador,
        &json!({"name": "gold", "features": {"writes": false}}),
    )
    .await;
    let acme = Tenant::new("acme").everything(&[upstream.url()]);
    let acme = acme.set("/tier", "gold");
    mirador.apply(&acme).await;
    let write = async || status(&mirador, Method::POST, "/insert/jsonline").await;
    assert_eq!(write().await, 403);
    mirador
        .apply(&acme.clone().set("/features", json!({"writes": true})))
        .await;
    assert_eq!(write().await, 200);
    mirador.apply(&acme).await;
    assert_eq!(write().await, 403);
    define(&mirador, &json!({"name": "gold"})).await;
    eventually("the tier to take effect", async || {
        (write().await == 200).then_some(())
    })
    .await;
    define(
        &mirador,
        &json!({"name": "gold", "features": {"writes": false}}),
    )
    .await;
    eventually("the tier to take effect", async || {
        (write().await == 403).then_some(())
    })
    .await;
    // The router's own check of the tenant is not asked of what is off.
    define(
        &mirador,
        &json!({"name": "gold", "features": {"metrics": false}}),
    )
    .await;
    eventually("metrics to be off", async || {
        (status(&mirador, Method::GET, "/api/v1/labels").await == 403).then_some(())
    })
    .await;
    assert_eq!(status(&mirador, Method::GET, "/health").await, 200);
    assert_eq!(status(&mirador, Method::GET, "/vm/health").await, 403);
}

/// As another router sees it that shares the store, and after a restart.
#[tokio::test]
async fn a_tier_is_known_to_every_router_and_from_the_first_request() {
    let (mut here, upstream) = (Mirador::start().await, Upstream::saying("here"));
    define(
        &here,
        &json!({"name": "gold", "features": {"reads": false}}),
    )
    .await;
    let acme = Tenant::new("acme")
        .everything(&[upstream.url()])
        .set("/tier", "gold");
    here.apply(&acme).await;
    let store = here.folder().join("mirador.db");
    let there = Mirador::with(json!({"store": {"path": store}})).await;
    let read = async |mirador: &Mirador| status(mirador, Method::GET, "/api/v1/labels").await;
    assert_eq!(read(&there).await, 403);
    define(&here, &json!({"name": "gold"})).await;
    eventually("the other router to see it", async || {
        (read(&there).await == 200).then_some(())
    })
    .await;
    define(
        &there,
        &json!({"name": "gold", "features": {"reads": false}}),
    )
    .await;
    here.restart().await;
    assert_eq!(read(&here).await, 403);
}

/// Probes of a tenant that says nothing of them are its tier's.
#[tokio::test]
async fn endpoints_are_probed_as_the_tier_says() {
    let (mirador, upstream) = (Mirador::start().await, Upstream::saying("here"));
    define(
        &mirador,
        &json!({"name": "gold", "health": {"interval": "100ms", "healthy_after": 1}}),
    )
    .await;
    let acme = Tenant::new("acme").set("/tier", "gold");
    let deployment = json!({"endpoints": [upstream.url()]});
    mirador
        .apply(&acme.set("/deployments/metrics", deployment))
        .await;
    // Which would take five minutes otherwise.
    upstream.until_probed(10).await;
}
