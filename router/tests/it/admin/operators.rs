//! Who may use the admin API: tokens and client certificates.

use std::{fs, process::Command};

use reqwest::{Client, Method, StatusCode};
use serde_json::json;

use super::Answer;
use crate::support::{
    eventually,
    mirador::{Mirador, TOKEN, serve},
    port::Port,
    tls::{Authority, Identity, client_config},
};

/// A token of `mirador operator token`, and its hash.
fn new_token() -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mirador"))
        .args(["operator", "token"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a line").trim().to_owned()
    };
    (field("token:"), field("token_sha256:"))
}

#[tokio::test]
async fn operators_do_what_their_role_allows_under_their_own_name() {
    let (viewer, viewer_hash) = new_token();
    let (operator, operator_hash) = new_token();
    let mut mirador = Mirador::with(json!({"admin": {"operators": [
        {"name": "vera", "role": "viewer", "token_sha256": viewer_hash},
        {"name": "otto", "role": "operator", "token_sha256": operator_hash},
    ]}}))
    .await;
    let ask = async |mirador: &Mirador, token: &str, method: Method, path: &str| {
        let request = mirador.http.request(method, mirador.admin_url(path));
        let request = request.bearer_auth(token).header("If-None-Match", "*");
        Answer::of(request.json(&json!({"id": "acme"}))).await
    };
    let path = "/api/v1/tenants/acme";
    let refused = ask(&mirador, &viewer, Method::PUT, path).await;
    refused.assert_problem(403, "forbidden");
    let created = ask(&mirador, &operator, Method::PUT, path).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let reload = ask(&mirador, &operator, Method::POST, "/-/reload").await;
    reload.assert_problem(403, "forbidden");
    let reload = ask(&mirador, TOKEN, Method::POST, "/-/reload").await;
    assert_eq!(reload.status, StatusCode::OK);

    let audit = mirador.admin(Method::GET, "/api/v1/audit");
    let audit = Answer::of(audit).await.body;
    assert_eq!(audit["events"][0]["author"], "otto", "{audit}");
    let log = mirador.process.log();
    assert!(!log.contains(&viewer) && !log.contains(&operator));

    // A token that is no longer listed is nobody's, from the reload on.
    mirador.rewrite_config(json!({"admin": {"operators": []}}));
    let reload = ask(&mirador, TOKEN, Method::POST, "/-/reload").await;
    assert_eq!(reload.body["configuration"], "changed");
    let gone = ask(&mirador, &operator, Method::PUT, path).await;
    gone.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_address_that_fails_too_often_has_to_wait() {
    let mirador = Mirador::with(json!({"admin": {"max_failures_per_minute": 5}})).await;
    let guess = async |n: usize| {
        let request = mirador.http.get(mirador.admin_url("/api/v1/tenants"));
        Answer::of(request.bearer_auth(format!("guess-{n}"))).await
    };
    for n in 0..5 {
        guess(n).await.assert_problem(401, "unauthenticated");
    }
    let refused = guess(5).await;
    refused.assert_problem(429, "too-many-attempts");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=13).contains(&seconds), "{seconds}");
    let right = Answer::of(mirador.admin(Method::GET, "/api/v1/tenants")).await;
    right.assert_problem(429, "too-many-attempts");
}

#[tokio::test]
async fn a_client_certificate_names_an_operator() {
    let (authority, other) = (Authority::new(), Authority::new());
    let shown = authority.issue("127.0.0.1");
    let folder = tempfile::tempdir().expect("a folder");
    let (public, admin) = (Port::take(), Port::take());
    let config = json!({
        "listen": {"public": public.address().to_string(), "admin": admin.address().to_string()},
        "store": {"path": "mirador.db"},
        "admin": {
            "tls": {
                "cert_file": shown.cert_file,
                "key_file": shown.key_file,
                "client_ca_file": authority.ca_file(),
            },
            "operators": [
                {"name": "ci", "role": "operator", "certificate": {"san": "spiffe://acme/ci"}},
                {"name": "vera", "role": "viewer", "certificate": {"common_name": "vera"}},
            ],
        },
    });
    fs::write(folder.path().join("mirador.yaml"), config.to_string()).expect("written");
    let _router = serve(folder.path());
    let url = |path: &str| format!("https://{}{path}", admin.address());
    let anonymous = client(&authority, None);
    eventually("the router to be ready", async || {
        let answer = anonymous.get(url("/readyz")).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;

    let create = async |client: &Client| {
        let request = client.post(url("/api/v1/tenants"));
        Answer::of(request.json(&json!({"id": "acme"}))).await
    };
    let holder = |issuer: &Authority, name: &str, uri: &str| {
        client(&authority, Some(&issuer.issue_to(name, uri)))
    };
    create(&anonymous)
        .await
        .assert_problem(401, "unauthenticated");
    let vera = holder(&authority, "vera", "spiffe://acme/vera");
    create(&vera).await.assert_problem(403, "forbidden");
    let nobody = holder(&authority, "nobody", "spiffe://acme/ci/x");
    create(&nobody).await.assert_problem(401, "unauthenticated");
    let ci = holder(&authority, "anything", "spiffe://acme/ci");
    assert_eq!(create(&ci).await.status, StatusCode::CREATED);
    // A token that is wrong is not made good by a certificate.
    let both = ci.get(url("/api/v1/tenants")).bearer_auth("wrong");
    Answer::of(both)
        .await
        .assert_problem(401, "unauthenticated");
    let audit = Answer::of(vera.get(url("/api/v1/audit"))).await.body;
    assert_eq!(audit["events"][0]["author"], "ci", "{audit}");
    // Another authority's certificate does not even get a connection.
    let stranger = holder(&other, "ci", "spiffe://acme/ci");
    assert!(stranger.get(url("/api/v1/tenants")).send().await.is_err());
}

fn client(authority: &Authority, identity: Option<&Identity>) -> Client {
    Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(client_config(authority, identity))
        .build()
        .expect("a client")
}
