//! What is in the store outlives a router, and is there for every router that uses it.

use std::{fs, time::Duration};

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{READ, asked, spread::keys_and_tiers_hold};
use crate::support::{eventually, mirador::Mirador, tenant::Tenant, upstream::Upstream};

/// Waits until a tenant's read gets this status.
async fn until_status(mirador: &Mirador, tenant: &str, status: u16) {
    let what = format!("{tenant} to get {status}");
    let fits = async || (asked(mirador, tenant, READ).await.status() == status).then_some(());
    eventually(&what, fits).await;
}

#[tokio::test]
async fn a_router_that_was_killed_serves_its_tenants_as_soon_as_it_is_ready() {
    let upstream = Upstream::saying("fine");
    let mut mirador = Mirador::start().await;
    for nth in 0..20 {
        let tenant = Tenant::new(&format!("tenant-{nth}")).metrics(&[upstream.url()]);
        let status = if nth % 2 == 0 { "active" } else { "suspended" };
        mirador.apply(&tenant.set("/status", status)).await;
    }
    // In the same moment as the last change was answered.
    mirador.restart().await;
    for nth in 0..20 {
        let expected = if nth % 2 == 0 { 200 } else { 403 };
        let reply = asked(&mirador, &format!("tenant-{nth}"), READ).await;
        assert_eq!(reply.status(), expected, "tenant-{nth}: {reply:?}");
    }
    assert_eq!(upstream.asked().len(), 10);
}

#[tokio::test]
async fn what_one_router_changes_takes_effect_at_the_other() {
    let (old, new) = (Upstream::saying("old"), Upstream::saying("new"));
    let first = Mirador::start().await;
    let path = first.folder().join("mirador.db");
    let second = Mirador::with(json!({"store": {"path": path}})).await;
    // Believed to be unknown there, until the store tells otherwise.
    assert_eq!(asked(&second, "acme", READ).await.status(), 403);

    let acme = Tenant::new("acme").metrics(&[old.url()]);
    first.apply(&acme).await;
    until_status(&second, "acme", 200).await;
    second
        .apply(&acme.clone().set("/status", "suspended"))
        .await;
    until_status(&first, "acme", 403).await;
    first
        .apply(&Tenant::new("acme").metrics(&[new.url()]))
        .await;
    until_status(&second, "acme", 200).await;
    assert_eq!(asked(&second, "acme", READ).await.body.text(), "new");
    let path = "/api/v1/tenants/acme";
    let deleted = second
        .admin(Method::DELETE, path)
        .header("If-Match", "*")
        .send()
        .await;
    assert_eq!(deleted.expect("an answer").status(), StatusCode::OK);
    until_status(&first, "acme", 403).await;
    let seen = first.admin(Method::GET, path).send().await;
    assert_eq!(seen.expect("an answer").status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn keys_and_tiers_of_one_router_hold_at_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, "a-secret-of-the-tests-that-is-long-enough").expect("a file");
    let router = async || {
        Mirador::with(json!({
            "store": {"path": folder.path().join("mirador.db")},
            "identify": {"sources": ["header", "api_key"]},
            "keys": {"secret_file": secret},
        }))
        .await
    };
    let (here, there) = (router().await, router().await);
    keys_and_tiers_hold(&here, &there, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn tenant_files_are_applied_at_every_start() {
    let upstream = Upstream::saying("fine");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |id: &str, status: &str| {
        let tenant = Tenant::new(id).metrics(&[upstream.url()]);
        let text = tenant.set("/status", status).document().to_string();
        fs::write(folder.path().join(format!("{id}.json")), text).expect("a tenant's file");
    };
    write("acme", "active");
    write("globex", "suspended");
    let mut mirador = Mirador::with(json!({"tenants": [folder.path()]})).await;
    assert_eq!(asked(&mirador, "acme", READ).await.status(), 200);
    assert_eq!(asked(&mirador, "globex", READ).await.status(), 403);
    write("globex", "active");
    mirador.restart().await;
    assert_eq!(asked(&mirador, "acme", READ).await.status(), 200);
    assert_eq!(asked(&mirador, "globex", READ).await.status(), 200);
    // A file that goes takes no tenant with it.
    fs::remove_file(folder.path().join("acme.json")).expect("a file to remove");
    mirador.restart().await;
    assert_eq!(asked(&mirador, "acme", READ).await.status(), 200);
}
