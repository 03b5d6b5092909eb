//! Changes that meet: none is lost, none is made twice, and what is refused changes nothing.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{Answer, changes};
use crate::support::{mirador::Mirador, tenant::Tenant};

const PATH: &str = "/api/v1/tenants/acme";

/// The lost update: two operators read the same tenant, both write it back changed. Whoever is
/// second is told, and nothing of the first is undone.
#[tokio::test]
async fn the_second_of_two_who_read_the_same_is_refused() {
    let mirador = Mirador::start().await;
    mirador.apply(&Tenant::new("acme")).await;
    let read = async || Answer::of(mirador.admin(Method::GET, PATH)).await;
    let (alice, bob) = (read().await, read().await);
    assert_eq!(alice.header("etag"), bob.header("etag"));
    let put = async |read: &Answer, field: &str, value: &str| {
        let mut document = read.body.clone();
        document[field] = json!(value);
        let request = mirador.admin(Method::PUT, PATH).json(&document);
        Answer::of(request.header("If-Match", read.header("etag"))).await
    };
    assert_eq!(put(&alice, "tier", "pro").await.status, StatusCode::OK);
    let refused = put(&bob, "display_name", "ACME Corp").await;
    refused.assert_problem(412, "precondition-failed");

    let again = read().await;
    assert_eq!(again.body["tier"], "pro");
    assert_eq!(again.body["display_name"], Value::Null);
    let merged = put(&again, "display_name", "ACME Corp").await;
    assert_eq!(merged.status, StatusCode::OK);
    assert_eq!(
        (&merged.body["tier"], &merged.body["revision"]),
        (&json!("pro"), &json!(3))
    );
}

/// Writers who race on one tenant: of each revision exactly one is the successor.
#[tokio::test]
async fn of_twenty_who_race_each_revision_has_one_winner() {
    let mirador = Mirador::start().await;
    mirador.apply(&Tenant::new("acme")).await;
    let race = |revision: usize| {
        (0..20).map(move |n| (revision, n)).map(|(revision, n)| {
            let patch = json!({"labels": {"by": format!("{revision}-{n}")}});
            let request = mirador
                .admin(Method::PATCH, PATH)
                .header("If-Match", format!("\"{revision}\""))
                .header("Content-Type", "application/merge-patch+json")
                .body(patch.to_string());
            Answer::of(request)
        })
    };
    for revision in 1..=5 {
        let answers = futures_util::future::join_all(race(revision)).await;
        let won = answers
            .iter()
            .filter(|answer| answer.status == StatusCode::OK)
            .count();
        assert_eq!(won, 1, "of revision {revision}");
        for lost in answers
            .iter()
            .filter(|answer| answer.status != StatusCode::OK)
        {
            lost.assert_problem(412, "precondition-failed");
        }
    }
    assert_eq!(changes(&mirador).await, 6);
}

