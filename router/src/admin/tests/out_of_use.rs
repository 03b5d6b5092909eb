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
    assert!(detail.contains("all others are drained"), "{detail}");
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

async fn posted(admin: &Admin, verb: &str) {
    let path = format!("/api/v1/tenants/acme/{verb}");
    let request = admin.request(Method::POST, &path).header("If-Match", "*");
    let answer = Answer::of(request).await;
    assert_eq!(answer.outcome(), "updated", "{verb}: {}", answer.body);
}

/// A tenant that is switched off is no news until it is switched on again; then all that is not well
/// is, whatever it was before.
#[tokio::test]
async fn a_suspended_tenant_is_nobodys_concern_until_it_is_activated() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_091, 2)).await;
    for position in 0..2 {
        endpoint(&admin, "acme", position).report_success();
    }
    let mut feed = admin.control.standing().feed();
    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    next(&mut feed, Kind::Tenant).await;

    posted(&admin, "suspend").await;
    let told = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*told.from, &*told.to), ("degraded", "suspended"));
    assert_eq!(told.cause.as_str(), "config");
    let now = health(&admin, "acme").await;
    assert_eq!(now["condition"], "suspended");
    assert_eq!(
        now["sentence"],
        "suspended: its requests are refused until it is activated"
    );
    assert!(now["since"].is_string(), "{now}");
    assert_eq!(
        now["deployments"]["metrics"]["condition"], "degraded",
        "its endpoints are told as they are"
    );
    listed_as_suspended(&admin).await;

    // Whatever happens meanwhile: nobody is told, and nobody reads it again.
    let reread = admin.control.tenants().stats().invalidations;
    endpoint(&admin, "acme", 1).report_failure(Failure::Connect);
    let standing = admin.control.standing();
    standing.look();
    assert!(feed.try_recv().is_err(), "nobody is to be woken");
    assert_eq!(admin.control.tenants().stats().invalidations, reread);

    posted(&admin, "activate").await;
    for _ in 0..2 {
        let told = next(&mut feed, Kind::Endpoint).await;
        assert_eq!((&*told.from, &*told.to), ("healthy", "unhealthy"));
    }
    let deployment = next(&mut feed, Kind::Deployment).await;
    assert_eq!(
        (&*deployment.from, &*deployment.to),
        ("healthy", "unhealthy")
    );
    let told = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*told.from, &*told.to), ("suspended", "unhealthy"));
    assert!(
        told.sentence.ends_with(", no endpoint is left"),
        "{}",
        told.sentence
    );
    assert!(
        metrics(&admin)
            .await
            .contains("mirador_tenant_health{tenant=\"acme\"")
    );
}

/// `acme` is told apart in lists and metrics, where all else of it that is not well is left out.
async fn listed_as_suspended(admin: &Admin) {
    let page = admin.get("/api/v1/health").await.body;
    assert_eq!(
        (&page["counts"]["suspended"], &page["counts"]["degraded"]),
        (&json!(1), &json!(0))
    );
    let asked = async |condition: &str| {
        let path = format!("/api/v1/health?condition={condition}&signal=metrics");
        admin.get(&path).await.body["tenants"].clone()
    };
    assert_eq!(asked("suspended").await[0]["tenant"], "acme");
    assert_eq!(asked("degraded,unhealthy").await, json!([]));
    let text = metrics(admin).await;
    assert!(
        text.contains("mirador_tenant_info{tenant=\"acme\",tier=\"pro\",status=\"suspended\"} 1")
    );
    assert!(
        !text.contains("mirador_tenant_health{tenant=\"acme\""),
        "{text}"
    );
    assert!(
        text.contains("mirador_endpoint_up{tenant=\"acme\""),
        "probes go on"
    );
}

/// One that is well is told of as well: that it is off, and that it is back and how it is.
#[tokio::test]
async fn a_healthy_tenant_that_is_suspended_comes_back_with_a_word() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_093, 1)).await;
    endpoint(&admin, "acme", 0).report_success();
    let mut feed = admin.control.standing().feed();
    posted(&admin, "suspend").await;
    let told = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*told.from, &*told.to), ("healthy", "suspended"));
    posted(&admin, "activate").await;
    let told = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*told.from, &*told.to), ("suspended", "healthy"));
    assert_eq!(told.sentence, "its endpoint is healthy");
}

/// A router that starts among many suspended tenants tells nothing of them, nor when they are deleted.
#[tokio::test]
async fn those_that_were_suspended_before_are_no_news() {
    let admin = Admin::start().await;
    let mut feed = admin.control.standing().feed();
    let mut off = unprobed("acme", 10_095, 2);
    off["status"] = json!("suspended");
    admin.put(&off).await;
    endpoint(&admin, "acme", 0).report_failure(Failure::Connect);
    admin.control.standing().look();
    assert_eq!(health(&admin, "acme").await["condition"], "suspended");
    admin.delete("acme").await;
    admin.control.standing().look();
    assert!(feed.try_recv().is_err(), "nothing is told");
}

/// Maintenance of a suspended tenant begins, to those who listen, when it is activated.
#[tokio::test]
async fn maintenance_of_a_suspended_tenant_is_told_when_it_is_activated() {
    let admin = Admin::start().await;
    admin.put(&unprobed("acme", 10_097, 1)).await;
    endpoint(&admin, "acme", 0).report_success();
    let mut feed = admin.control.standing().feed();
    posted(&admin, "suspend").await;
    next(&mut feed, Kind::Tenant).await;
    let put = admin.request(Method::PUT, "/api/v1/tenants/acme/maintenance");
    let put = put
        .header("If-Match", "*")
        .json(&json!({"reason": "disks"}));
    assert_eq!(Answer::of(put).await.status, StatusCode::OK);
    assert_eq!(health(&admin, "acme").await["condition"], "suspended");
    admin.control.standing().look();
    assert!(feed.try_recv().is_err(), "nothing is told");
    posted(&admin, "activate").await;
    let told = next(&mut feed, Kind::Maintenance).await;
    assert_eq!((&*told.from, &*told.to), ("suspended", "maintenance"));
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
