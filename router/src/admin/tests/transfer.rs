//! Tenants from one installation to another.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::refusals::assert_problem;
use crate::admin::testing::{Admin, Answer, acme, tenant};

fn import(admin: &Admin, query: &str, yaml: &str) -> RequestBuilder {
    admin
        .request(Method::POST, &format!("/api/v1/import{query}"))
        .header("Content-Type", "application/yaml")
        .body(yaml.to_owned())
}

async fn export(admin: &Admin, path: &str) -> String {
    let answer = admin.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/yaml");
    answer.body.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn what_is_exported_applies_cleanly_elsewhere() {
    let (here, there) = (Admin::start().await, Admin::start().await);
    let mut odd = acme();
    odd["display_name"] = json!("yes: \"#\" ü 🚀");
    odd["deployments"]["metrics"]["auth"] =
        json!({"bearer": {"token": {"file": "/etc/mirador/acme"}}});
    here.put(&odd).await;
    for n in 0..450 {
        here.put(&tenant(&format!("t{n:03}"))).await;
    }
    here.put(&tenant("gone")).await;
    here.delete("gone").await;

    let yaml = export(&here, "/api/v1/export").await;
    let report = Answer::of(import(&there, "", &yaml)).await;
    assert_eq!(report.status, StatusCode::OK, "{}", report.body);
    assert_eq!(
        (&report.body["created"], &report.body["failed"]),
        (&json!(451), &json!(0))
    );
    let read = |record: &Value| {
        let mut record = record.clone();
        for stored in ["revision", "created_at", "updated_at"] {
            record[stored] = Value::Null;
        }
        record
    };
    let (one, other) = (
        here.get("/api/v1/tenants/acme").await,
        there.get("/api/v1/tenants/acme").await,
    );
    assert_eq!(read(&one.body), read(&other.body));
    assert_eq!(export(&there, "/api/v1/export").await, yaml);

    let alone = export(&here, "/api/v1/tenants/acme/export").await;
    let again = Answer::of(import(&there, "", &alone)).await;
    assert_eq!(again.body["unchanged"], 1, "{}", again.body);
}

#[tokio::test]
async fn tenants_that_are_there_stay_unless_they_are_to_be_replaced() {
    let admin = Admin::start().await;
    admin.put(&acme()).await;
    let yaml = "id: acme\ntier: free\n---\nid: globex\n";
    let before = admin.state().await;
    let dry = Answer::of(import(&admin, "?dry_run=true", yaml)).await.body;
    assert_eq!(admin.state().await, before);
    assert_eq!(dry["dry_run"], true);

    let failed = Answer::of(import(&admin, "", yaml)).await.body;
    let mut foretold = dry;
    foretold["dry_run"] = json!(false);
    assert_eq!(foretold, failed);
    assert_eq!(
        (&failed["failed"], &failed["created"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(failed["tenants"][0]["outcome"], "failed");
    assert!(failed["tenants"][0]["error"].is_string(), "{failed}");
    assert_eq!(admin.get("/api/v1/tenants/acme").await.body["tier"], "pro");

    let skipped = Answer::of(import(&admin, "?existing=skip", yaml))
        .await
        .body;
    assert_eq!(
        (&skipped["skipped"], &skipped["unchanged"]),
        (&json!(1), &json!(1))
    );
    let replaced = Answer::of(import(&admin, "?existing=replace", yaml))
        .await
        .body;
    assert_eq!(
        (&replaced["updated"], &replaced["tenants"][0]["revision"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(admin.get("/api/v1/tenants/acme").await.body["tier"], "free");
}

#[tokio::test]
async fn a_faulty_import_is_refused_whole() {
    let admin = Admin::start().await;
    let before = admin.state().await;
    for (query, yaml) in [
        ("", "id: acme\n---\nid: globex\nstatus: asleep\n"),
        ("", "id: acme\n---\nid: acme\n"),
        ("", "id: acme\n---\nid: globex\nstatus: deleted\n"),
        (
            "",
            "id: acme\ndeployments: {logs: {endpoints: ['http://a'], tls: {ca_file: ca.pem}}}\n",
        ),
        ("", ""),
        ("", "{"),
        ("?existing=perhaps", "id: acme\n"),
        ("?dryrun=true", "id: acme\n"),
    ] {
        let answer = Answer::of(import(&admin, query, yaml)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query} {yaml}");
        assert_problem(&answer, "malformed");
        assert!(answer.body["errors"][0]["field"].is_string());
    }
    let large = "# ".to_owned() + &"x".repeat(33 << 20);
    let answer = Answer::of(import(&admin, "", &large)).await;
    assert_problem(&answer, "too-large");
    assert_eq!(admin.state().await, before);
}
