//! Credentials towards backends: renewed in place, and missing.

use std::{fs, path::Path};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{READ, WRITE, asked};
use crate::support::{eventually, mirador::Mirador, tenant::Tenant, upstream::Upstream};

/// Acme, whose metrics ask for what is in `secret` and whose logs ask for nothing.
fn guarded(upstream: &Upstream, auth: &Value) -> Tenant {
    Tenant::new("acme")
        .everything(&[upstream.url()])
        .set("/deployments/metrics/auth", auth.clone())
}

fn bearer(secret: &Path) -> Value {
    json!({"bearer": {"token": {"file": secret}}})
}

/// The credentials that came with the last request.
fn last_credentials(upstream: &Upstream) -> Option<String> {
    let asked = upstream.asked();
    let last = asked.last().expect("a request");
    last.head.get("authorization").map(str::to_owned)
}

/// Waits until requests come with these credentials.
async fn until_presented(mirador: &Mirador, upstream: &Upstream, credentials: &str) {
    let presented = async || {
        assert_eq!(asked(mirador, "acme", READ).await.status(), 200);
        (last_credentials(upstream).as_deref() == Some(credentials)).then_some(())
    };
    eventually(credentials, presented).await;
}

#[tokio::test]
async fn a_renewed_secret_is_presented_once_the_router_is_told() {
    let upstream = Upstream::saying("fine");
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let mirador = Mirador::start().await;
    let basic = json!({"basic": {"username": "acme", "password": {"file": &secret}}});
    for (auth, path, old, new) in [
        (bearer(&secret), "/-/reload", "Bearer old", "Bearer new"),
        (
            basic,
            "/api/v1/tenants/acme/cache/invalidate",
            "Basic YWNtZTpvbGQ=",
            "Basic YWNtZTpuZXc=",
        ),
    ] {
        fs::write(&secret, "old\n").expect("a secret's file");
        mirador.apply(&guarded(&upstream, &auth)).await;
        for line in [READ, WRITE] {
            assert_eq!(asked(&mirador, "acme", line).await.status(), 200);
            assert_eq!(last_credentials(&upstream).as_deref(), Some(old), "{line}");
        }
        let logs = asked(&mirador, "acme", "GET /select/logsql/query?query=*").await;
        assert_eq!(logs.status(), 200);
        assert_eq!(
            last_credentials(&upstream),
            None,
            "they are for metrics only"
        );
        fs::write(&secret, "new\n").expect("a secret's file");
        let told = mirador.admin(Method::POST, path).send().await;
        assert!(told.expect("an answer").status().is_success(), "{path}");
        until_presented(&mirador, &upstream, new).await;
    }
}

#[tokio::test]
async fn a_missing_secret_stops_its_signal_only_and_until_it_is_there() {
    let upstream = Upstream::saying("fine");
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let mirador = Mirador::start().await;
    mirador.apply(&guarded(&upstream, &bearer(&secret))).await;
    for line in [READ, WRITE] {
        let reply = asked(&mirador, "acme", line).await;
        let text = reply.body.text();
        assert_eq!(reply.status(), 503, "{line}: {text}");
        assert_eq!(reply.head.get("retry-after"), Some("10"), "{line}");
        assert!(text.contains(r#""reason":"misconfigured""#), "{text}");
        let path = secret.display().to_string();
        assert!(
            !text.contains(&path),
            "where it is looked for is no client's business: {text}"
        );
    }
    assert!(
        upstream.asked().is_empty(),
        "nothing goes there without credentials"
    );
    let logs = asked(&mirador, "acme", "GET /select/logsql/query?query=*").await;
    assert_eq!(logs.status(), 200);
    let path = "/api/v1/tenants/acme/health";
    let reply = mirador
        .admin(Method::GET, path)
        .send()
        .await
        .expect("an answer");
    assert_eq!(reply.status(), StatusCode::OK);
    let told: Value = reply.json().await.expect("JSON");
    let fault = told["deployments"]["metrics"]["fault"].as_str();
    let name = secret.display().to_string();
    assert!(
        fault.is_some_and(|fault| fault.contains(&name)),
        "operators are told: {told}"
    );
    assert_eq!(told["deployments"]["logs"]["fault"], Value::Null, "{told}");
    // Nobody tells the router: it looks again by itself.
    fs::write(&secret, "there").expect("a secret's file");
    let healed = async || (asked(&mirador, "acme", READ).await.status() == 200).then_some(());
    eventually("the secret to be found", healed).await;
    assert_eq!(last_credentials(&upstream).as_deref(), Some("Bearer there"));
}
