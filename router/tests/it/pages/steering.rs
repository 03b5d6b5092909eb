//! Pages without a mouse, and without eyes.

use super::{log_in, until_first};
use crate::support::{
    browser::Browser, mirador::Mirador, port::Port, tenant::Tenant, upstream::Upstream,
};

async fn two_tenants(upstream: &Upstream, dead: &Port) -> (Mirador, Browser) {
    let mirador = Mirador::start().await;
    let both = [dead.url(), upstream.url()];
    mirador
        .apply(&Tenant::new("acme").metrics(&[upstream.url()]))
        .await;
    mirador.apply(&Tenant::new("globex").metrics(&both)).await;
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    until_first(&mut browser, &["globex", "acme"]).await;
    (mirador, browser)
}

/// Every key that the page's own list names does what it says there.
#[tokio::test]
async fn all_keys_do_what_they_are_said_to() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let (mirador, mut browser) = two_tenants(&upstream, &dead).await;
    let active = "document.activeElement.innerText";
    // Behind the first press of Tab is a way past the bar.
    browser.press("Tab").await;
    assert_eq!(browser.evaluate(active).await, "Skip to content");
    browser.press("Enter").await;
    let main = "document.activeElement.id === 'main'";
    browser.until("the content to have the focus", main).await;

    for (key, expected) in [
        ("j", "globex"),
        ("j", "acme"),
        ("j", "acme"),
        ("k", "globex"),
    ] {
        browser.press(key).await;
        assert_eq!(browser.evaluate(active).await, expected, "{key}");
    }
    browser.press("/").await;
    let searching = "document.activeElement.name === 'q'";
    assert_eq!(browser.evaluate(searching).await, true);
    // What is typed there is text, not a command.
    browser.press("j").await;
    assert_eq!(browser.evaluate("document.activeElement.value").await, "j");
    browser.press("Escape").await;
    assert_eq!(browser.evaluate(searching).await, false);

    browser.press("?").await;
    let is_open = "document.querySelector('#keys').open";
    assert_eq!(browser.evaluate(is_open).await, true);
    let named = browser.text("#keys").await;
    for key in ["/", "j, k", "Enter", "t", "r", "Esc"] {
        assert!(named.contains(key), "{key}: {named}");
    }
    browser.press("Escape").await;
    assert_eq!(browser.evaluate(is_open).await, false);

    for (key, path) in [("r", "/health/router"), ("t", "/health/tenants")] {
        browser.press(key).await;
        let there = format!("location.pathname === '{path}' && document.readyState === 'complete'");
        browser.until(path, &there).await;
    }
    // Nothing catches the focus: all that can be used is reached by Tab, and left again.
    browser
        .open(&mirador.admin_url("/health/tenants/globex"))
        .await;
    let mut reached = Vec::new();
    for _ in 0..60 {
        browser.press("Tab").await;
        let told = browser
            .evaluate("document.activeElement.tagName + ' ' + document.activeElement.innerText")
            .await;
        reached.push(told.as_str().expect("a text").to_owned());
        if reached.len() > 1 && reached.last() == reached.first() {
            break;
        }
    }
    for wanted in [
        "A Tenants",
        "A Router",
        "BUTTON Log out",
        "A health",
        "BUTTON Keys: ?",
    ] {
        assert!(
            reached.iter().any(|told| told == wanted),
            "{wanted}: {reached:#?}"
        );
    }
}

/// A browser takes the focus out of a list that was closed only when it paints next; a key may come
/// before.
#[tokio::test]
async fn a_key_right_after_the_list_was_closed_is_taken() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let (_mirador, mut browser) = two_tenants(&upstream, &dead).await;
    let at_once = "(() => {
        const keys = document.querySelector('#keys');
        keys.showModal();
        keys.close();
        const press = new KeyboardEvent('keydown', { key: '/', bubbles: true });
        document.activeElement.dispatchEvent(press);
        return document.activeElement.name;
    })()";
    assert_eq!(browser.evaluate(at_once).await, "q");
}

/// What is told by ear has a name and says what it is.
#[tokio::test]
async fn everything_has_a_name_and_a_role() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let (mirador, mut browser) = two_tenants(&upstream, &dead).await;
    let page = browser.by_ear("body").await;
    for expected in [
        "banner:",
        "navigation \"Pages\":",
        "link \"Tenants\"",
        "region \"Tenants by condition\":",
        "search \"Tenants\":",
        "searchbox \"Search\"",
        "combobox \"Tier\"",
        "combobox \"Signal\"",
        "combobox \"Order\"",
        "combobox \"Rows\"",
        "table \"Tenants, the worst first\":",
        "columnheader \"Condition\"",
        "rowheader \"globex\"",
        "navigation \"Pages of tenants\":",
        "contentinfo:",
    ] {
        assert!(page.contains(expected), "no {expected} in\n{page}");
    }
    browser
        .open(&mirador.admin_url("/health/tenants/globex"))
        .await;
    let page = browser.by_ear("main").await;
    for expected in [
        "navigation \"Where this is\":",
        "heading \"globex\" [level=1]",
        "heading \"metrics\" [level=2]",
        "table \"Endpoints of metrics\":",
        "region \"How well it was served\":",
        "table \"Availability by signal\":",
        "region \"What happened\":",
        "region \"Who changed it\":",
    ] {
        assert!(page.contains(expected), "no {expected} in\n{page}");
    }
    // What happens is said aloud, politely.
    let polite = "document.querySelector('#news').getAttribute('aria-live') === 'polite'";
    assert_eq!(browser.evaluate(polite).await, true);
}
