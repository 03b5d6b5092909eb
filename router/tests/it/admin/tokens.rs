//! Operators by the tokens of an issuer.

use std::{
    fs,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, changes};
use crate::support::{
    eventually,
    login::publisher,
    mirador::{Mirador, TOKEN},
    signer::{Signer, encode, jwks, unsigned},
};

const ISSUER: &str = "https://login.example.com";

/// A router that takes an issuer's word for who its operators are.
struct World {
    mirador: Mirador,
    /// The issuer's keys are there.
    _folder: TempDir,
}

impl World {
    async fn new(signers: &[&Signer], more: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.json");
        fs::write(&file, jwks(signers).to_string()).expect("a file");
        let mut admin = json!({"jwt": issuer(&json!({"jwks_file": file}))});
        for (name, value) in more.as_object().into_iter().flatten() {
            admin[name] = value.clone();
        }
        let mirador = Mirador::with(json!({"admin": admin, "log": {"level": "debug"}})).await;
        let world = Self {
            mirador,
            _folder: folder,
        };
        let token = signers[0].token(&claims("obs-viewers"));
        eventually("the keys to be read", async || {
            (world.list(&token).await.status == StatusCode::OK).then_some(())
        })
        .await;
        world
    }

    async fn ask(&self, token: &str, method: Method, path: &str) -> Answer {
        let http = &self.mirador.http;
        let request = http.request(method, self.mirador.admin_url(path));
        let request = request.bearer_auth(token).header("If-None-Match", "*");
        Answer::of(request.json(&json!({"id": "acme"}))).await
    }

    async fn list(&self, token: &str) -> Answer {
        let request = self.mirador.http.get(self.mirador.admin_url(TENANTS));
        Answer::of(request.bearer_auth(token)).await
    }
}

const TENANTS: &str = "/api/v1/tenants";
const ACME: &str = "/api/v1/tenants/acme";

/// The issuer as the configuration has it, with its keys somewhere.
fn issuer(more: &Value) -> Value {
    let mut issuer = json!({
        "issuer": ISSUER, "audiences": ["mirador-admin"], "name_claim": "email",
        "role_claim": "realm_access.roles",
        "roles": {"obs-admins": "admin", "obs-editors": "operator", "obs-viewers": "viewer"},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        issuer[name] = value.clone();
    }
    issuer
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time").as_secs()
}

fn claims(roles: impl Into<Value>) -> Value {
    json!({
        "iss": ISSUER, "aud": ["account", "mirador-admin"], "sub": "4f5e", "exp": now() + 600,
        "email": "otto@example.com", "realm_access": {"roles": roles.into()},
    })
}

/// An admin's claims with one of them changed; a null takes it away.
fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims("obs-admins");
    claims[name] = value.into();
    claims
}

