//! What is refused, how it is told, and that nothing came of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin::testing::{Admin, Answer, TOKEN, acme};

const GUARDED: [(Method, &str); 14] = [
    (Method::GET, "/api/v1/tenants"),
    (Method::POST, "/api/v1/tenants"),
    (Method::GET, "/api/v1/tenants/acme"),
    (Method::PUT, "/api/v1/tenants/acme"),
    (Method::DELETE, "/api/v1/tenants/acme"),
    (Method::GET, "/api/v1/tenants/acme/health"),
    (Method::GET, "/api/v1/health"),
    (Method::GET, "/api/v1/events"),
    (Method::PUT, "/api/v1/tenants/acme/maintenance"),
    (
        Method::POST,
        "/api/v1/tenants/acme/deployments/metrics/endpoints/drain",
    ),
    (Method::POST, "/api/v1/tenants/acme/cache/invalidate"),
    (Method::GET, "/api/v1/audit"),
    (Method::POST, "/-/reload"),
    (Method::GET, "/nowhere"),
];

#[tokio::test]
async fn everything_else_needs_the_right_token() {
    let admin = Admin::start().await;
    let wrong = [
        "Bearer wrong",
        "Bearer ",
        "Basic correct-horse-battery-staple",
        TOKEN,
        "Bearer",
    ];
    for (method, path) in GUARDED {
        let none = Answer::of(admin.anonymous(method.clone(), path)).await;
        assert_eq!(none.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert!(
            none.header("www-authenticate").starts_with("Bearer"),
            "{method} {path}"
        );
        for credentials in wrong {
            let request = admin.anonymous(method.clone(), path);
            let answer = Answer::of(request.header("Authorization", credentials)).await;
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{method} {path} {credentials}"
            );
        }
    }
    let twice = admin.request(Method::GET, "/api/v1/tenants");
    let twice = twice.header("Authorization", format!("Bearer {TOKEN}"));
    assert_eq!(Answer::of(twice).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_a_configured_token_nobody_gets_in_and_is_told_how_to() {
    let admin = Admin::start_with(None).await;
    for (method, path) in GUARDED {
        let answer = Answer::of(admin.request(method.clone(), path)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        let told = answer.body["detail"].as_str().unwrap_or_default();
        assert!(told.contains("admin.token_file"), "{told}");
    }
}

#[tokio::test]
async fn every_fault_of_a_document_is_named_with_field_and_value() {
    let admin = Admin::start().await;
    let mut faulty = acme();
    faulty["status"] = json!("asleep");
    faulty["deployments"]["metrics"]["endpoints"][1]["url"] = json!("ftp://there");
    faulty["colour"] = json!("blue");
    let answer = admin.put(&faulty).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    for (field, value) in [
        ("status", "asleep"),
        ("deployments.metrics.endpoints[1].url", "ftp://there"),
    ] {
        let named = faults(&answer)
            .iter()
            .any(|f| f["field"] == field && f["value"] == value);
        assert!(named, "{field}: {}", answer.body);
    }
    assert!(
        faults(&answer).iter().any(|f| f["field"] == "colour"),
        "{}",
        answer.body
    );
    assert_eq!(admin.changes().await, 0);
}

#[tokio::test]
async fn a_body_must_be_about_the_tenant_of_the_path() {
    let admin = Admin::start().await;
    let request = admin
        .request(Method::PUT, "/api/v1/tenants/globex")
        .header("If-None-Match", "*")
        .json(&acme());
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        (&faults(&answer)[0]["field"], &faults(&answer)[0]["value"]),
        (&json!("id"), &json!("acme"))
    );

    let mut deleted = acme();
    deleted["status"] = json!("deleted");
    let answer = admin.put(&deleted).await;
    assert_eq!(
        (answer.status, &faults(&answer)[0]["field"]),
        (StatusCode::BAD_REQUEST, &json!("status"))
    );

    let answer = admin.get("/api/v1/tenants/No_Tenant").await;
    assert_eq!(
        (answer.status, &faults(&answer)[0]["value"]),
        (StatusCode::BAD_REQUEST, &json!("No_Tenant"))
    );
    assert_eq!(admin.changes().await, 0);
}

#[tokio::test]
async fn conditions_that_mean_nothing_are_refused() {
    let admin = Admin::start().await;
    let conditions: [&[(&str, &str)]; 3] = [
        &[("If-Match", "3")],
        &[("If-Match", "\"3\", 4")],
        &[("If-None-Match", "\"3\"")],
    ];
    for headers in conditions {
        let request = admin.putting(&acme(), "");
        let request = headers
            .iter()
            .fold(request, |request, (k, v)| request.header(*k, *v));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{headers:?}");
        let field = faults(&answer)[0]["field"].as_str().unwrap_or_default();
        assert!(
            field.eq_ignore_ascii_case(headers[0].0),
            "{headers:?}: {}",
            answer.body
        );
    }
    assert_eq!(admin.changes().await, 0);
}

#[tokio::test]
async fn arguments_of_a_page_are_checked() {
    let admin = Admin::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("status=asleep", "status"),
        ("after=No_Tenant", "after"),
        ("order=desc", "order"),
    ] {
        let answer = admin.get(&format!("/api/v1/tenants?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(
            faults(&answer)[0]["field"],
            field,
            "{query}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn each_refusal_has_its_status_and_one_shape() {
    let admin = Admin::start().await;
    let tenants = "/api/v1/tenants";
    let large = format!("{{\"id\":\"acme\",\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let json = "application/json";
    for (method, path, media_type, body, status, kind) in [
        (Method::GET, "/nowhere", json, "", 404, "not-found"),
        (
            Method::GET,
            "/api/v1/tenants/acme",
            json,
            "",
            404,
            "not-found",
        ),
        (
            Method::PATCH,
            tenants,
            json,
            "{}",
            405,
            "method-not-allowed",
        ),
        (
            Method::PATCH,
            "/api/v1/tenants/acme",
            json,
            "{}",
            428,
            "precondition-required",
        ),
        (Method::POST, tenants, json, &large, 413, "too-large"),
        (
            Method::POST,
            tenants,
            "text/plain",
            "{}",
            415,
            "unsupported-media-type",
        ),
        (Method::POST, tenants, json, "{", 400, "malformed"),
    ] {
        let request = admin
            .request(method.clone(), path)
            .header("X-Request-Id", "r-7");
        let request = request
            .header("Content-Type", media_type)
            .body(body.to_owned());
        let answer = Answer::of(request).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path}: {}",
            answer.body
        );
        assert_problem(&answer, kind);
        assert_eq!(
            (&answer.body["instance"], answer.header("x-request-id")),
            (&json!("r-7"), "r-7")
        );
    }
}

#[tokio::test]
async fn a_refused_method_is_told_which_are_taken() {
    let admin = Admin::start().await;
    let answer = Answer::of(admin.request(Method::POST, "/api/v1/tenants/acme")).await;
    let allowed = answer.header("allow");
    assert!(
        ["GET", "PUT", "PATCH", "DELETE"]
            .iter()
            .all(|method| allowed.contains(method)),
        "{allowed:?}"
    );
    let open = Answer::of(admin.anonymous(Method::POST, "/metrics")).await;
    assert_eq!(
        (open.status, open.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, "GET,HEAD")
    );
}

/// Only ids that logs and headers can carry are taken over; all others get a new one.
#[tokio::test]
async fn a_request_id_is_made_where_none_fits() {
    let admin = Admin::start().await;
    let long = "x".repeat(200);
    for sent in ["", "with space", &long] {
        let request = admin
            .request(Method::GET, "/nowhere")
            .header("X-Request-Id", sent);
        let answer = Answer::of(request).await;
        assert_eq!(answer.header("x-request-id").len(), 32, "{sent:?}");
    }
}

/// The store's trouble is told as such, to be tried again, without what the store said.
#[tokio::test]
async fn a_store_that_is_down_is_no_fault_of_the_caller() {
    let admin = Admin::start().await;
    admin.repository.close().await;
    for request in [
        admin.request(Method::GET, "/api/v1/tenants"),
        admin.request(Method::GET, "/api/v1/tenants/acme"),
        admin.request(Method::GET, "/api/v1/tenants/acme/health"),
        admin.request(Method::GET, "/api/v1/audit"),
        admin.request(Method::GET, "/api/v1/export"),
        admin.putting(&acme(), "").header("If-Match", "*"),
        admin.putting(&acme(), "").header("If-None-Match", "*"),
        admin
            .request(Method::DELETE, "/api/v1/tenants/acme")
            .header("If-Match", "*"),
        admin
            .request(Method::POST, "/api/v1/tenants/acme/suspend")
            .header("If-Match", "\"1\""),
        admin.request(Method::POST, "/api/v1/import").json(&acme()),
    ] {
        let answer = Answer::of(request).await;
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            answer.body
        );
        assert!(!answer.header("retry-after").is_empty());
        let told = answer.body["detail"].as_str().unwrap_or_default();
        assert!(!told.contains("sqlite") && !told.contains("pool"), "{told}");
    }
}

/// An answer is one problem document of this kind, and nothing else.
pub(super) fn assert_problem(answer: &Answer, kind: &str) {
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{}",
        answer.body
    );
    let body = &answer.body;
    assert_eq!(body["type"], format!("/problems/{kind}"), "{body}");
    assert_eq!(body["status"], answer.status.as_u16(), "{body}");
    for field in ["title", "detail", "instance"] {
        assert!(
            body[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {body}"
        );
    }
    for fault in body["errors"].as_array().into_iter().flatten() {
        assert!(
            fault["field"].is_string() && fault["message"].is_string(),
            "{body}"
        );
    }
}

fn faults(answer: &Answer) -> &[Value] {
    answer.body["errors"].as_array().map_or(&[], Vec::as_slice)
}
