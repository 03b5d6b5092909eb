//! The health pages as people meet them: in a real browser, with and without scripts.

mod access;
mod finding;
mod live;
mod pictures;
mod public;
mod service;
mod sizes;
mod steering;

use std::{fs, path::PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    browser::Browser,
    eventually,
    mirador::{Mirador, TOKEN},
    port::Port,
    tenant::Tenant,
    upstream::Upstream,
};

/// Goes in by the form, and answers where that led.
async fn log_in(browser: &mut Browser, mirador: &Mirador) -> String {
    browser.open(&mirador.admin_url("/health")).await;
    browser.fill("input[name=token]", TOKEN).await;
    browser.click("button[type=submit]").await;
    browser
        .until(
            "the page of tenants",
            "document.querySelector('#counts') !== null",
        )
        .await;
    let url = browser.evaluate("location.pathname").await;
    url.as_str().expect("a path").to_owned()
}

/// Nothing was asked of anybody else, and the browser had nothing to complain about.
async fn assert_at_home_and_quiet(browser: &mut Browser, origin: &str) {
    let (requests, complaints) = browser.seen().await;
    assert!(requests.len() > 2, "{requests:?}");
    for request in requests {
        assert!(request.starts_with(origin), "asked for {request}");
    }
    assert!(complaints.is_empty(), "{complaints:?}");
}

/// The ids on the page, from the top.
async fn ids(browser: &mut Browser) -> Vec<String> {
    let script = "[...document.querySelectorAll('tbody[data-rows] tr')].map((r) => r.dataset.key)";
    let rows = browser.evaluate(script).await;
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|id| id.as_str().expect("an id").to_owned())
        .collect()
}

/// Waits until these are the ids at the top of the page.
async fn until_first(browser: &mut Browser, expected: &[&str]) {
    let what = format!("{expected:?} at the top");
    let probe = async || {
        let found = ids(browser).await;
        let top = found.iter().take(expected.len());
        top.eq(expected.iter()).then_some(())
    };
    eventually(&what, probe).await;
}

/// A file of tenants whose metrics are at `url`, probed seldom.
fn many(folder: &std::path::Path, count: usize, url: &str) -> PathBuf {
    let tiers = ["free", "pro", "enterprise"];
    let tenant = |n: usize| {
        json!({
            "id": format!("tenant-{n:04}"),
            "display_name": format!("Customer {n}"),
            "tier": tiers[n % 3],
            "deployments": {"metrics": {
                "endpoints": [url],
                "health_check": {"interval": "10m", "timeout": "5s"},
            }},
        })
    };
    // JSON is YAML, and so are several of it.
    let documents: Vec<String> = (0..count).map(|n| tenant(n).to_string()).collect();
    let path = folder.join("tenants.yaml");
    fs::write(&path, documents.join("\n---\n")).expect("written");
    path
}

/// Whether a page is one, and the same since it was opened.
const SAME_PAGE: &str = "window.unharmed === true";

async fn mark(browser: &mut Browser) {
    browser.evaluate("window.unharmed = true").await;
}

/// Waits until the router tells of so many tenants that they are healthy.
async fn until_healthy(mirador: &Mirador, tenants: u64) {
    let healthy = async || {
        let asked = mirador.admin(Method::GET, "/api/v1/health?limit=1");
        let answer = asked.send().await.expect("an answer");
        let told: Value = answer.json().await.expect("JSON");
        (told["counts"]["healthy"] == tenants).then_some(())
    };
    eventually("tenants to be healthy", healthy).await;
}

