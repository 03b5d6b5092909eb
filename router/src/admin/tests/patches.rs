//! Changes of a part: merge patches, suspension, activation.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::refusals::assert_problem;
use crate::admin::testing::{Admin, Answer, acme};

const PATH: &str = "/api/v1/tenants/acme";

fn patch(admin: &Admin, condition: &str, patch: &Value) -> RequestBuilder {
    admin
        .request(Method::PATCH, PATH)
        .header("If-Match", condition)
        .header("Content-Type", "application/merge-patch+json")
        .body(patch.to_string())
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let change = json!({
        "tier": "enterprise",
        "display_name": null,
        "labels": {"team": "sre"},
        "deployments": {"metrics": {"timeout": "1m"}},
    });
    let changed = Answer::of(patch(&admin, "\"1\"", &change)).await;
    assert_eq!(
        (changed.status, changed.header("etag"), changed.outcome()),
        (StatusCode::OK, "\"2\"", "updated"),
        "{}",
        changed.body
    );
    let mut expected = admin.get(PATH).await.body;
    assert_eq!(changed.body, expected);
    assert_eq!(expected["tier"], "enterprise");
    assert_eq!(expected["display_name"], Value::Null);
    assert_eq!(expected["labels"], json!({"team": "sre"}));
    let metrics = expected["deployments"]["metrics"].take();
    assert_eq!(metrics["timeout"], "1m");
    assert_eq!(metrics["endpoints"].as_array().map(Vec::len), Some(2));

    let same = Answer::of(patch(&admin, "*", &json!({"tier": "enterprise"}))).await;
    assert_eq!(
        (same.outcome(), same.header("etag")),
        ("unchanged", "\"2\"")
    );
    let dry = patch(&admin, "*", &json!({"tier": "free"})).query(&[("dry_run", "true")]);
    let dry = Answer::of(dry).await;
    assert_eq!((dry.outcome(), dry.header("etag")), ("updated", "\"3\""));
    assert_eq!(admin.get(PATH).await.header("etag"), "\"2\"");
}

#[tokio::test]
async fn a_patch_that_makes_no_tenant_is_refused_and_changes_nothing() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let before = admin.state().await;
    for (change, field) in [
        (json!({"status": "asleep"}), "status"),
        (json!({"status": "deleted"}), "status"),
        (json!({"id": "globex"}), "id"),
        (json!({"id": null}), "id"),
        (json!({"colour": "blue"}), "colour"),
        (
            json!({"deployments": {"metrics": {"endpoints": []}}}),
            "deployments.metrics.endpoints",
        ),
        (
            json!({"deployments": {"logs": {"timeout": "1s"}}}),
            "deployments.logs.endpoints",
        ),
        (json!([]), ""),
        (json!("acme"), ""),
    ] {
        let answer = Answer::of(patch(&admin, "*", &change)).await;
        if matches!(field, "" | "status") && change["status"] != "asleep" {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change}");
            assert_problem(&answer, "malformed");
        } else {
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{change}");
            assert_problem(&answer, "unprocessable");
        }
        let named = answer.body["errors"].as_array().into_iter().flatten();
        let fields: Vec<_> = named.filter_map(|fault| fault["field"].as_str()).collect();
        assert!(fields.contains(&field), "{change}: {}", answer.body);
    }
    assert_eq!(admin.state().await, before);
}

#[tokio::test]
async fn a_patch_needs_its_media_type_a_condition_and_a_tenant() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let before = admin.state().await;
    let plain = admin
        .request(Method::PATCH, PATH)
        .header("If-Match", "*")
        .json(&json!({"tier": "free"}));
    let plain = Answer::of(plain).await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(plain.body["errors"][0]["value"], "application/json");

    let stale = Answer::of(patch(&admin, "\"7\"", &json!({"tier": "free"}))).await;
    assert_problem(&stale, "precondition-failed");
    let none = admin
        .request(Method::PATCH, PATH)
        .header("Content-Type", "application/merge-patch+json")
        .body("{}");
    assert_problem(&Answer::of(none).await, "precondition-required");
    let absent = patch(&admin, "*", &json!({})).header("If-None-Match", "*");
    assert_eq!(Answer::of(absent).await.status, StatusCode::BAD_REQUEST);
    let nobody = admin
        .request(Method::PATCH, "/api/v1/tenants/globex")
        .header("If-Match", "*")
        .header("Content-Type", "application/merge-patch+json")
        .body("{}");
    assert_problem(&Answer::of(nobody).await, "not-found");
    assert_eq!(admin.state().await, before);
}