#[tokio::test]
async fn a_token_shows_an_operator_with_the_role_that_its_claim_says() {
    let signer = Signer::new("ES256", "a");
    let mut world = World::new(&[&signer], json!({})).await;
    let viewer = signer.token(&claims(json!(["offline_access", "obs-viewers"])));
    let editor = signer.token(&claims(json!(["obs-viewers", "obs-editors"])));
    let admin = signer.token(&claims("obs-admins"));

    let refused = world.ask(&viewer, Method::PUT, ACME).await;
    refused.assert_problem(403, "forbidden");
    let detail = refused.body["detail"].as_str().expect("a text");
    let told = format!("otto@example.com ({ISSUER}) is viewer, and this needs operator");
    assert_eq!(detail, told);
    assert_eq!(changes(&world.mirador).await, 0);
    let created = world.ask(&editor, Method::PUT, ACME).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    let reload = world.ask(&editor, Method::POST, "/-/reload").await;
    reload.assert_problem(403, "forbidden");
    let reload = world.ask(&admin, Method::POST, "/-/reload").await;
    assert_eq!(reload.status, StatusCode::OK, "{}", reload.body);

    let audit = Answer::of(world.mirador.admin(Method::GET, "/api/v1/audit")).await;
    let author = &audit.body["events"][0]["author"];
    assert_eq!(*author, format!("otto@example.com ({ISSUER})"));
    // The one admin token goes on beside them, and nothing of a token is ever logged.
    assert_eq!(world.list(TOKEN).await.status, StatusCode::OK);
    let log = world.mirador.process.log();
    for part in editor.split('.') {
        assert!(!log.contains(part), "{log}");
    }
    // An issuer that is no longer believed shows nobody, from the reload on.
    world.mirador.rewrite_config(json!({"admin": {"jwt": []}}));
    let reload = world.ask(&admin, Method::POST, "/-/reload").await;
    assert_eq!(reload.body["configuration"], "changed");
    let gone = world.list(&viewer).await;
    gone.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_claim_that_only_looks_like_a_role_entitles_to_nothing() {
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({"max_failures_per_minute": 3})).await;
    for roles in [
        json!("obs-admins2"),
        json!("xobs-admins"),
        json!("OBS-ADMINS"),
        json!("obs-admins obs-editors"),
        json!("obs-admins,obs-editors"),
        json!("admin"),
        json!("*"),
        json!(["obs-.*"]),
        json!([]),
        json!([["obs-admins"]]),
        json!(["obs-admins", 1]),
        json!({"obs-admins": true}),
        Value::Null,
    ] {
        let token = signer.token(&claims(roles.clone()));
        let refused = world.ask(&token, Method::PUT, ACME).await;
        refused.assert_problem(403, "forbidden");
        let detail = refused.body["detail"].as_str().expect("a text");
        assert!(detail.contains("realm_access.roles"), "{roles}: {detail}");
    }
    // Whom no audit could tell from another is no operator.
    for email in [
        Value::Null,
        json!(""),
        json!("otto smith"),
        json!(format!("admin-token\n({ISSUER})")),
        json!(["otto"]),
        json!("a".repeat(129)),
    ] {
        let refused = world
            .ask(
                &signer.token(&with("email", email.clone())),
                Method::PUT,
                ACME,
            )
            .await;
        refused.assert_problem(403, "forbidden");
        let detail = refused.body["detail"].as_str().expect("a text");
        assert!(detail.contains("the claim email"), "{email}: {detail}");
    }
    assert_eq!(changes(&world.mirador).await, 0);
}

/// Whoever sends these tokens is told what is wrong with them, and changes nothing.
async fn assert_refused(world: &World, cases: Vec<(String, &str)>) {
    for (token, fault) in cases {
        let refused = world.ask(&token, Method::PUT, ACME).await;
        refused.assert_problem(401, "unauthenticated");
        let found = refused.body["detail"].as_str().expect("a text");
        let told = found.strip_prefix("the token is not believed: ");
        assert!(
            told.is_some_and(|told| told.starts_with(fault)),
            "{found:?} is not {fault:?}"
        );
        let challenge = refused.header("www-authenticate");
        assert_eq!(
            challenge,
            r#"Bearer realm="mirador admin", error="invalid_token""#
        );
    }
    assert_eq!(changes(&world.mirador).await, 0);
}

