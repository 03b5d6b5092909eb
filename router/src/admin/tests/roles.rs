//! Who may do what: every route for every role, as the description says.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use super::{described::description, refusals::assert_problem};
use crate::admin::testing::{Admin, Answer, TOKEN, acme};

/// The tokens of the three roles, from the least.
const TOKENS: [(&str, &str); 3] = [("viewer", "vera"), ("operator", "otto"), ("admin", TOKEN)];

#[tokio::test]
async fn every_route_takes_the_roles_it_says_and_no_other() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let before = admin.state().await;
    let description = description(&admin).await;
    let (mut open, mut guarded) = (0, 0);
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let place = path
                .replace("{id}", "acme")
                .replace("{name}", "pro")
                .replace("{key}", "abcdef012345");
            if operation["tags"][0] == "argocd" {
                continue;
            }
            let Some(needed) = operation["x-required-role"].as_str() else {
                let answer = Answer::of(admin.anonymous(method.clone(), &place)).await;
                assert_eq!(answer.status, StatusCode::OK, "{method} {path}");
                open += 1;
                continue;
            };
            assert_eq!(operation["security"], json!([{"operator": [needed]}]));
            let anonymous = Answer::of(admin.anonymous(method.clone(), &place)).await;
            assert_eq!(
                anonymous.status,
                StatusCode::UNAUTHORIZED,
                "{method} {path}"
            );
            assert_problem(&anonymous, "unauthenticated");
            let rank = |role: &str| TOKENS.iter().position(|(name, _)| *name == role);
            for (role, token) in TOKENS {
                let request = admin.anonymous(method.clone(), &place).bearer_auth(token);
                let answer = Answer::of(refusable(request)).await;
                let what = format!("{method} {path} as {role}: {}", answer.body);
                if rank(role) < rank(needed) {
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
                    assert_problem(&answer, "forbidden");
                    let told = answer.body["detail"].as_str().unwrap_or_default();
                    assert!(told.contains(role) && told.contains(needed), "{told}");
                } else {
                    assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
                    assert_ne!(answer.status, StatusCode::FORBIDDEN, "{what}");
                }
            }
            guarded += 1;
        }
    }
    assert!(open >= 9 && guarded >= 12, "{open} open, {guarded} guarded");
    assert_eq!(admin.state().await, before);
}

/// A request that passes the door and is refused behind it, so that nothing changes: no condition,
/// no body.
fn refusable(request: RequestBuilder) -> RequestBuilder {
    request.query(&[("no_such_argument", "1")])
}

#[tokio::test]
async fn the_audit_names_the_operator() {
    let admin = Admin::start().await;
    let request = admin
        .anonymous(Method::POST, "/api/v1/tenants")
        .bearer_auth("otto");
    let created = Answer::of(request.json(&acme())).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let page = admin.get("/api/v1/audit").await.body;
    assert_eq!(page["events"][0]["author"], "otto");
}

/// Guessing gets slow, for whoever asks from that address, and with the right token, too.
#[tokio::test]
async fn an_address_that_fails_too_often_has_to_wait() {
    let admin = Admin::start().await;
    admin.write_config("admin: {token_file: admin.token, max_failures_per_minute: 3}\n");
    let reload = Answer::of(admin.request(Method::POST, "/-/reload")).await;
    assert_eq!(reload.status, StatusCode::OK);
    let guess = |token: &str| {
        let request = admin.anonymous(Method::GET, "/api/v1/tenants");
        Answer::of(request.bearer_auth(token))
    };
    for _ in 0..3 {
        assert_eq!(guess("wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let refused = guess(TOKEN).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_problem(&refused, "too-many-attempts");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=21).contains(&seconds), "{seconds}");
    let open = Answer::of(admin.anonymous(Method::GET, "/metrics")).await;
    assert_eq!(open.status, StatusCode::OK);
}
