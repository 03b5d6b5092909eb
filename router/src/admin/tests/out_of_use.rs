//! Endpoints that are drained, and tenants in maintenance.

use std::time::Duration;

use health::Failure;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::standing::{endpoint, health, metrics, next, unprobed};
use crate::{
    admin::testing::{Admin, Answer},
    standing::Kind,
};

async fn drained(admin: &Admin, verb: &str, query: &str, body: Value) -> Answer {
    let path = format!("/api/v1/tenants/acme/deployments/metrics/endpoints/{verb}{query}");
    let request = admin.request(Method::POST, &path).header("If-Match", "*");
    Answer::of(request.json(&body)).await
}

#[tokio::test]
async fn an_endpoint_is_drained_unless_it_is_the_last() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_051, 2)).await;
    for position in 0..2 {
        endpoint(&admin, "acme", position).report_success();
    }
    let mut feed = admin.control.standing().feed();
    let first = json!({"endpoint": "127.0.0.1:10051"});
    let foretold = drained(&admin, "drain", "?dry_run=true", first.clone()).await;
    assert_eq!(foretold.outcome(), "updated");
    let done = drained(&admin, "drain", "", first.clone()).await;
    assert_eq!(
        (done.status, done.outcome()),
        (StatusCode::OK, "updated"),
        "{}",
        done.body
    );
    let endpoints = &done.body["deployments"]["metrics"]["endpoints"];
    assert_eq!(endpoints[0]["drain"], true);
    assert_eq!(endpoints[1].get("drain"), None);
    assert_eq!(
        drained(&admin, "drain", "", first.clone()).await.outcome(),
        "unchanged"
    );
    let told = next(&mut feed, Kind::Endpoint).await;
    assert_eq!((&*told.to, told.cause.as_str()), ("draining", "drain"));
    let now = health(&admin, "acme").await;
    assert_eq!(
        now["sentence"],
        "metrics degraded: 127.0.0.1:10051 is being drained, reads and writes served by 127.0.0.1:10052"
    );
    assert_eq!(now["overall"], "healthy", "what is in use is up");

    let last = json!({"endpoint": "http://127.0.0.1:10052/"});
    let refused = drained(&admin, "drain", "", last.clone()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.body["type"], "/problems/last-endpoint");
    let detail = refused.body["detail"].as_str().expect("a text");
    assert!(
        detail.contains("all others that take its requests are drained"),
        "{detail}"
    );
    let forced = json!({"endpoint": "127.0.0.1:10052", "force": true});
    assert_eq!(
        drained(&admin, "drain", "", forced).await.outcome(),
        "updated"
    );
    let nothing = health(&admin, "acme").await;
    assert_eq!(nothing["condition"], "unhealthy");

    assert_eq!(
        drained(&admin, "undrain", "", last.clone()).await.outcome(),
        "updated"
    );
    assert_eq!(
        drained(&admin, "undrain", "", first.clone())
            .await
            .outcome(),
        "updated"
    );
}

#[tokio::test]
async fn an_endpoint_is_not_drained_if_the_others_are_down() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_051, 2)).await;
    let first = json!({"endpoint": "127.0.0.1:10051"});
    // The other one is down: going by the document alone it would serve.
    endpoint(&admin, "acme", 1).report_failure(Failure::Connect);
    let refused = drained(&admin, "drain", "", first).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let detail = refused.body["detail"].as_str().expect("a text");
    assert!(
        detail.contains("127.0.0.1:10052 could not be connected to since"),
        "{detail}"
    );
}

/// What is meant has to be there.
#[tokio::test]
async fn a_drain_names_what_is_there() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_051, 2)).await;
    let strange = drained(&admin, "drain", "", json!({"endpoint": "10.9.8.7:1"})).await;
    assert_eq!(strange.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(strange.body["errors"][0]["value"], "10.9.8.7:1");
    let message = strange.body["errors"][0]["message"]
        .as_str()
        .expect("a text");
    assert!(message.contains("http://127.0.0.1:10051"), "{message}");
    let misspelt = drained(
        &admin,
        "drain",
        "",
        json!({"endpoint": "a:1", "forced": true}),
    )
    .await;
    assert_eq!(misspelt.status, StatusCode::BAD_REQUEST);
}

/// Nobody is told of what happens meanwhile; what is left of it is told at the end.
#[tokio::test]
async fn maintenance_silences_a_tenant_until_it_is_over() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_061, 2)).await;
    for position in 0..2 {
        endpoint(&admin, "acme", position).report_success();
    }
    let path = "/api/v1/tenants/acme/maintenance";
    let put = |body: Value| {
        admin
            .request(Method::PUT, path)
            .header("If-Match", "*")
            .json(&body)
    };
    let past = Answer::of(put(
        json!({"reason": "disks", "until": "2020-01-01T00:00:00Z"}),
    ))
    .await;
    assert_eq!(past.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(past.body["errors"][0]["field"], "until");
    let nameless = Answer::of(put(json!({"until": "2120-01-01T00:00:00Z"}))).await;
    assert_eq!(nameless.status, StatusCode::BAD_REQUEST);

    let mut feed = admin.control.standing().feed();
    let begun = Answer::of(put(json!({"reason": "new disks"}))).await;
    assert_eq!((begun.status, begun.outcome()), (StatusCode::OK, "updated"));
    let told = next(&mut feed, Kind::Maintenance).await;
    assert_eq!((&*told.from, &*told.to), ("healthy", "maintenance"));
    let now = health(&admin, "acme").await;
    assert_eq!(now["condition"], "maintenance");
    assert_eq!(now["sentence"], "in maintenance: new disks");
    assert_eq!(now["maintenance"]["reason"], "new disks");
    assert!(
        metrics(&admin)
            .await
            .contains("mirador_maintenance{tenant=\"acme\"} 1")
    );
    let page = admin.get("/api/v1/health?condition=maintenance").await.body;
    assert_eq!(page["tenants"][0]["tenant"], "acme");

    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    let looked = admin.control.standing();
    looked.look();
    assert!(feed.try_recv().is_err(), "nobody is to be woken");
    assert_eq!(
        health(&admin, "acme").await["deployments"]["metrics"]["condition"],
        "degraded"
    );

    let end = admin.request(Method::DELETE, path).header("If-Match", "*");
    assert_eq!(Answer::of(end).await.outcome(), "updated");
    let over = next(&mut feed, Kind::Maintenance).await;
    assert_eq!((&*over.from, &*over.to), ("maintenance", "degraded"));
    let tenant = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*tenant.from, &*tenant.to), ("healthy", "degraded"));
}

/// Nobody has to remember to end it.
#[tokio::test]
async fn maintenance_ends_by_the_clock() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_071, 2)).await;
    let mut feed = admin.control.standing().feed();
    let put = async |body: Value| {
        let put = admin.request(Method::PUT, "/api/v1/tenants/acme/maintenance");
        Answer::of(put.header("If-Match", "*").json(&body))
            .await
            .status
    };
    assert_eq!(put(json!({"reason": "new disks"})).await, StatusCode::OK);
    assert_eq!(&*next(&mut feed, Kind::Maintenance).await.to, "maintenance");
    // A busy machine may get to it when it is past.
    loop {
        let until = jiff::Timestamp::now() + Duration::from_secs(1);
        let body = json!({"reason": "new disks", "until": until.to_string()});
        if put(body).await == StatusCode::OK {
            break;
        }
    }
    let over = next(&mut feed, Kind::Maintenance).await;
    assert_eq!((&*over.from, &*over.to), ("maintenance", "unknown"));
    assert_eq!(over.sentence, "maintenance is over: new disks");
}
