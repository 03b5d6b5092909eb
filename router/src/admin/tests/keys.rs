//! API keys: shown once, replaced with time to change over, revoked for good.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::yield_now;

use super::refusals::assert_problem;
use crate::{
    admin::testing::{Admin, Answer, acme, tenant},
    keys::KeyRefusal,
};

const KEYS: &str = "/api/v1/tenants/acme/keys";

/// Longer than anything may take, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn create(admin: &Admin) -> RequestBuilder {
    let key = json!({"name": "agents", "scopes": ["metrics:write", "logs:write"]});
    admin.request(Method::POST, KEYS).json(&key)
}

fn id(key: &Answer) -> &str {
    key.body["id"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_token_is_shown_once_and_kept_nowhere() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let made = Answer::of(create(&admin).header("Idempotency-Key", "k")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let token = made.body["token"].as_str().expect("a token").to_owned();
    assert!(
        token.starts_with(&format!("mir_{}_", id(&made))) && token.len() == 60,
        "{token}"
    );
    assert_eq!(made.body["allowed"], "own");
    assert_eq!(made.body["state"], "usable");
    let place = made.header("location").to_owned();
    assert_eq!(place, format!("{KEYS}/{}", id(&made)));
    // Who lost the answer gets it again, and no second key.
    let again = Answer::of(create(&admin).header("Idempotency-Key", "k")).await;
    assert_eq!(again.body, made.body);

    let secret = &token[17..];
    for path in [&*place, KEYS, "/api/v1/audit", "/api/v1/export"] {
        let text = admin.get(path).await.body.to_string();
        assert!(!text.contains(secret), "{path}: {text}");
        assert!(!text.contains("\"hash\":\""), "{path}: {text}");
    }
    let list = admin.get(KEYS).await.body;
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(1));
    let page = admin.get("/api/v1/audit?kind=key").await.body;
    assert_eq!(page["events"][0]["outcome"], "created");
}

#[tokio::test]
async fn a_key_is_its_tenants_own() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    admin.put(&tenant("globex")).await;
    let made = Answer::of(create(&admin)).await;
    let elsewhere = format!("/api/v1/tenants/globex/keys/{}", id(&made));
    assert_problem(&admin.get(&elsewhere).await, "not-found");
    let revoke = admin.request(Method::DELETE, &elsewhere);
    let revoke = Answer::of(revoke.header("If-Match", "*")).await;
    assert_problem(&revoke, "not-found");
    let list = admin.get("/api/v1/tenants/globex/keys").await.body;
    assert_eq!(list["keys"], json!([]));
    let nobody = admin.get("/api/v1/tenants/nobody/keys").await;
    assert_problem(&nobody, "not-found");
}

#[tokio::test]
async fn a_replaced_key_is_taken_for_a_while_and_a_revoked_one_never_again() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let made = Answer::of(create(&admin)).await;
    let place = format!("{KEYS}/{}", id(&made));
    let rotate = |query: &str, tag: &str| {
        let path = format!("{place}/rotate{query}");
        let request = admin.request(Method::POST, &path);
        Answer::of(request.header("If-Match", tag))
    };
    let before = admin.state().await;
    let dry = rotate("?dry_run=true", "*").await;
    assert_eq!(
        (dry.status, &dry.body["token"]),
        (StatusCode::CREATED, &json!(""))
    );
    assert_problem(&rotate("", "\"9\"").await, "precondition-failed");
    assert_problem(&rotate("?overlap=31d", "*").await, "malformed");
    assert_eq!(admin.state().await, before);

    let new = rotate("?overlap=1h", "\"1\"").await;
    assert_eq!(new.status, StatusCode::CREATED, "{}", new.body);
    assert_ne!(new.body["token"], made.body["token"]);
    for field in ["name", "scopes", "allowed", "tenant"] {
        assert_eq!(new.body[field], made.body[field], "{field}");
    }
    let old = admin.get(&place).await;
    assert_eq!(old.body["replaced_by"], new.body["id"]);
    assert_eq!(old.body["state"], "usable");
    assert!(old.body["retires_at"].is_string(), "{}", old.body);
    assert_problem(&rotate("", "*").await, "conflict");

    let revoke = |tag: &str| {
        let request = admin.request(Method::POST, &format!("{place}/revoke"));
        Answer::of(request.header("If-Match", tag))
    };
    assert_problem(&revoke("\"1\"").await, "precondition-failed");
    let revoked = revoke("\"2\"").await;
    assert_eq!(
        (revoked.outcome(), &revoked.body["state"]),
        ("updated", &json!("revoked"))
    );
    assert_eq!(revoke("*").await.outcome(), "unchanged");
    let delete = admin.request(Method::DELETE, &place);
    let deleted = Answer::of(delete.header("If-Match", "*")).await;
    assert_eq!(deleted.outcome(), "deleted", "{}", deleted.body);
    assert_problem(&admin.get(&place).await, "not-found");
    let place = format!("{KEYS}/{}", id(&new));
    let none = Answer::of(admin.request(Method::DELETE, &place)).await;
    assert_problem(&none, "precondition-required");
}

/// What requests are told of a token at this moment.
fn opened(admin: &Admin, token: &str) -> Result<String, KeyRefusal> {
    let keys = admin.control.keys().load();
    let grant = keys.authenticate(token, Timestamp::now())?;
    Ok(grant.owner().to_string())
}

