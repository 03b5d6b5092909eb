//! API keys that end: revoked, deleted, replaced, expired, on this router and on others.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::{QUERY, World, bearer};
use crate::support::{
    acme::request,
    client::RawClient,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Step, Upstream, send},
    wire::End,
};

#[tokio::test]
async fn a_key_that_is_replaced_is_taken_until_the_overlap_is_over() {
    let world = World::new(json!({})).await;
    let old = world.key("acme", json!({})).await;
    let began = Instant::now();
    let overlap = Duration::from_secs(3);
    let new = world.change(Method::POST, &old, "/rotate?overlap=3s").await;
    let new = bearer(new["token"].as_str().expect("a token"));
    let old = bearer(&old.token);
    let status = async |headers: &str| world.ask(headers).await.status();
    assert_eq!((status(&old).await, status(&new).await), (200, 200));
    eventually("the overlap's end", async || {
        let status = status(&old).await;
        assert!(status == 200 || began.elapsed() >= overlap, "too early");
        (status == 401).then_some(())
    })
    .await;
    let told = world.ask(&old).await.body.text();
    assert!(told.contains("replaced by another"), "{told}");
    assert_eq!(status(&new).await, 200, "its successor goes on");
}

#[tokio::test]
async fn a_key_that_ends_opens_nothing_from_then_on() {
    let world = World::new(json!({})).await;
    let (revoked, deleted) = (
        world.key("acme", json!({})).await,
        world.key("acme", json!({})).await,
    );
    let soon = jiff::Timestamp::now() + Duration::from_secs(2);
    let expiring = world
        .key("acme", json!({"expires_at": soon.to_string()}))
        .await;
    let rotated = world.key("acme", json!({})).await;
    // Each has been used on every connection there is.
    for key in [&revoked, &deleted, &expiring, &rotated] {
        assert_eq!(world.ask(&bearer(&key.token)).await.status(), 200);
    }
    world.change(Method::POST, &revoked, "/revoke").await;
    assert_eq!(world.ask(&bearer(&revoked.token)).await.status(), 401);
    world.change(Method::DELETE, &deleted, "").await;
    assert_eq!(world.ask(&bearer(&deleted.token)).await.status(), 401);
    let successor = world
        .change(Method::POST, &rotated, "/rotate?overlap=1h")
        .await;
    let successor = successor["token"].as_str().expect("a token");
    assert_eq!(world.ask(&bearer(successor)).await.status(), 200);
    assert_eq!(world.ask(&bearer(&rotated.token)).await.status(), 200);
    eventually("the key's end", async || {
        let status = world.ask(&bearer(&expiring.token)).await.status();
        assert!(status == 200 || jiff::Timestamp::now() >= soon, "too early");
        (status == 401).then_some(())
    })
    .await;
    let late = jiff::Timestamp::now().duration_since(soon);
    assert!(late.as_secs() < 5, "{late}");
    // With the tenant, its keys end.
    let path = "/api/v1/tenants/acme";
    let gone = world
        .mirador
        .admin(Method::DELETE, path)
        .header("If-Match", "*");
    assert!(gone.send().await.expect("an answer").status().is_success());
    assert_ne!(world.ask(&bearer(&rotated.token)).await.status(), 200);
}

/// Another router on the same store learns of it within the bound that is stated for tenants.
#[tokio::test]
async fn a_key_that_is_revoked_elsewhere_opens_nothing_within_the_bound_of_suspensions() {
    let mut world = World::new(json!({})).await;
    let key = world.key("acme", json!({})).await;
    let other = world.another().await;
    let ask = async |mirador: &Mirador| {
        let mut client = RawClient::connect(mirador.address()).await;
        client.send(request(QUERY, &bearer(&key.token), "")).await;
        client.reply().await.expect("a reply").status()
    };
    eventually("the other router to know the key", async || {
        (ask(&other).await == 200).then_some(())
    })
    .await;
    world.change(Method::POST, &key, "/revoke").await;
    let revoked = Instant::now();
    eventually("the other router to refuse it", async || {
        (ask(&other).await == 401).then_some(())
    })
    .await;
    let took = revoked.elapsed();
    eprintln!("a revocation took {took:?} to reach the other router");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // Keys survive a restart.
    let still = world.key("acme", json!({})).await;
    world.mirador.restart().await;
    assert_eq!(world.ask(&bearer(&still.token)).await.status(), 200);
    assert_eq!(world.ask(&bearer(&key.token)).await.status(), 401);
}

#[tokio::test]
async fn what_runs_by_a_key_that_is_revoked_ends_as_with_a_suspended_tenant() {
    let world = World::new(json!({})).await;
    // A live tail that goes on in silence, and a backend that does not answer.
    let upstream = Upstream::start(|asked| {
        if !asked.target().starts_with("/select/logsql/tail") {
            return vec![Step::Hang];
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n";
        vec![send(head), Step::Hang]
    });
    let acme = Tenant::new("acme").everything(&[upstream.url()]);
    world.mirador.apply(&acme).await;
    let scopes = json!({"scopes": ["metrics:read", "logs:read"]});
    let (key, other) = (
        world.key("acme", scopes.clone()).await,
        world.key("acme", scopes).await,
    );
    let begin = async |line: &str, token: &str| {
        let mut client = RawClient::connect(world.mirador.address()).await;
        client.send(request(line, &bearer(token), "")).await;
        client
    };
    let tail = "GET /select/logsql/tail?query=*";
    let (mut tailing, mut going_on) = (
        begin(tail, &key.token).await,
        begin(tail, &other.token).await,
    );
    let head = tailing.head().await.expect("a head");
    let other_head = going_on.head().await.expect("a head");
    let mut waiting = begin(QUERY, &key.token).await;
    upstream.until_asked(3).await;
    world.change(Method::POST, &key, "/revoke").await;
    let revoked = Instant::now();
    let reply = waiting.reply().await.expect("a reply");
    assert_eq!(reply.status(), 403, "{}", reply.body.text());
    assert!(reply.body.text().contains("\"withdrawn\""), "{reply:?}");
    let body = tailing.body(&head).await;
    assert_eq!((body.text(), body.end), ("line\n".into(), End::Fin));
    let took = revoked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    upstream.until_abandoned(2).await;
    // Who has another key does not suffer.
    let still = tokio::time::timeout(Duration::from_secs(1), going_on.body(&other_head)).await;
    assert!(still.is_err(), "{still:?}");
}