/// A client that lost the answer sends again, to a router that is the same or another one after a
/// restart: one tenant, one event.
#[tokio::test]
async fn a_post_that_is_sent_again_is_done_once() {
    let mut mirador = Mirador::start().await;
    let post = async |mirador: &Mirador| {
        let request = mirador
            .admin(Method::POST, "/api/v1/tenants")
            .header("Idempotency-Key", "7f5b0c0e-1")
            .json(&json!({"id": "acme"}));
        Answer::of(request).await
    };
    let first = post(&mirador).await;
    let again = post(&mirador).await;
    assert_eq!(
        (first.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(changes(&mirador).await, 1);
    // Answers are kept in memory: afterwards the tenant's being there is what protects.
    mirador.restart().await;
    post(&mirador).await.assert_problem(409, "conflict");
    assert_eq!(changes(&mirador).await, 1);
}

/// A request: method, path, headers, body; and its refusal: status and kind.
#[derive(Clone, Copy)]
struct Refused<'r>(
    &'r str,
    &'r str,
    &'r [(&'r str, &'r str)],
    &'r str,
    u16,
    &'r str,
);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const YAML: &[(&str, &str)] = &[("content-type", "application/yaml")];
const PATCH: &[(&str, &str)] = &[
    ("content-type", "application/merge-patch+json"),
    ("if-match", "*"),
];
const JSON_PATCH: &[(&str, &str)] = &[("content-type", "application/json"), ("if-match", "*")];
const STALE: &[(&str, &str)] = &[("if-match", "\"9\"")];
const TENANTS: &str = "/api/v1/tenants";
const SUSPEND: &str = "/api/v1/tenants/acme/suspend";
const IMPORT: &str = "/api/v1/import";
const ACME: &str = "{\"id\":\"acme\"}";
const ONE_IS_FAULTY: &str = "id: globex\n---\nid: a\n";

const REFUSED: [Refused<'_>; 20] = [
    Refused("GET", "/nowhere", &[], "", 404, "not-found"),
    Refused("GET", "/api/v1/tenants/", &[], "", 404, "not-found"),
    Refused("GET", "/api/v1/tenants/nobody", &[], "", 404, "not-found"),
    Refused("GET", "/api/v1/tenants/No_Body", &[], "", 400, "malformed"),
    Refused("GET", "/api/v1/tenants/%ff", &[], "", 400, "malformed"),
    Refused("GET", "/api/v1/tenants?limit=0", &[], "", 400, "malformed"),
    Refused("GET", "/api/v1/audit?before=-1", &[], "", 400, "malformed"),
    Refused("BREW", PATH, &[], "", 405, "method-not-allowed"),
    Refused("POST", TENANTS, &[], "{}", 415, "unsupported-media-type"),
    Refused("POST", TENANTS, JSON, "{", 400, "malformed"),
    Refused("POST", TENANTS, JSON, "id: acme", 400, "malformed"),
    Refused("POST", TENANTS, YAML, "a: [", 400, "malformed"),
    Refused("POST", TENANTS, JSON, ACME, 409, "conflict"),
    Refused("PUT", PATH, JSON, ACME, 428, "precondition-required"),
    Refused("DELETE", PATH, &[], "", 428, "precondition-required"),
    Refused("DELETE", PATH, STALE, "", 412, "precondition-failed"),
    Refused(
        "PATCH",
        PATH,
        JSON_PATCH,
        "{}",
        415,
        "unsupported-media-type",
    ),
    Refused("PATCH", PATH, PATCH, "{\"tier\":7}", 422, "unprocessable"),
    Refused("POST", SUSPEND, &[], "", 428, "precondition-required"),
    Refused("POST", IMPORT, YAML, ONE_IS_FAULTY, 400, "malformed"),
];

/// Whatever is refused is a problem document, and leaves audit and tenants as they were.
#[tokio::test]
async fn every_refusal_is_a_problem_and_changes_nothing() {
    let mirador = Mirador::start().await;
    mirador.apply(&Tenant::new("acme")).await;
    let export = async || {
        let all = Answer::of(mirador.admin(Method::GET, "/api/v1/export"));
        all.await.body
    };
    let before = (changes(&mirador).await, export().await);
    let large = format!("{{\"id\":\"acme\",\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let too_large = Refused("POST", "/api/v1/tenants", JSON, &large, 413, "too-large");
    for Refused(method, path, headers, body, status, kind) in
        REFUSED.iter().chain([&too_large]).copied()
    {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = headers
            .iter()
            .fold(mirador.admin(method, path), |request, (name, value)| {
                request.header(*name, *value)
            });
        let answer = Answer::of(request.body(body.to_owned())).await;
        answer.assert_problem(status, kind);
        // What was not read of a body can't be told from the next request.
        if kind == "too-large" {
            assert_eq!(answer.header("connection"), "close");
        }
        let after = (changes(&mirador).await, export().await);
        assert_eq!(after, before, "{path} {kind}");
    }
    for request in [unauthenticated(&mirador), wrong_token(&mirador)] {
        Answer::of(request)
            .await
            .assert_problem(401, "unauthenticated");
    }
    assert_eq!((changes(&mirador).await, export().await), before);
}

fn unauthenticated(mirador: &Mirador) -> RequestBuilder {
    mirador.http.delete(mirador.admin_url(PATH))
}

fn wrong_token(mirador: &Mirador) -> RequestBuilder {
    unauthenticated(mirador).bearer_auth("wrong")
}
