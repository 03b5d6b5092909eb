//! Requests that are sent again.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::refusals::assert_problem;
use crate::admin::testing::{Admin, Answer, acme, tenant};

fn post(admin: &Admin, key: &str, body: &Value) -> RequestBuilder {
    admin
        .request(Method::POST, "/api/v1/tenants")
        .header("Idempotency-Key", key)
        .json(body)
}

#[tokio::test]
async fn what_is_sent_again_is_answered_again_and_not_done_again() {
    let admin = Admin::start().await;
    let first = Answer::of(post(&admin, "k-1", &acme())).await;
    assert_eq!(
        (first.status, first.header("idempotency-replayed")),
        (StatusCode::CREATED, "")
    );
    let state = admin.state().await;
    let again = Answer::of(post(&admin, "k-1", &acme())).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (StatusCode::CREATED, "true")
    );
    assert_eq!(
        (&again.body, again.header("etag"), again.header("location")),
        (&first.body, first.header("etag"), first.header("location"))
    );
    assert_eq!(admin.state().await, state);
    // Each answer is to its own request.
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_operator() {
    let admin = Admin::start().await;
    Answer::of(post(&admin, "k-1", &acme())).await;
    let other = Answer::of(post(&admin, "k-1", &tenant("globex"))).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_problem(&other, "idempotency-key-reused");
    let elsewhere = admin
        .request(Method::POST, "/api/v1/tenants?dry_run=true")
        .header("Idempotency-Key", "k-1")
        .json(&acme());
    assert_eq!(
        Answer::of(elsewhere).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let otto = admin
        .anonymous(Method::POST, "/api/v1/tenants")
        .bearer_auth("otto")
        .header("Idempotency-Key", "k-1")
        .json(&tenant("globex"));
    assert_eq!(Answer::of(otto).await.status, StatusCode::CREATED);
}

/// A refusal changed nothing, so what was refused may be tried again under its key.
#[tokio::test]
async fn refusals_are_not_kept() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let refused = Answer::of(post(&admin, "k-1", &acme())).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let fine = Answer::of(post(&admin, "k-1", &tenant("globex"))).await;
    assert_eq!(fine.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let admin = Admin::start().await;
    for key in ["", "with space", &"x".repeat(256)] {
        let answer = Answer::of(post(&admin, key, &acme())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key:?}");
        assert_eq!(answer.body["errors"][0]["field"], "Idempotency-Key");
    }
    let twice = post(&admin, "a", &acme()).header("Idempotency-Key", "b");
    assert_eq!(Answer::of(twice).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(admin.changes().await, 0);
}

/// Of many that are sent at once, one is carried out; the others get its answer, or are told to
/// wait for it.
#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let admin = Admin::start().await;
    let sent = (0..20).map(|_| Answer::of(post(&admin, "k-1", &acme())));
    let answers = futures_util::future::join_all(sent).await;
    let first = |answer: &&Answer| {
        answer.status == StatusCode::CREATED && answer.header("idempotency-replayed").is_empty()
    };
    assert_eq!(answers.iter().filter(first).count(), 1);
    for answer in &answers {
        match answer.status {
            StatusCode::CREATED => assert_eq!(answer.header("etag"), "\"1\""),
            StatusCode::CONFLICT => {
                assert_problem(answer, "idempotency-key-in-flight");
                assert_eq!(answer.header("retry-after"), "1");
            }
            status => panic!("{status}: {}", answer.body),
        }
    }
    let page = admin.get("/api/v1/tenants").await.body;
    assert_eq!(page["tenants"].as_array().map(Vec::len), Some(1));
    assert_eq!(admin.changes().await, 1);
    assert_eq!(page["tenants"][0]["revision"], json!(1));
}
