//! The one page that anybody may see, where it is switched on.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{assert_at_home_and_quiet, ids, until_first};
use crate::support::{
    browser::Browser, mirador::Mirador, port::Port, tenant::Tenant, upstream::Upstream,
};

#[tokio::test]
async fn anybody_sees_who_is_how_and_nothing_else() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let mirador = Mirador::with(json!({"health": {"public_page": true}})).await;
    let acme = Tenant::new("acme").set("/display_name", "ACME Corp");
    mirador.apply(&acme.metrics(&[upstream.url()])).await;
    mirador
        .apply(&Tenant::new("initech").logs(&[dead.url()]))
        .await;
    let probe = mirador.http.get(mirador.url("/health")).send().await;
    let probe = probe.expect("an answer").text().await.expect("a body");
    assert_eq!(probe, "OK");

    let mut browser = Browser::start().await;
    let led = browser.open(&mirador.url("/health")).await;
    assert_eq!(led, mirador.url("/health/tenants"));
    // Looks again by itself, every ten seconds.
    until_first(&mut browser, &["initech", "acme"]).await;
    let page = browser.text("body").await;
    assert!(
        page.contains("unhealthy") && page.contains("ACME Corp"),
        "{page}"
    );
    let html = browser.evaluate("document.documentElement.outerHTML").await;
    let html = html.as_str().expect("a text");
    for secret in [
        "127.0.0.1:",
        "/health/router",
        "/health/login",
        "refused",
        "/api/",
    ] {
        assert!(!html.contains(secret), "{secret} in {html}");
    }
    assert_at_home_and_quiet(&mut browser, &mirador.url("/")).await;

    let written = mirador.http.post(mirador.url("/health/tenants")).send();
    let written = written.await.expect("an answer");
    assert_eq!(written.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(written.headers()["allow"], "GET, HEAD");

    // Operators' pages are not here, whoever asks.
    let mine = mirador.request(Method::GET, "acme", "/health/router");
    let mine = mine.send().await.expect("an answer");
    assert_eq!(
        mine.text().await.expect("a body"),
        "fine",
        "the tenant's own path"
    );
}

#[tokio::test]
async fn it_is_off_unless_it_is_switched_on_and_can_be_while_running() {
    let mut mirador = Mirador::start().await;
    let upstream = Upstream::saying("fine");
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    let ask = async |mirador: &Mirador| {
        let request = mirador.http.get(mirador.url("/health/tenants"));
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a body"))
    };
    let (status, text) = ask(&mirador).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("no tenant named"), "{text}");
    for path in ["/health/tenants", "/health/assets/v/mirador.css"] {
        let theirs = mirador.request(Method::GET, "acme", path).send().await;
        let theirs = theirs.expect("an answer").text().await;
        assert_eq!(theirs.expect("a body"), "fine", "{path}");
    }
    mirador.rewrite_config(json!({"health": {"public_page": true}}));
    let reload = mirador.admin(Method::POST, "/-/reload").send().await;
    assert_eq!(reload.expect("an answer").status(), StatusCode::OK);
    crate::support::eventually("the page", async || {
        let (status, text) = ask(&mirador).await;
        (status == StatusCode::OK && text.contains("acme")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_scripts_it_is_the_same_page() {
    let upstream = Upstream::saying("fine");
    let mirador = Mirador::with(json!({"health": {"public_page": true}})).await;
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    let mut browser = Browser::without_scripts().await;
    browser.open(&mirador.url("/health/tenants")).await;
    assert_eq!(ids(&mut browser).await, ["acme"]);
}
