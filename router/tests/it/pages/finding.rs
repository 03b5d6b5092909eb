//! Finding the tenants that are meant: by condition, tier and signal, and what operators set.

use reqwest::Method;
use serde_json::json;

use super::{SAME_PAGE, log_in, mark, until_first};
use crate::support::{
    browser::Browser, mirador::Mirador, port::Port, tenant::Tenant, upstream::Upstream,
};

/// One tenant in each condition, of several tiers and signals.
async fn one_of_each(upstream: &Upstream, dead: &Port) -> Mirador {
    let mirador = Mirador::start().await;
    let live = [upstream.url()];
    let tenants = [
        Tenant::new("acme").metrics(&live).set("/tier", "pro"),
        Tenant::new("globex")
            .logs(&[dead.url(), upstream.url()])
            .set("/tier", "enterprise"),
        Tenant::new("hooli")
            .metrics(&[dead.url()])
            .set("/status", "suspended"),
        Tenant::new("initech").traces(&[dead.url()]),
        Tenant::new("wayne")
            .metrics(&live)
            .set("/tier", "pro")
            .set("/maintenance", json!({"reason": "new disks"})),
        Tenant::new("zeta"),
    ];
    for tenant in &tenants {
        mirador.apply(tenant).await;
    }
    mirador
}

/// Worst first, those that are switched off last.
const ALL: [&str; 6] = ["initech", "globex", "wayne", "zeta", "acme", "hooli"];

async fn until_only(browser: &mut Browser, expected: &[&str]) {
    let count = expected.len();
    let few = format!("document.querySelectorAll('tbody[data-rows] tr').length === {count}");
    browser.until(&format!("only {expected:?}"), &few).await;
    until_first(browser, expected).await;
}

#[tokio::test]
async fn tenants_are_found_by_condition_tier_and_signal() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let mirador = one_of_each(&upstream, &dead).await;
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    until_only(&mut browser, &ALL).await;
    mark(&mut browser).await;
    for (condition, tenant) in [
        ("unhealthy", "initech"),
        ("degraded", "globex"),
        ("maintenance", "wayne"),
        ("unknown", "zeta"),
        ("healthy", "acme"),
        ("suspended", "hooli"),
    ] {
        let number = browser.text(&format!("#counts .{condition} b")).await;
        assert_eq!(number, "1", "{condition}");
        browser
            .open(&mirador.admin_url(&format!("/health/tenants?condition={condition}")))
            .await;
        until_only(&mut browser, &[tenant]).await;
        let current = format!("#counts a.{condition}[aria-current=true]");
        assert!(
            !browser.text(&current).await.is_empty(),
            "{condition} is marked"
        );
    }
    // Two of them, by clicks; and back.
    browser.open(&mirador.admin_url("/health/tenants")).await;
    browser.click("#counts a.degraded").await;
    until_only(&mut browser, &["globex"]).await;
    browser.click("#counts a.unhealthy").await;
    until_only(&mut browser, &["initech", "globex"]).await;
    browser.click("#narrowed a.clear").await;
    until_only(&mut browser, &ALL).await;

    for (name, value, expected) in [
        ("tier", "enterprise", &["globex"][..]),
        ("tier", "pro", &["wayne", "acme"]),
        ("signal", "logs", &["globex"]),
        ("signal", "traces", &["initech"]),
        ("signal", "metrics", &["wayne", "acme", "hooli"]),
    ] {
        let select = format!("select[name={name}]");
        browser.choose(&select, value).await;
        until_only(&mut browser, expected).await;
        let search = browser.evaluate("location.search").await;
        assert_eq!(search, format!("?{name}={value}"));
        browser.choose(&select, "").await;
        until_only(&mut browser, &ALL).await;
    }
    // All at once, and by id.
    browser.choose("select[name=tier]", "pro").await;
    browser.choose("select[name=signal]", "metrics").await;
    browser.choose("select[name=sort]", "id").await;
    browser.fill("input[name=q]", "a").await;
    until_only(&mut browser, &["acme", "wayne"]).await;
}

/// That a tenant is switched off is what is said of it, whatever its endpoints do.
#[tokio::test]
async fn a_suspended_tenant_is_shown_as_that() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let mirador = one_of_each(&upstream, &dead).await;
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    until_only(&mut browser, &ALL).await;
    let row = browser.text("tr[data-key=hooli]").await;
    assert!(
        row.starts_with("suspended") && row.contains("its requests are refused"),
        "{row}"
    );
    let title = browser.evaluate("document.title").await;
    assert_eq!(
        title, "(1 unhealthy) Tenants – Mirador",
        "hooli does not count"
    );

    browser
        .open(&mirador.admin_url("/health/tenants/hooli"))
        .await;
    let verdict = browser.text("#verdict").await;
    for told in [
        "suspended",
        "nobody is told of them",
        "until it is activated",
    ] {
        assert!(verdict.contains(told), "{verdict}");
    }
    let endpoints = browser.text("#deployment-metrics").await;
    assert!(endpoints.contains("unhealthy"), "as it is: {endpoints}");

    // The page hears of it when it is switched on.
    let live = "document.querySelector('#link').className === 'link on'";
    browser.until("the stream", live).await;
    mark(&mut browser).await;
    let activate = mirador.admin(Method::POST, "/api/v1/tenants/hooli/activate");
    let activated = activate.header("If-Match", "*").send().await;
    assert!(activated.expect("an answer").status().is_success());
    let unhealthy = "document.querySelector('#verdict .verdict').classList.contains('unhealthy')";
    browser.until("hooli to be unhealthy", unhealthy).await;
    assert_eq!(browser.evaluate(SAME_PAGE).await, true);
}
