//! The admin app over a real store, asked over real connections.

mod argocd;
mod changes;
mod described;
mod idempotency;
mod keys;
mod mixed;
mod not_served;
mod out_of_use;
mod patches;
mod refusals;
mod roles;
mod selections;
mod standing;
mod tiers;
mod transfer;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenant_store::{cache::Known, model::Status};

use crate::control::Phase;

use super::testing::{Admin, Answer, acme, tenant};

#[tokio::test]
async fn probes_and_scrapers_need_no_token() {
    let admin = Admin::start().await;
    for path in [
        "/metrics",
        "/healthz",
        "/health",
        "/-/healthy",
        "/readyz",
        "/ready",
        "/-/ready",
    ] {
        let answer = admin
            .anonymous(Method::GET, path)
            .send()
            .await
            .expect("answered");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_tenant_is_created_read_changed_and_left_alone() {
    let admin = Admin::start().await;
    let created = admin.put(&acme()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_eq!(
        (created.header("etag"), created.outcome()),
        ("\"1\"", "created")
    );

    let same = admin.put(&acme()).await;
    assert_eq!(
        (same.status, same.header("etag")),
        (StatusCode::OK, "\"1\"")
    );
    assert_eq!(same.outcome(), "unchanged");

    let mut other = acme();
    other["tier"] = json!("enterprise");
    let changed = admin.put(&other).await;
    assert_eq!(
        (changed.status, changed.header("etag")),
        (StatusCode::OK, "\"2\"")
    );
    assert_eq!(changed.outcome(), "updated");

    let read = admin.get("/api/v1/tenants/acme").await;
    assert_eq!(
        (read.status, read.header("etag")),
        (StatusCode::OK, "\"2\"")
    );
    assert_eq!(read.body, changed.body);
    assert_eq!(read.body["tier"], "enterprise");
}

/// What was read can be edited and written back, bookkeeping and all.
#[tokio::test]
async fn an_answer_is_a_body_that_is_taken() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let read = admin.get("/api/v1/tenants/acme").await;
    assert_eq!(admin.put(&read.body).await.outcome(), "unchanged");
}

#[tokio::test]
async fn a_reader_who_has_it_is_told_so() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let request = admin.request(Method::GET, "/api/v1/tenants/acme");
    let answer = Answer::of(request.header("If-None-Match", "\"1\"")).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn yaml_is_taken_as_well() {
    let admin = Admin::start().await;
    let text = "id: acme\ntier: pro\ndeployments:\n  logs: {endpoints: ['http://127.0.0.1:9']}\n";
    let request = admin.request(Method::POST, "/api/v1/tenants");
    let answer = Answer::of(
        request
            .header("Content-Type", "application/yaml")
            .body(text),
    )
    .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.body["tier"], "pro");
}

#[tokio::test]
async fn a_list_comes_in_pages_and_by_status() {
    let admin = Admin::start().await;
    for id in ["t1", "t2", "t3", "t4", "t5"] {
        admin.put(&tenant(id)).await;
    }
    let mut suspended = tenant("t4");
    suspended["status"] = json!("suspended");
    admin.put(&suspended).await;

    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = admin
            .get(&format!("/api/v1/tenants?limit=2{after}"))
            .await
            .body;
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["t1", "t2", "t3", "t4", "t5"]);
    assert_eq!(
        ids(&admin.get("/api/v1/tenants?status=suspended").await.body),
        ["t4"]
    );
}

#[tokio::test]
async fn a_change_here_is_in_force_at_once() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let mut suspended = acme();
    suspended["status"] = json!("suspended");
    admin.put(&suspended).await;
    let Known::Tenant(entry) = admin.control.tenants().known("acme") else {
        panic!("acme is not known after it was written");
    };
    assert_eq!(entry.route().status(), Status::Suspended);
}

