//! Deletions, conditions and dry runs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::refusals::assert_problem;
use crate::admin::testing::{Admin, Answer, acme, tenant};

#[tokio::test]
async fn a_deleted_tenant_leaves_a_tombstone_and_may_come_back() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let deleted = admin.delete("acme").await;
    assert_eq!(
        (deleted.status, deleted.outcome()),
        (StatusCode::OK, "deleted")
    );
    assert_eq!(
        (deleted.body["status"].as_str(), deleted.header("etag")),
        (Some("deleted"), "\"2\"")
    );

    assert_eq!(
        admin.get("/api/v1/tenants/acme").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        admin.get("/api/v1/tenants").await.body["tenants"],
        json!([])
    );
    let tombstones = admin.get("/api/v1/tenants?status=deleted").await.body;
    assert_eq!(tombstones["tenants"][0]["id"], "acme");

    assert_eq!(admin.delete("acme").await.outcome(), "unchanged");
    let back = admin.put(&acme()).await;
    assert_eq!(
        (back.status, back.header("etag")),
        (StatusCode::CREATED, "\"3\"")
    );
}

#[tokio::test]
async fn there_is_nothing_to_delete_where_nothing_was() {
    let admin = Admin::start().await;
    let answer = admin.delete("acme").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.body["detail"], "there is no tenant acme");
}

/// Two operators who read the same revision can't both win.
#[tokio::test]
async fn a_change_on_a_stale_revision_is_refused() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let mut first = acme();
    first["tier"] = json!("free");
    let won = Answer::of(admin.putting(&first, "").header("If-Match", "\"1\"")).await;
    assert_eq!(won.status, StatusCode::OK);

    let mut second = acme();
    second["tier"] = json!("enterprise");
    let lost = Answer::of(admin.putting(&second, "").header("If-Match", "\"1\"")).await;
    assert_eq!(lost.status, StatusCode::PRECONDITION_FAILED);
    let told = lost.body["detail"].as_str().unwrap_or_default();
    assert!(
        told.contains("revision 2") && told.contains("revision 1"),
        "{told}"
    );

    for tags in ["W/\"2\"", "\"x\"", "\"1\", \"3\""] {
        let lost = Answer::of(admin.putting(&second, "").header("If-Match", tags)).await;
        assert_eq!(lost.status, StatusCode::PRECONDITION_FAILED, "{tags}");
    }
    let among = admin.putting(&first, "").header("If-Match", "\"1\", \"2\"");
    assert_eq!(Answer::of(among).await.outcome(), "unchanged");

    let path = "/api/v1/tenants/acme";
    let stale = admin
        .request(Method::DELETE, path)
        .header("If-Match", "\"1\"");
    assert_eq!(
        Answer::of(stale).await.status,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(admin.get(path).await.body["tier"], "free");
}