#[tokio::test]
async fn two_thousand_tenants_are_looked_through_in_one_place() {
    let upstream = Upstream::saying("fine");
    let folder = tempfile::tempdir().expect("a folder");
    let file = many(folder.path(), 2_000, &upstream.url());
    let mirador = Mirador::with(json!({"tenants": [file]})).await;
    let dead = Port::take();
    let ill = Tenant::new("zeta").metrics(&[upstream.url(), dead.url()]);
    mirador.apply(&ill).await;
    // That a tenant was probed for the first time is no news: a page opened before tells it half a
    // minute later.
    until_healthy(&mirador, 2_000).await;
    let mut browser = Browser::start().await;
    assert_eq!(log_in(&mut browser, &mirador).await, "/health/tenants");
    mark(&mut browser).await;

    until_first(&mut browser, &["zeta"]).await;
    assert_eq!(ids(&mut browser).await.len(), 200, "a page at a time");
    let row = browser.text("tr[data-key=zeta]").await;
    assert!(row.contains("degraded") && row.contains("1/2"), "{row}");
    assert!(row.contains(&dead.address().to_string()), "{row}");
    let counts = "document.querySelector('#counts .healthy b').innerText === '2,000'";
    browser.until("all others to be healthy", counts).await;

    // A thousand rows, and the next page behind them.
    browser.choose("select[name=limit]", "1000").await;
    let rows = "document.querySelectorAll('tbody[data-rows] tr').length === 1000";
    browser.until("a thousand rows", rows).await;
    browser.click("a[rel=next]").await;
    browser
        .until("the next page", "location.search.includes('cursor=')")
        .await;
    until_first(&mut browser, &["tenant-0999"]).await;
    mark(&mut browser).await;

    // By name, as it is typed, on the same page.
    browser.open(&mirador.admin_url("/health/tenants")).await;
    mark(&mut browser).await;
    browser.press("/").await;
    let focused = "document.activeElement.name === 'q'";
    assert_eq!(browser.evaluate(focused).await, true);
    browser.fill("input[name=q]", "customer 123").await;
    let expected = ["tenant-0123", "tenant-1230", "tenant-1231"];
    until_first(&mut browser, &expected).await;
    assert_eq!(ids(&mut browser).await.len(), 11);
    browser.choose("select[name=tier]", "free").await;
    until_first(&mut browser, &["tenant-0123", "tenant-1230", "tenant-1233"]).await;
    browser.fill("input[name=q]", "nobody").await;
    let nothing = "document.querySelector('#list').innerText.includes('No tenant')";
    browser.until("nobody", nothing).await;
    assert_eq!(browser.evaluate(SAME_PAGE).await, true);

    // By condition and by id; links keep what else was asked for.
    browser
        .open(&mirador.admin_url("/health/tenants?sort=id&signal=metrics"))
        .await;
    until_first(&mut browser, &["tenant-0000", "tenant-0001"]).await;
    browser.click("#counts a.degraded").await;
    until_first(&mut browser, &["zeta"]).await;
    assert_eq!(ids(&mut browser).await, ["zeta"]);
    let search = browser.evaluate("location.search").await;
    assert_eq!(search, "?condition=degraded&signal=metrics&sort=id");

    // By keyboard alone.
    browser.open(&mirador.admin_url("/health/tenants")).await;
    browser.press("j").await;
    browser.press("j").await;
    browser.press("k").await;
    browser.press("Enter").await;
    browser
        .until(
            "the tenant's page",
            "location.pathname === '/health/tenants/zeta'",
        )
        .await;
    assert_at_home_and_quiet(&mut browser, &mirador.admin_url("/")).await;
}

/// A signed-in person who has no scripts, or whom they fail, sees and finds the same.
#[tokio::test]
async fn everything_essential_is_there_without_scripts() {
    let upstream = Upstream::saying("fine");
    let mirador = Mirador::start().await;
    for id in ["acme", "globex"] {
        mirador
            .apply(&Tenant::new(id).metrics(&[upstream.url()]))
            .await;
    }
    let mut browser = Browser::without_scripts().await;
    log_in(&mut browser, &mirador).await;
    assert_eq!(ids(&mut browser).await, ["acme", "globex"]);
    let refreshes = "document.head.querySelector('noscript').textContent.includes('refresh') \
                     || document.querySelector('meta[http-equiv=refresh]') !== null";
    assert_eq!(browser.evaluate(refreshes).await, true);
    browser.fill("input[name=q]", "glob").await;
    browser.click("form.filters button").await;
    until_first(&mut browser, &["globex"]).await;
    browser.click("tr[data-key=globex] th a").await;
    let title = async || {
        let heading = browser.text("h1").await;
        (heading == "globex").then_some(())
    };
    eventually("the tenant's page", title).await;
    let endpoints = browser.text("#deployment-metrics").await;
    assert!(endpoints.contains(&upstream.authority()), "{endpoints}");
    browser.click("a[data-place=router]").await;
    let configured = async || {
        let text = browser.text("#configuration").await;
        text.contains(&mirador.address().to_string()).then_some(())
    };
    eventually("the router's page", configured).await;
    browser.click("form[action='/health/logout'] button").await;
    let out = async || {
        let heading = browser.text("h1").await;
        heading.starts_with("Log in").then_some(())
    };
    eventually("the way in", out).await;
    assert_at_home_and_quiet(&mut browser, &mirador.admin_url("/")).await;
}

