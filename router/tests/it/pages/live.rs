//! Pages stay current by themselves.

use serde_json::json;
use tokio::time::Instant;

use super::{SAME_PAGE, assert_at_home_and_quiet, ids, log_in, mark};
use crate::support::{
    browser::Browser, eventually, mirador::Mirador, tenant::Tenant, upstream::Upstream,
    victoria::Victoria,
};

/// Probes once in a second; one failure is enough.
fn probed(id: &str, urls: &[String]) -> Tenant {
    let check = json!({
        "interval": "1s", "timeout": "1s", "healthy_after": 1, "unhealthy_after": 1,
    });
    Tenant::new(id)
        .metrics(urls)
        .set("/deployments/metrics/health_check", check)
}

/// Without an event a page looks again after 30 s, which is later than this test waits: what is seen
/// is seen by the stream.
#[tokio::test]
async fn an_endpoint_that_is_killed_is_seen_without_a_reload() {
    let mut first = Victoria::metrics().await;
    let second = Upstream::saying("fine");
    let mirador = Mirador::start().await;
    mirador
        .apply(&probed("acme", &[first.url(), second.url()]))
        .await;
    mirador.apply(&probed("globex", &[second.url()])).await;
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    let healthy = "document.querySelector('tr[data-key=acme] .is')?.innerText === 'healthy'";
    browser.until("acme to be healthy", healthy).await;
    let live = "document.querySelector('#link').className === 'link on'";
    browser.until("the stream", live).await;
    mark(&mut browser).await;

    let killed = Instant::now();
    first.process.kill();
    let degraded = "document.querySelector('tr[data-key=acme] .is')?.innerText === 'degraded'";
    browser.until("acme to be degraded", degraded).await;
    eprintln!(
        "a killed endpoint, probed every second, was seen after {:?}",
        killed.elapsed()
    );
    assert_eq!(
        ids(&mut browser).await,
        ["acme", "globex"],
        "the worst first"
    );
    let row = browser.text("tr[data-key=acme]").await;
    let address = first.url().replace("http://", "");
    assert!(row.contains(&address), "{row}");
    assert_eq!(browser.evaluate(SAME_PAGE).await, true);
    let title = browser.evaluate("document.title").await;
    assert_eq!(title, "(1 degraded) Tenants – Mirador");

    // Its own page tells since when and why, and who serves meanwhile; and when that is over.
    browser.click("tr[data-key=acme] th a").await;
    browser
        .until(
            "the tenant's page",
            "document.querySelector('#deployment-metrics') !== null",
        )
        .await;
    let verdict = browser.text("#verdict").await;
    assert!(
        verdict.contains("degraded") && verdict.contains(&address),
        "{verdict}"
    );
    let serving = browser.text("#deployment-metrics tr.healthy").await;
    assert!(serving.contains("serving"), "{serving}");
    browser.until("the stream", live).await;
    mark(&mut browser).await;
    first.restart().await;
    let healthy = "document.querySelector('#verdict .verdict').classList.contains('healthy')";
    browser.until("acme to be healthy again", healthy).await;
    let told = async || {
        let story = browser.text("#story").await;
        let failover = story.contains("failover") && story.contains(&address);
        failover.then_some(())
    };
    eventually("the failover to be told", told).await;
    assert_eq!(browser.evaluate(SAME_PAGE).await, true);
    assert_at_home_and_quiet(&mut browser, &mirador.admin_url("/")).await;
}

/// Whoever steers by keyboard is not thrown back when rows change places.
#[tokio::test]
async fn the_focus_stays_where_it_is() {
    let (mut first, second) = (Upstream::saying("fine"), Upstream::saying("fine"));
    let mirador = Mirador::start().await;
    mirador.apply(&probed("acme", &[second.url()])).await;
    mirador
        .apply(&probed("zeta", &[first.url(), second.url()]))
        .await;
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    let both = "document.querySelectorAll('tr[data-key] td:first-child .is.healthy').length === 2";
    browser.until("both to be healthy", both).await;
    browser.press("k").await;
    let focused = "document.activeElement.innerText";
    assert_eq!(browser.evaluate(focused).await, "zeta");
    first.stop().await;
    let moved = "document.querySelector('tbody tr').dataset.key === 'zeta'";
    browser.until("zeta to move up", moved).await;
    assert_eq!(browser.evaluate(focused).await, "zeta");
}

/// What came through the router is drawn, and told as a table.
#[tokio::test]
async fn traffic_is_drawn_and_changes_are_told() {
    let upstream = Upstream::saying("fine");
    let mirador = Mirador::start().await;
    mirador.apply(&probed("acme", &[upstream.url()])).await;
    let renamed = probed("acme", &[upstream.url()]).set("/display_name", "ACME Corp");
    mirador.apply(&renamed).await;
    for _ in 0..20 {
        mirador.text("acme", "/api/v1/query?query=up").await;
    }
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    browser
        .open(&mirador.admin_url("/health/tenants/acme"))
        .await;
    let drawn = "document.querySelectorAll('#traffic-metrics canvas').length === 3";
    browser.until("three charts", drawn).await;
    browser.click("#table-metrics summary").await;
    let table = browser.text("#table-metrics").await;
    assert!(table.contains("20"), "{table}");
    let changes = browser.text("#changes").await;
    assert!(
        changes.contains("admin-token") && changes.contains("display_name"),
        "{changes}"
    );
    assert_at_home_and_quiet(&mut browser, &mirador.admin_url("/")).await;
}

/// Whoever types on while the page is asking sees what was typed last, whichever answer comes last,
/// and is not told that the router does not answer.
#[tokio::test]
async fn what_is_typed_last_is_what_is_shown() {
    let upstream = Upstream::saying("fine");
    let mirador = Mirador::start().await;
    for id in ["acme", "globex"] {
        mirador.apply(&probed(id, &[upstream.url()])).await;
    }
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    let live = "document.querySelector('#link').className === 'link on'";
    browser.until("the stream", live).await;
    // From now on nothing is answered until it is let go.
    let held = "(() => {
        const really = window.fetch;
        Object.assign(window, { asked: [], held: [], aborted: 0 });
        window.fetch = (url, options) => new Promise((go, fail) => {
            window.asked.push(url);
            window.held.push(() => really(url, options).then(go, fail));
            options.signal.addEventListener('abort', () => {
                window.aborted += 1;
                fail(new DOMException('aborted', 'AbortError'));
            });
        });
    })()";
    browser.evaluate(held).await;
    for typed in ["ac", "acm", "glob"] {
        browser.fill("input[name=q]", typed).await;
        let asked = format!("window.asked.at(-1)?.endsWith('?q={typed}') === true");
        browser
            .until(&format!("{typed:?} to be asked"), &asked)
            .await;
        assert_eq!(browser.evaluate(live).await, true, "{typed}");
    }
    let given_up = "window.aborted === window.asked.length - 1";
    assert_eq!(browser.evaluate(given_up).await, true);
    browser.evaluate("window.held.at(-1)()").await;
    let shown = "document.querySelectorAll('tbody[data-rows] tr').length === 1";
    browser.until("one tenant to be left", shown).await;
    assert_eq!(ids(&mut browser).await, ["globex"]);
    assert_at_home_and_quiet(&mut browser, &mirador.admin_url("/")).await;
}
