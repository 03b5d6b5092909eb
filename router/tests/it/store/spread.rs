//! What one router changes of tiers and keys, as another on the same store sees it.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{READ, asked};
use crate::support::{
    acme::request, client::ask, eventually, mirador::Mirador, tenant::Tenant, upstream::Upstream,
};

/// A tier and a key that are made at one router hold at the other; a key that is revoked is refused
/// there within `bound`. Both take API keys, by one secret.
pub(super) async fn keys_and_tiers_hold(here: &Mirador, there: &Mirador, bound: Duration) {
    let upstream = Upstream::saying("fine");
    let tier = json!({"name": "gold", "features": {"exports": false}});
    let put = here.admin(Method::PUT, "/api/v1/tiers/gold").json(&tier);
    let put = put.header("If-None-Match", "*").send().await;
    let put = put.expect("an answer");
    let status = put.status();
    let told = put.text().await;
    assert_eq!(status, StatusCode::CREATED, "{told:?}");
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    here.apply(&acme.set("/tier", "gold")).await;
    let served = async || (asked(there, "acme", READ).await.status() == 200).then_some(());
    eventually("the tenant there", served).await;
    let refused = async || {
        let reply = asked(there, "acme", "GET /api/v1/export?match[]=up").await;
        (reply.status() == 403).then_some(())
    };
    eventually("exports to be off", refused).await;

    let made = here.admin(Method::POST, "/api/v1/tenants/acme/keys");
    let made = made.json(&json!({"name": "agents", "scopes": ["metrics:read"]}));
    let made = made.send().await.expect("an answer");
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().await.expect("JSON");
    let token = made["token"].as_str().expect("a token");
    until_key_gets(here, token, 200).await;
    until_key_gets(there, token, 200).await;

    let id = made["id"].as_str().expect("an id");
    let path = format!("/api/v1/tenants/acme/keys/{id}/revoke");
    let revoked = here.admin(Method::POST, &path).header("If-Match", "*");
    let revoked = revoked.send().await.expect("an answer");
    assert!(revoked.status().is_success(), "{revoked:?}");
    let began = Instant::now();
    until_key_gets(there, token, 401).await;
    let took = began.elapsed();
    assert!(took < bound, "{took:?}");
}

async fn until_key_gets(mirador: &Mirador, token: &str, status: u16) {
    let headers = format!("Authorization: Bearer {token}\r\n");
    let fits = async || {
        let reply = ask(mirador.address(), request(READ, &headers, "")).await;
        (reply.expect("an answer").status() == status).then_some(())
    };
    eventually(&format!("a key to get {status}"), fits).await;
}