#[tokio::test]
async fn a_token_that_its_issuer_did_not_sign_is_refused() {
    let (signer, stranger) = (Signer::new("RS256", "a"), Signer::new("ES256", "a"));
    let ec = Signer::new("ES256", "ec");
    let world = World::new(&[&signer, &ec], json!({"max_failures_per_minute": 10_000})).await;
    let admin = claims("obs-admins");
    let good = signer.token(&admin);
    let (message, signature) = good.rsplit_once('.').expect("parts");
    let none = unsigned(&json!({"alg": "none"}), &admin);
    // The public key taken for a shared secret.
    let shared = unsigned(&json!({"alg": "HS256", "kid": "a"}), &admin);
    let modulus = signer.jwk()["n"].as_str().expect("a number").to_owned();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, modulus.as_bytes());
    let tag = encode(hmac::sign(&secret, shared.as_bytes()).as_ref());
    let confused = ec.token_with(&json!({"alg": "ES256", "kid": "a"}), &admin);
    let unknown = signer.token_with(&json!({"alg": "RS256", "kid": "b"}), &admin);
    let cases = vec![
        (format!("{none}."), "it is not signed by an algorithm"),
        (
            format!("{none}.{signature}"),
            "it is not signed by an algorithm",
        ),
        (
            format!("{shared}.{tag}"),
            "it is not signed by an algorithm",
        ),
        (format!("{message}."), "its signature"),
        (stranger.token(&admin), "the issuer has no key of this id"),
        (confused, "the issuer has no key of this id"),
        (unknown, "the issuer has no key of this id"),
        (
            format!("{good}{}", "A".repeat(20 << 10)),
            "it is longer than",
        ),
    ];
    assert_refused(&world, cases).await;
    for token in ["abc", "a.b.c", "", ".."] {
        let refused = world.ask(token, Method::PUT, ACME).await;
        refused.assert_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_token_of_another_time_or_for_somebody_else_is_refused() {
    let signer = Signer::new("EdDSA", "a");
    let world = World::new(&[&signer], json!({"max_failures_per_minute": 10_000})).await;
    let cases = [
        ("exp", json!(now() - 31), "it has expired"),
        ("exp", Value::Null, "it does not say in exp"),
        ("nbf", json!(now() + 90), "it is not valid yet"),
        // One that was made for clients of the router, not for its operators.
        ("aud", json!("mirador"), "it is not meant for this audience"),
        (
            "aud",
            json!("mirador-admin2"),
            "it is not meant for this audience",
        ),
        ("aud", Value::Null, "it is not meant for this audience"),
        (
            "iss",
            json!("https://login.example.com.evil.test"),
            "its issuer is not accepted here",
        ),
    ];
    let tokens = cases.map(|(name, value, fault)| (signer.token(&with(name, value)), fault));
    assert_refused(&world, tokens.into()).await;
    // A clock that is a little late is forgiven.
    let late = signer.token(&with("exp", now() - 10));
    assert_eq!(world.list(&late).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_issuer_that_is_down_refuses_nobody_whose_key_is_known() {
    let (old, new) = (Signer::new("ES384", "old"), Signer::new("PS256", "new"));
    let keys = Arc::new(Mutex::new(json!({"keys": []})));
    let mut login = publisher(&keys);
    let jwt = issuer(&json!({
        "issuer": login.url(), "refresh_interval": "1h", "refresh_cooldown": "100ms",
    }));
    let mirador =
        Mirador::with(json!({"admin": {"jwt": jwt, "max_failures_per_minute": 500}})).await;
    let url = login.url();
    let list = async |signer: &Signer| {
        let token = signer.token(&with("iss", url.clone()));
        let request = mirador.http.get(mirador.admin_url(TENANTS));
        Answer::of(request.bearer_auth(token)).await
    };
    // Nobody's fault: there are no keys to tell by.
    let unknown = list(&old).await;
    unknown.assert_problem(503, "unavailable");
    assert_eq!(unknown.header("retry-after"), "1");
    let known = Answer::of(mirador.admin(Method::GET, TENANTS)).await;
    assert_eq!(
        known.status,
        StatusCode::OK,
        "the admin token needs no issuer"
    );
    for (published, newest) in [(vec![&old], &old), (vec![&old, &new], &new)] {
        *keys.lock() = jwks(&published);
        eventually("the keys to be read", async || {
            (list(newest).await.status == StatusCode::OK).then_some(())
        })
        .await;
    }
    *keys.lock() = jwks(&[&new]);
    // A key that was taken back is believed until the keys are read again, which a key that is
    // unknown makes the router do.
    let stranger = Signer::new("EdDSA", "stranger");
    eventually("the old key to be forgotten", async || {
        assert_eq!(list(&stranger).await.status, StatusCode::UNAUTHORIZED);
        (list(&old).await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    login.stop().await;
    assert_eq!(list(&new).await.status, StatusCode::OK);
}

#[tokio::test]
async fn guessing_tokens_has_an_end() {
    let (signer, stranger) = (Signer::new("EdDSA", "a"), Signer::new("EdDSA", "a"));
    let world = World::new(&[&signer], json!({"max_failures_per_minute": 5})).await;
    let forged = stranger.token(&claims("obs-admins"));
    for _ in 0..5 {
        world
            .list(&forged)
            .await
            .assert_problem(401, "unauthenticated");
    }
    let refused = world.list(&forged).await;
    refused.assert_problem(429, "too-many-attempts");
    let right = world.list(&signer.token(&claims("obs-admins"))).await;
    right.assert_problem(429, "too-many-attempts");
}