fn token(key: &Answer) -> String {
    key.body["token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn what_is_done_to_a_key_holds_for_requests_at_once() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let made = Answer::of(create(&admin)).await;
    let place = format!("{KEYS}/{}", id(&made));
    let old = token(&made);
    assert_eq!(opened(&admin, &old), Ok("acme".into()));
    let rotate = |overlap: &str| {
        let path = format!("{place}/rotate?overlap={overlap}");
        let request = admin.request(Method::POST, &path);
        Answer::of(request.header("If-Match", "*"))
    };
    let new = token(&rotate("1h").await);
    assert_eq!(opened(&admin, &old), Ok("acme".into()));
    assert_eq!(opened(&admin, &new), Ok("acme".into()));
    let revoke = admin.request(Method::POST, &format!("{place}/revoke"));
    Answer::of(revoke.header("If-Match", "*")).await;
    assert_eq!(opened(&admin, &old), Err(KeyRefusal::Revoked));
    assert_eq!(opened(&admin, &new), Ok("acme".into()));

    let short = Answer::of(create(&admin)).await;
    let place = format!("{KEYS}/{}", id(&short));
    let rotate = admin.request(Method::POST, &format!("{place}/rotate?overlap=1ms"));
    Answer::of(rotate.header("If-Match", "*")).await;
    let began = Instant::now();
    while opened(&admin, &token(&short)) == Ok("acme".into()) {
        assert!(began.elapsed() < PATIENCE, "it is taken for too long");
        yield_now().await;
    }
    assert_eq!(opened(&admin, &token(&short)), Err(KeyRefusal::Retired));
    let delete = admin.request(Method::DELETE, &place);
    Answer::of(delete.header("If-Match", "*")).await;
    assert_eq!(opened(&admin, &token(&short)), Err(KeyRefusal::Unknown));

    admin.write_config("admin: {token_file: admin.token}\n");
    Answer::of(admin.request(Method::POST, "/-/reload")).await;
    assert_eq!(opened(&admin, &new), Err(KeyRefusal::NotConfigured));
}

/// Whoever comes to have a tenant's id does not come to have its keys.
#[tokio::test]
async fn keys_end_with_their_tenant() {
    let admin = Admin::start().await;
    let purge = |query: &str| {
        let path = format!("/api/v1/tenants/acme?purge=true{query}");
        let request = admin.request(Method::DELETE, &path);
        Answer::of(request.header("If-Match", "*"))
    };
    admin.put(&acme()).await;
    let first = token(&Answer::of(create(&admin)).await);
    purge("&dry_run=true").await;
    assert_eq!(opened(&admin, &first), Ok("acme".into()));
    assert_eq!(purge("").await.outcome(), "purged");
    assert_eq!(opened(&admin, &first), Err(KeyRefusal::Unknown));

    admin.put(&acme()).await;
    let second = token(&Answer::of(create(&admin)).await);
    admin.delete("acme").await;
    let restore = admin.request(Method::POST, "/api/v1/tenants/acme/restore");
    Answer::of(restore.header("If-Match", "*")).await;
    let kept = admin.get(KEYS).await.body;
    assert_eq!(kept["keys"].as_array().map(Vec::len), Some(1));
    admin.delete("acme").await;
    assert_eq!(admin.put(&acme()).await.outcome(), "created");
    assert_eq!(opened(&admin, &second), Err(KeyRefusal::Unknown));
    assert_eq!(admin.get(KEYS).await.body["keys"], json!([]));
}

#[tokio::test]
async fn faulty_keys_are_refused_by_field() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let before = admin.state().await;
    for (key, field) in [
        (json!({"scopes": []}), "name"),
        (json!({"name": "a"}), "scopes"),
        (json!({"name": "a", "scopes": ["logs:delete"]}), "scopes[0]"),
        (json!({"name": "", "scopes": []}), "name"),
        (json!({"name": "a", "scopes": [], "allowed": []}), "allowed"),
        (json!({"name": "a", "scopes": [], "hash": "x"}), "hash"),
        (
            json!({"name": "a", "scopes": [], "expires_at": "2001-01-01T00:00:00Z"}),
            "expires_at",
        ),
    ] {
        let refused = Answer::of(admin.request(Method::POST, KEYS).json(&key)).await;
        let time_to_come = field == "expires_at";
        assert_problem(
            &refused,
            if time_to_come {
                "unprocessable"
            } else {
                "malformed"
            },
        );
        let faults = refused.body["errors"].as_array().cloned();
        let named = faults.into_iter().flatten().any(|fault| {
            let named = fault["field"].as_str().unwrap_or_default();
            let told = fault["message"].as_str().unwrap_or_default();
            named == field || told.contains(&format!("`{field}`"))
        });
        assert!(named, "{field}: {}", refused.body);
    }
    assert_eq!(admin.state().await, before);
    let page = admin.get(KEYS).await.body;
    assert_eq!((&page["keys"], &page["next"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn without_a_secret_no_key_is_made() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    admin.write_config("admin: {token_file: admin.token}\n");
    let reload = Answer::of(admin.request(Method::POST, "/-/reload")).await;
    assert_eq!(reload.status, StatusCode::OK);
    let refused = Answer::of(create(&admin)).await;
    assert_problem(&refused, "conflict");
    let told = refused.body["detail"].as_str().unwrap_or_default();
    assert!(told.contains("keys.secret_file"), "{told}");
}
