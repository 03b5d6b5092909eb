//! Tiers: defined, inherited, in the way of what contradicts them.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::refusals::assert_problem;
use crate::admin::testing::{Admin, Answer, TOKEN, acme, tenant};

fn put(admin: &Admin, condition: (&str, &str), tier: &Value) -> RequestBuilder {
    let name = tier["name"].as_str().unwrap_or_default();
    admin
        .request(Method::PUT, &format!("/api/v1/tiers/{name}"))
        .header(condition.0, condition.1)
        .json(tier)
}

fn delete(admin: &Admin, name: &str, tag: &str) -> RequestBuilder {
    let path = format!("/api/v1/tiers/{name}");
    admin.request(Method::DELETE, &path).header("If-Match", tag)
}

async fn names(admin: &Admin) -> Vec<String> {
    let list = admin.get("/api/v1/tiers").await.body;
    let tiers = list["tiers"].as_array().cloned().unwrap_or_default();
    let named = |tier: &Value| tier["name"].as_str().map(str::to_owned);
    tiers.iter().filter_map(named).collect()
}

const NEW: (&str, &str) = ("If-None-Match", "*");

#[tokio::test]
async fn tiers_can_be_defined_changed_and_deleted() {
    let admin = Admin::start().await;
    let gold = json!({"name": "gold", "quotas": {"storage_bytes": 7}});
    let dry = Answer::of(put(&admin, NEW, &gold).query(&[("dry_run", "true")])).await;
    assert_eq!(
        (dry.status, dry.outcome()),
        (StatusCode::CREATED, "created")
    );
    assert_eq!(names(&admin).await, ["enterprise", "free", "pro"]);
    let created = Answer::of(put(&admin, NEW, &gold)).await;
    assert_eq!(
        (created.status, created.header("etag")),
        (StatusCode::CREATED, "\"1\"")
    );
    assert_eq!(created.header("location"), "/api/v1/tiers/gold");
    // What was read is taken as it is.
    let read = admin.get("/api/v1/tiers/gold").await;
    let same = Answer::of(put(&admin, ("If-Match", "\"1\""), &read.body)).await;
    assert_eq!(same.outcome(), "unchanged", "{}", same.body);
    let again = Answer::of(put(&admin, NEW, &gold)).await;
    assert_problem(&again, "precondition-failed");
    let stale = Answer::of(put(&admin, ("If-Match", "\"4\""), &gold)).await;
    assert_problem(&stale, "precondition-failed");
    let deleted = Answer::of(delete(&admin, "gold", "*")).await;
    assert_eq!(deleted.outcome(), "deleted");
    assert_problem(&admin.get("/api/v1/tiers/gold").await, "not-found");
    let twice = Answer::of(delete(&admin, "gold", "*")).await;
    assert_problem(&twice, "not-found");
    let back = Answer::of(put(&admin, NEW, &gold)).await;
    assert_eq!(back.header("etag"), "\"3\"", "revisions go on");
    let page = admin.get("/api/v1/audit?kind=tier&id=gold").await.body;
    assert_eq!(page["events"].as_array().map(Vec::len), Some(3), "{page}");
}

#[tokio::test]
async fn a_tier_that_is_built_in_can_be_another_and_itself_again() {
    let admin = Admin::start().await;
    let free = admin.get("/api/v1/tiers/free").await;
    assert_eq!(
        (free.header("etag"), &free.body["built_in"]),
        ("\"0\"", &json!(true))
    );
    let nothing = Answer::of(delete(&admin, "free", "*")).await;
    assert_problem(&nothing, "conflict");
    let mut own = free.body.clone();
    own["quotas"]["storage_bytes"] = json!(1);
    let there = Answer::of(put(&admin, NEW, &own)).await;
    assert_problem(&there, "precondition-failed");
    let redefined = Answer::of(put(&admin, ("If-Match", "\"0\""), &own)).await;
    assert_eq!(redefined.header("etag"), "\"1\"", "{}", redefined.body);
    admin.put(&tenant("globex")).await;
    // A tenant is of it, but it does not go away.
    let back = Answer::of(delete(&admin, "free", "\"1\"")).await;
    assert_eq!(back.outcome(), "deleted", "{}", back.body);
    let read = admin.get("/api/v1/tiers/free").await;
    assert_eq!((read.header("etag"), &read.body), ("\"0\"", &free.body));
}

#[tokio::test]
async fn a_tier_that_a_tenant_is_of_stays() {
    let admin = Admin::start().await;
    Answer::of(put(&admin, NEW, &json!({"name": "gold"}))).await;
    let mut acme = acme();
    acme["tier"] = json!("gold");
    admin.put(&acme).await;
    let refused = Answer::of(delete(&admin, "gold", "*")).await;
    assert_problem(&refused, "conflict");
    let told = refused.body["detail"].as_str().unwrap_or_default();
    assert!(told.contains("acme"), "{told}");
    admin.delete("acme").await;
    let gone = Answer::of(delete(&admin, "gold", "*")).await;
    assert_eq!(gone.status, StatusCode::OK);
}