#[tokio::test]
async fn presence_and_absence_can_be_conditions() {
    let admin = Admin::start().await;
    let with = |name, value| admin.putting(&acme(), "").header(name, value);
    let absent = Answer::of(with("If-Match", "*")).await;
    assert_eq!(absent.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        Answer::of(with("If-None-Match", "*")).await.status,
        StatusCode::CREATED
    );
    let present = Answer::of(with("If-None-Match", "*")).await;
    assert_eq!(present.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        Answer::of(with("If-Match", "*")).await.status,
        StatusCode::OK
    );

    let both = with("If-Match", "*").header("If-None-Match", "*");
    assert_eq!(
        Answer::of(both).await.status,
        StatusCode::PRECONDITION_FAILED
    );

    admin.delete("acme").await;
    let tombstone = Answer::of(with("If-Match", "*")).await;
    assert_eq!(tombstone.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn post_creates_and_never_changes() {
    let admin = Admin::start().await;
    let post = |tenant: &Value| admin.request(Method::POST, "/api/v1/tenants").json(tenant);
    let created = Answer::of(post(&acme())).await;
    assert_eq!(
        (created.status, created.header("etag")),
        (StatusCode::CREATED, "\"1\"")
    );
    assert_eq!(created.header("location"), "/api/v1/tenants/acme");
    let mut other = acme();
    other["tier"] = json!("free");
    let refused = Answer::of(post(&other)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(admin.get("/api/v1/tenants/acme").await.body["tier"], "pro");
}

/// A dry run says what the real one then says, and does nothing.
#[tokio::test]
async fn a_dry_run_foretells_and_changes_nothing() {
    let admin = Admin::start().await;
    let mut changed = acme();
    changed["tier"] = json!("free");
    for tenant in [acme(), acme(), changed] {
        let before = admin.changes().await;
        let foretold = foretell(&admin, &tenant).await;
        assert_eq!(admin.changes().await, before);
        compare(&foretold, &admin.put(&tenant).await);
    }
    for _ in ["alive", "tombstone"] {
        let before = admin.changes().await;
        let rehearsed = admin.request(Method::DELETE, "/api/v1/tenants/acme?dry_run=true");
        let foretold = Answer::of(rehearsed.header("If-Match", "*")).await;
        assert_eq!(admin.changes().await, before);
        compare(&foretold, &admin.delete("acme").await);
    }
    let foretold = foretell(&admin, &acme()).await;
    compare(&foretold, &admin.put(&acme()).await);
}

#[tokio::test]
async fn a_dry_run_is_refused_as_the_real_one_would_be() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let stale = admin
        .putting(&acme(), "?dry_run=true")
        .header("If-Match", "\"7\"");
    assert_eq!(
        Answer::of(stale).await.status,
        StatusCode::PRECONDITION_FAILED
    );
    let twice = admin
        .request(Method::POST, "/api/v1/tenants?dry_run=true")
        .json(&acme());
    assert_eq!(Answer::of(twice).await.status, StatusCode::CONFLICT);
    let nobody = admin.request(Method::DELETE, "/api/v1/tenants/other?dry_run=true");
    let nobody = nobody.header("If-Match", "*");
    assert_eq!(Answer::of(nobody).await.status, StatusCode::NOT_FOUND);
}

/// A misspelt `dry_run` would otherwise be a change nobody wanted.
#[tokio::test]
async fn an_argument_that_is_not_known_stops_a_change() {
    let admin = Admin::start().await;
    for query in [
        "?dryrun=true",
        "?dry_run=yes",
        "?dry_run=false&dry_run=true",
    ] {
        let request = admin.putting(&tenant("acme"), query);
        let answer = Answer::of(request.header("If-None-Match", "*")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(
            answer.body["errors"][0]["field"].is_string(),
            "{}",
            answer.body
        );
    }
    assert_eq!(admin.changes().await, 0);
}

/// What putting `tenant` would come to.
async fn foretell(admin: &Admin, tenant: &Value) -> Answer {
    let rehearse = |name, value| {
        let request = admin.putting(tenant, "?dry_run=true");
        Answer::of(request.header(name, value))
    };
    let answer = rehearse("If-Match", "*").await;
    if answer.status == StatusCode::PRECONDITION_FAILED {
        return rehearse("If-None-Match", "*").await;
    }
    answer
}

fn compare(foretold: &Answer, done: &Answer) {
    assert_eq!(
        (foretold.status, foretold.outcome(), foretold.header("etag")),
        (done.status, done.outcome(), done.header("etag"))
    );
    let without_times = |body: &Value| {
        let mut body = body.clone();
        body["created_at"] = Value::Null;
        body["updated_at"] = Value::Null;
        body
    };
    assert_eq!(without_times(&foretold.body), without_times(&done.body));
}

#[tokio::test]
async fn a_reload_can_be_rehearsed() {
    let admin = Admin::start().await;
    let reload = |query: &str| {
        let path = format!("/-/reload{query}");
        Answer::of(admin.request(Method::POST, &path))
    };
    let dry = reload("?dry_run=true").await;
    assert_eq!(dry.body["configuration"], "unchanged", "{}", dry.body);
    let level = admin.control.settings().log.level.clone();
    admin.write_config("admin: {token_file: admin.token}\nlog: {level: debug}\n");
    for _ in 0..2 {
        let dry = reload("?dry_run=true").await;
        assert_eq!(dry.body["configuration"], "changed", "{}", dry.body);
        assert_eq!(admin.control.settings().log.level, level);
    }
    assert_eq!(reload("").await.body["configuration"], "changed");
    assert_eq!(admin.control.settings().log.level, "debug");
    admin.write_config("admin: {token_file: admin.token}\nlog: {level: 7}\n");
    assert_problem(&reload("?dry_run=true").await, "malformed");
}
