//! What Argo CD's plugin generator asks.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::refusals::assert_problem;
use crate::admin::testing::{ARGOCD_TOKEN, Admin, Answer, TOKEN, acme, tenant};

const PATH: &str = "/api/v1/getparams.execute";

async fn ask(admin: &Admin, token: &str, parameters: Value) -> Answer {
    let question = json!({
        "applicationSetName": "tenants",
        "input": {"parameters": parameters},
    });
    let request = admin.anonymous(Method::POST, PATH).bearer_auth(token);
    Answer::of(request.json(&question)).await
}

#[tokio::test]
async fn every_tenant_that_is_wanted_is_a_set_of_parameters() {
    let admin = Admin::start().await;
    let mut labelled = acme();
    labelled["labels"] = json!({"team": "sre"});
    admin.put(&labelled).await;
    for n in 0..1200 {
        admin.put(&tenant(&format!("t{n:04}"))).await;
    }
    admin.delete("t0000").await;
    let all = ask(&admin, ARGOCD_TOKEN, json!({})).await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.body);
    let sets = all.body["output"]["parameters"].as_array().expect("a list");
    assert_eq!(sets.len(), 1200);
    assert_eq!(
        sets[0],
        json!({
            "id": "acme", "name": "", "display_name": "ACME Corp", "admin_email": "",
            "status": "active", "tier": "pro", "revision": "1",
            "labels": {"team": "sre"}, "features": {},
            "deployments": {"metrics": {
                "hosting": "dedicated", "namespace": "",
                "endpoints": ["http://127.0.0.1:1", "http://127.0.0.1:2"],
            }},
        })
    );
    for (parameters, count) in [
        (json!({"tier": "pro"}), 1),
        (json!({"labels": {"team": "sre"}}), 1),
        (json!({"labels": {"team": "dev"}}), 0),
        (json!({"status": "active", "tier": "free"}), 1199),
        (json!({"status": "deleted"}), 1),
    ] {
        let some = ask(&admin, ARGOCD_TOKEN, parameters.clone()).await;
        let sets = some.body["output"]["parameters"].as_array();
        assert_eq!(sets.map(Vec::len), Some(count), "{parameters}");
    }
    // As the oldest callers ask.
    let bare = admin
        .anonymous(Method::POST, PATH)
        .bearer_auth(ARGOCD_TOKEN);
    let bare = Answer::of(bare.json(&json!({}))).await;
    assert_eq!(bare.status, StatusCode::OK, "{}", bare.body);
}

#[tokio::test]
async fn only_its_own_token_opens_it_and_it_opens_nothing_else() {
    let admin = Admin::start().await;
    for token in ["wrong", "", TOKEN, "otto"] {
        let refused = ask(&admin, token, json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{token}");
        assert_problem(&refused, "forbidden");
    }
    let none = Answer::of(admin.anonymous(Method::POST, PATH).json(&json!({}))).await;
    assert_problem(&none, "unauthenticated");
    let elsewhere = admin.anonymous(Method::GET, "/api/v1/tenants");
    let elsewhere = Answer::of(elsewhere.bearer_auth(ARGOCD_TOKEN)).await;
    assert_problem(&elsewhere, "unauthenticated");

    let without = Admin::start_with(None).await;
    let refused = ask(&without, ARGOCD_TOKEN, json!({})).await;
    assert_problem(&refused, "forbidden");
    let told = refused.body["detail"].as_str().unwrap_or_default();
    assert!(told.contains("admin.argocd.token_file"), "{told}");
}

/// An empty list would have Argo CD delete everything.
#[tokio::test]
async fn a_store_that_is_down_is_told_and_not_an_empty_list() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    admin.repository.close().await;
    let answer = ask(&admin, ARGOCD_TOKEN, json!({})).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_problem(&answer, "unavailable");
}

#[tokio::test]
async fn faulty_questions_are_refused_by_field() {
    let admin = Admin::start().await;
    for (parameters, field) in [
        (json!({"status": "asleep"}), "input.parameters.status"),
        (json!({"tier": "No Tier"}), "input.parameters.tier"),
        (json!({"label": {"a": "b"}}), "input.parameters.label"),
        (json!([]), "input.parameters"),
    ] {
        let answer = ask(&admin, ARGOCD_TOKEN, parameters.clone()).await;
        assert_problem(&answer, "malformed");
        assert_eq!(answer.body["errors"][0]["field"], field, "{parameters}");
    }
}