/// The router's own page tells what it is, what it holds, where its store is and what it is told to do.
#[tokio::test]
async fn the_page_of_the_router_tells_what_it_is_and_holds() {
    let upstream = Upstream::saying("fine");
    let mirador = Mirador::with(json!({"workers": 2})).await;
    let tenants = [Tenant::new("acme"), Tenant::new("globex")];
    for tenant in tenants {
        mirador.apply(&tenant.metrics(&[upstream.url()])).await;
    }
    for _ in 0..3 {
        mirador.text("acme", "/api/v1/query?query=up").await;
    }
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    browser.open(&mirador.admin_url("/health/router")).await;
    let verdict = browser.text("#verdict").await;
    assert!(
        verdict.contains("ready") && verdict.contains("Clients are served"),
        "{verdict}"
    );
    for (part, name, expected) in [
        ("build", "Version", env!("CARGO_PKG_VERSION")),
        ("cache", "Tenants held", "2"),
        ("store", "Kept in", "mirador.db"),
        ("store", "Faults", "none"),
        ("connections", "Opened to endpoints", "1"),
        ("probes", "Endpoints watched", "1"),
        ("configuration", "Workers", "2"),
        ("configuration", "Last reload", "taken"),
    ] {
        let facts = format!("[...document.querySelectorAll('#{part} dt')]");
        let script = format!(
            "{facts}.find((it) => it.innerText === '{name}')?.nextElementSibling.innerText"
        );
        let told = browser.evaluate(&script).await;
        let told = told.as_str().unwrap_or_default();
        assert!(told.contains(expected), "{part}, {name}: {told:?}");
    }
    // It tells no secret of the configuration's.
    let page = browser.evaluate("document.documentElement.outerHTML").await;
    assert!(!page.as_str().expect("a text").contains(TOKEN));
}

/// No page keeps anybody out who reads by ear or steers by keyboard, in either colours.
#[tokio::test]
async fn no_page_has_a_serious_barrier() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let mirador = Mirador::start().await;
    let acme = Tenant::new("acme").everything(&[upstream.url()]);
    let ill = Tenant::new("globex").metrics(&[dead.url(), upstream.url()]);
    let down = Tenant::new("initech").logs(&[dead.url()]);
    for tenant in [&acme, &ill, &down] {
        mirador.apply(tenant).await;
    }
    let mut browser = Browser::start().await;
    let way_in = mirador.admin_url("/health/login");
    browser.open(&way_in).await;
    assert_no_barrier(&mut browser, "the way in").await;
    log_in(&mut browser, &mirador).await;
    until_first(&mut browser, &["initech", "globex", "acme"]).await;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.colours(scheme).await;
        for path in [
            "/health/tenants",
            "/health/tenants?q=nobody",
            "/health/tenants/globex",
            "/health/tenants/initech",
            "/health/tenants/nobody",
            "/health/router",
        ] {
            browser.open(&mirador.admin_url(path)).await;
            assert_no_barrier(&mut browser, &format!("{path} in {scheme}")).await;
        }
        let ground = "getComputedStyle(document.body).backgroundColor";
        grounds.push(browser.evaluate(ground).await);
    }
    assert_ne!(grounds[0], grounds[1], "dark is not light");
    // By the button, whatever the system says: from auto to light.
    browser.open(&mirador.admin_url("/health/router")).await;
    browser.click("#theme").await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(browser.evaluate(ground).await, grounds[0]);
    browser.open(&mirador.admin_url("/health/tenants")).await;
    assert_eq!(browser.evaluate(ground).await, grounds[0], "it is kept");
}

async fn assert_no_barrier(browser: &mut Browser, what: &str) {
    let found = browser.barriers().await;
    let is_serious = |one: &&Value| one["impact"] == "serious" || one["impact"] == "critical";
    let serious: Vec<_> = found.iter().filter(is_serious).collect();
    assert!(serious.is_empty(), "{what}: {serious:#?}");
}