#[tokio::test]
async fn suspension_and_activation_change_the_status_alone() {
    let admin = Admin::start().await;
    let before = admin.put(&acme()).await.body;
    let ask = |what: &str, condition: &str, query: &str| {
        let path = format!("{PATH}/{what}{query}");
        let request = admin.request(Method::POST, &path);
        Answer::of(request.header("If-Match", condition))
    };
    let dry = ask("suspend", "*", "?dry_run=true").await;
    assert_eq!(
        (dry.outcome(), &dry.body["status"]),
        ("updated", &json!("suspended"))
    );
    assert_eq!(admin.get(PATH).await.body, before);

    let suspended = ask("suspend", "\"1\"", "").await;
    assert_eq!(
        (suspended.header("etag"), &suspended.body["status"]),
        ("\"2\"", &json!("suspended"))
    );
    assert_eq!(ask("suspend", "*", "").await.outcome(), "unchanged");
    assert_problem(&ask("activate", "\"1\"", "").await, "precondition-failed");
    let active = ask("activate", "\"2\"", "").await;
    assert_eq!(
        (active.header("etag"), &active.body["status"]),
        ("\"3\"", &json!("active"))
    );
    assert_eq!(active.body["deployments"], before["deployments"]);

    let none = admin.request(Method::POST, &format!("{PATH}/suspend"));
    assert_problem(&Answer::of(none).await, "precondition-required");
    admin.delete("acme").await;
    assert_problem(&ask("activate", "*", "").await, "not-found");
}

#[tokio::test]
async fn a_deleted_tenant_is_restored_as_it_was() {
    let admin = Admin::start().await;
    let before = admin.put(&acme()).await.body;
    let restore = |condition: &str, query: &str| {
        let request = admin.request(Method::POST, &format!("{PATH}/restore{query}"));
        Answer::of(request.header("If-Match", condition))
    };
    let alive = restore("*", "").await;
    assert_eq!(
        (alive.outcome(), alive.header("etag")),
        ("unchanged", "\"1\"")
    );
    admin.delete("acme").await;
    assert_problem(&restore("\"1\"", "").await, "precondition-failed");
    let dry = restore("\"2\"", "?dry_run=true").await;
    assert_eq!(dry.header("etag"), "\"3\"");
    assert_problem(&admin.get(PATH).await, "not-found");
    let restored = restore("\"2\"", "").await;
    assert_eq!(
        (restored.status, restored.outcome(), restored.header("etag")),
        (StatusCode::OK, "restored", "\"3\"")
    );
    let mut expected = before;
    for stored in ["revision", "created_at", "updated_at"] {
        expected[stored] = restored.body[stored].clone();
    }
    assert_eq!(restored.body, expected);
    let nobody = admin.request(Method::POST, "/api/v1/tenants/globex/restore");
    let nobody = Answer::of(nobody.header("If-Match", "*")).await;
    assert_problem(&nobody, "not-found");
}

/// Twenty operators who each add a label to what they have read: none of them undoes another's.
#[tokio::test]
async fn no_update_is_lost() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let add = async |n: usize| {
        loop {
            let read = admin.get(PATH).await;
            let mut tenant = read.body.clone();
            tenant["labels"][format!("l{n}")] = json!("x");
            let put = admin
                .putting(&tenant, "")
                .header("If-Match", read.header("etag"));
            let answer = Answer::of(put).await;
            match answer.status {
                StatusCode::OK => return,
                StatusCode::PRECONDITION_FAILED => {}
                status => panic!("{status}: {}", answer.body),
            }
        }
    };
    futures_util::future::join_all((0..20).map(add)).await;
    let read = admin.get(PATH).await;
    let labels = read.body["labels"].as_object().map(serde_json::Map::len);
    assert_eq!((labels, read.header("etag")), (Some(20), "\"21\""));
}

/// `If-Match: *` takes whatever is there, even if others change it at that moment.
#[tokio::test]
async fn patches_of_whatever_is_there_all_come_through() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let add = |n: usize| {
        let label = json!({"labels": {format!("l{n}"): "x"}});
        Answer::of(patch(&admin, "*", &label))
    };
    for answer in futures_util::future::join_all((0..4).map(add)).await {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let read = admin.get(PATH).await.body;
    assert_eq!(
        read["labels"].as_object().map(serde_json::Map::len),
        Some(4)
    );
}

#[tokio::test]
async fn every_read_has_a_tag_that_is_known_again() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    for path in [
        "/api/v1/tenants",
        "/api/v1/tenants/acme",
        "/api/v1/tenants/acme/export",
        "/api/v1/audit",
        "/api/v1/openapi.json",
    ] {
        let read = admin.get(path).await;
        let tag = read.header("etag");
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
        for sent in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let request = admin.request(Method::GET, path);
            let again = Answer::of(request.header("If-None-Match", sent)).await;
            assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}: {sent}");
            assert_eq!(again.header("etag"), tag);
        }
        let request = admin.request(Method::GET, path);
        let other = Answer::of(request.header("If-None-Match", "\"other\"")).await;
        assert_eq!(other.status, StatusCode::OK, "{path}");
    }
}