#[tokio::test]
async fn the_audit_tells_who_did_what_from_where() {
    let admin = Admin::start().await;
    let request = admin
        .request(Method::PUT, "/api/v1/tenants/acme")
        .header("X-Request-Id", "r-1")
        .header("If-None-Match", "*");
    Answer::of(request.json(&acme())).await;
    admin.delete("acme").await;

    let page = admin.get("/api/v1/audit?limit=1").await.body;
    assert_eq!(page["events"][0]["outcome"], "deleted");
    let before = page["next"].as_u64().expect("a page before this one");
    let page = admin
        .get(&format!("/api/v1/audit?limit=10&before={before}"))
        .await
        .body;
    let event = &page["events"][0];
    assert_eq!(
        (&event["outcome"], &event["kind"], &event["id"]),
        (&json!("created"), &json!("tenant"), &json!("acme"))
    );
    assert_eq!(
        (&event["author"], &event["request_id"]),
        (&json!("admin-token"), &json!("r-1"))
    );
    assert!(
        event["origin"]
            .as_str()
            .is_some_and(|peer| peer.starts_with("127.0.0.1:")),
        "{event}"
    );
    assert_eq!(page["next"], Value::Null);
}

#[tokio::test]
async fn health_names_each_endpoint_and_sums_up() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let answer = admin.get("/api/v1/tenants/acme/health").await;
    assert_eq!(answer.status, StatusCode::OK);
    let metrics = &answer.body["deployments"]["metrics"];
    let names: Vec<_> = metrics["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|endpoint| (endpoint["endpoint"].as_str(), endpoint["zone"].as_str()))
        .collect();
    assert_eq!(
        names,
        [
            (Some("127.0.0.1:1"), Some("a")),
            (Some("127.0.0.1:2"), Some("b"))
        ],
        "{}",
        answer.body
    );
    assert!(answer.body["overall"].is_string() && metrics["overall"].is_string());
    assert_eq!(
        admin.get("/api/v1/tenants/other/health").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn forgetting_a_tenant_is_asked_for_not_waited_for() {
    let admin = Admin::start().await;
    let path = "/api/v1/tenants/acme/cache/invalidate";
    let before = admin.control.tenants().stats().invalidations;
    let answer = Answer::of(admin.request(Method::POST, path)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(admin.control.tenants().stats().invalidations, before + 1);
}

#[tokio::test]
async fn a_reload_takes_in_what_changed() {
    let admin = Admin::start().await;
    let reload = || Answer::of(admin.request(Method::POST, "/-/reload"));
    let same = reload().await;
    assert_eq!(
        (same.status, &same.body["configuration"]),
        (StatusCode::OK, &json!("unchanged"))
    );

    admin.write_token("another-token-of-some-length");
    let changed = reload().await;
    assert_eq!(
        (changed.status, &changed.body["configuration"]),
        (StatusCode::OK, &json!("changed"))
    );
    assert_eq!(reload().await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_reload_of_a_faulty_file_names_the_faults_and_changes_nothing() {
    let admin = Admin::start().await;
    admin.write_config("admin: {token_file: admin.token}\nworkers: many\ncolour: blue\n");
    let refused = Answer::of(admin.request(Method::POST, "/-/reload")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let faults = refused.body["errors"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let fields: Vec<_> = faults
        .iter()
        .map(|fault| (&fault["field"], &fault["line"]))
        .collect();
    assert_eq!(
        fields,
        [
            (&json!("workers"), &json!(2)),
            (&json!("colour"), &json!(3))
        ]
    );
    assert_eq!(admin.get("/api/v1/tenants").await.status, StatusCode::OK);
}

#[tokio::test]
async fn readiness_goes_before_the_process_does() {
    let admin = Admin::start().await;
    admin.control.enter(Phase::Draining);
    for (path, status) in [("/readyz", 503), ("/healthz", 200)] {
        let answer = Answer::of(admin.anonymous(Method::GET, path)).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
}

fn ids(page: &Value) -> Vec<String> {
    let tenants = page["tenants"].as_array().into_iter().flatten();
    tenants
        .filter_map(|tenant| tenant["id"].as_str().map(Into::into))
        .collect()
}