#[tokio::test]
async fn a_tenant_that_contradicts_its_tier_is_refused_by_field() {
    let admin = Admin::start().await;
    let before = admin.state().await;
    let mut dedicated = acme();
    dedicated["tier"] = json!("free");
    dedicated["deployments"]["metrics"]["hosting"] = json!("dedicated");
    let mut unhoused = tenant("globex");
    unhoused["tier"] = json!("enterprise");
    let mut unknown = tenant("globex");
    unknown["tier"] = json!("platinum");
    for (tenant, field, value) in [
        (&dedicated, "deployments.metrics.hosting", "dedicated"),
        (&unhoused, "status", "active"),
        (&unknown, "tier", "platinum"),
    ] {
        let refused = admin.put(tenant).await;
        assert_problem(&refused, "unprocessable");
        let fault = &refused.body["errors"][0];
        assert_eq!(
            (&fault["field"], &fault["value"]),
            (&json!(field), &json!(value))
        );
    }
    assert_eq!(admin.state().await, before);
    unhoused["status"] = json!("provisioning");
    assert_eq!(admin.put(&unhoused).await.status, StatusCode::CREATED);
    let activate = admin.request(Method::POST, "/api/v1/tenants/globex/activate");
    let refused = Answer::of(activate.header("If-Match", "*")).await;
    assert_eq!(refused.body["errors"][0]["field"], "status");
}

#[tokio::test]
async fn a_tier_does_not_become_what_its_tenants_contradict() {
    let admin = Admin::start().await;
    let mut housed = acme();
    housed["deployments"]["metrics"]["hosting"] = json!("dedicated");
    admin.put(&housed).await;
    let before = admin.state().await;
    let shared = json!({"name": "pro", "hosting": "shared"});
    let put = admin
        .request(Method::PUT, "/api/v1/tiers/pro")
        .json(&shared);
    let refused = Answer::of(put.header("If-Match", "*")).await;
    assert_problem(&refused, "conflict");
    let told = refused.body["detail"].as_str().unwrap_or_default();
    assert!(told.contains("tenant acme") && told.contains("deployments.metrics.hosting"));
    assert_eq!(admin.state().await, before);

    // One that is built in does not come back under tenants who would contradict it either.
    let free = json!({"name": "free", "hosting": "dedicated"});
    let put = admin.request(Method::PUT, "/api/v1/tiers/free").json(&free);
    let put = Answer::of(put.header("If-Match", "*")).await;
    assert_eq!(put.outcome(), "created", "{}", put.body);
    housed["tier"] = json!("free");
    admin.put(&housed).await;
    let delete = admin.request(Method::DELETE, "/api/v1/tiers/free");
    let refused = Answer::of(delete.header("If-Match", "*")).await;
    assert_problem(&refused, "conflict");
}

#[tokio::test]
async fn what_holds_for_a_tenant_is_told_with_its_source() {
    let admin = Admin::start().await;
    let mut own = acme();
    own["quotas"] = json!({"storage_bytes": 42});
    own["features"] = json!({"vmui": false});
    admin.put(&own).await;
    let effective = admin.get("/api/v1/tenants/acme/effective").await;
    assert_eq!(effective.status, StatusCode::OK, "{}", effective.body);
    let body = &effective.body;
    assert_eq!(body["tier"], "pro");
    assert_eq!(body["quotas"]["storage_bytes"], 42);
    assert_eq!(body["sources"]["quotas.storage_bytes"], "tenant");
    assert_eq!(body["quotas"]["requests_per_second"], 500);
    assert_eq!(body["sources"]["quotas.requests_per_second"], "tier");
    assert_eq!(body["features"]["vmui"], false);
    assert_eq!(body["sources"]["features.vmui"], "tenant");
    // Those that routers know are told even if nobody speaks of them.
    assert_eq!(body["features"]["writes"], true);
    assert_eq!(body["sources"]["features.writes"], "default");
    let nobody = admin.get("/api/v1/tenants/globex/effective").await;
    assert_problem(&nobody, "not-found");
}

#[tokio::test]
async fn a_purged_tenant_is_gone_for_good() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let purge = |token: &str, query: &str| {
        let path = format!("/api/v1/tenants/acme?purge=true{query}");
        let request = admin.anonymous(Method::DELETE, &path).bearer_auth(token);
        Answer::of(request.header("If-Match", "*"))
    };
    let before = admin.state().await;
    assert_problem(&purge("otto", "").await, "forbidden");
    let dry = purge(TOKEN, "&dry_run=true").await;
    assert_eq!((dry.status, dry.outcome()), (StatusCode::OK, "purged"));
    assert_eq!(admin.state().await, before);
    let purged = purge(TOKEN, "").await;
    assert_eq!(
        (purged.status, purged.outcome()),
        (StatusCode::OK, "purged")
    );
    assert_eq!(purged.header("etag"), dry.header("etag"));
    let restore = admin.request(Method::POST, "/api/v1/tenants/acme/restore");
    let restore = Answer::of(restore.header("If-Match", "*")).await;
    assert_problem(&restore, "not-found");
    let deleted = admin.get("/api/v1/tenants?status=deleted").await.body;
    assert_eq!(deleted["tenants"], json!([]));
    assert_problem(&purge(TOKEN, "").await, "not-found");
    // Revisions only rise, whatever becomes of a tenant.
    assert_eq!(admin.put(&acme()).await.header("etag"), "\"3\"");
}
