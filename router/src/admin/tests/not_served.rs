//! Tenants that are switched off, or still being set up.

use health::Failure;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::standing::{endpoint, health, metrics, next, unprobed};
use crate::{
    admin::testing::{Admin, Answer},
    standing::Kind,
};

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

/// A tenant that is being set up is no news, however its endpoints do, until it is activated.
#[tokio::test]
async fn a_tenant_being_provisioned_is_nobodys_concern_until_it_is_activated() {
    let admin = Admin::start().await;
    let mut feed = admin.control.standing().feed();
    let mut coming = unprobed("acme", 10_101, 2);
    coming["status"] = json!("provisioning");
    admin.put(&coming).await;
    for position in 0..2 {
        endpoint(&admin, "acme", position).report_failure(Failure::Connect);
    }
    let reread = admin.control.tenants().stats().invalidations;
    admin.control.standing().look();
    assert!(feed.try_recv().is_err(), "nobody is to be woken");
    assert_eq!(admin.control.tenants().stats().invalidations, reread);

    let now = health(&admin, "acme").await;
    assert_eq!(now["condition"], "provisioning");
    assert_eq!(
        now["sentence"],
        "being provisioned: its requests are refused until it is activated"
    );
    assert_eq!(
        now["deployments"]["metrics"]["condition"], "unhealthy",
        "one can see its endpoints come"
    );
    let page = admin
        .get("/api/v1/health?condition=provisioning")
        .await
        .body;
    assert_eq!(page["tenants"][0]["tenant"], "acme");
    assert_eq!(
        (
            &page["counts"]["provisioning"],
            &page["counts"]["unhealthy"]
        ),
        (&json!(1), &json!(0))
    );
    let text = metrics(&admin).await;
    assert!(
        !text.contains("mirador_tenant_health{tenant=\"acme\""),
        "{text}"
    );

    posted(&admin, "activate").await;
    let told = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*told.from, &*told.to), ("provisioning", "unhealthy"));
    assert!(
        told.sentence.ends_with(", no endpoint is left"),
        "{}",
        told.sentence
    );
}

/// What becomes of a tenant that is out of use is told all the same.
#[tokio::test]
async fn one_that_is_given_up_before_it_was_set_up_is_told_of() {
    let admin = Admin::start().await;
    let mut feed = admin.control.standing().feed();
    let mut coming = unprobed("acme", 10_103, 1);
    coming["status"] = json!("provisioning");
    admin.put(&coming).await;
    admin.control.standing().look();
    posted(&admin, "suspend").await;
    let told = next(&mut feed, Kind::Tenant).await;
    assert_eq!((&*told.from, &*told.to), ("provisioning", "suspended"));
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
