//! How well a tenant was served: figures and words on its page, and what happened to it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_at_home_and_quiet, assert_no_barrier, log_in};
use crate::support::{
    browser::Browser,
    eventually,
    mirador::Mirador,
    tenant::Tenant,
    upstream::{Upstream, ok, reply},
};

const REQUESTS: usize = 20;

/// Fails its first requests, so many.
fn failing(first: usize) -> Upstream {
    Upstream::start(move |asked| match asked.nth {
        nth if nth < first => reply(500, "", "not fine"),
        _ => ok("fine"),
    })
}

/// A tenant whose metrics nobody probes: what is counted is what it asks.
fn unprobed(id: &str, upstream: &Upstream) -> Tenant {
    let unprobed = json!({"enabled": false});
    Tenant::new(id)
        .metrics(&[upstream.url()])
        .set("/deployments/metrics/health_check", unprobed)
}

async fn read(mirador: &Mirador, path: &str) -> Value {
    let answer = mirador.admin(Method::GET, path).send().await;
    answer.expect("an answer").json().await.expect("JSON")
}

/// Has a tenant ask so often, and waits until all of it is counted.
async fn ask(mirador: &Mirador, id: &str) {
    for _ in 0..REQUESTS {
        let _ = mirador.get(id, "/api/v1/query?query=up").await.text().await;
    }
    let path = format!("/api/v1/tenants/{id}/availability");
    eventually("all requests to be counted", async || {
        let told = read(mirador, &path).await;
        let windows = told["signals"]["metrics"]["windows"].as_array()?.clone();
        let month = windows.into_iter().find(|one| one["window"] == "30d")?;
        let count = month["good"].as_u64()? + month["bad"].as_u64()?;
        (count == REQUESTS as u64).then_some(())
    })
    .await;
}

/// The cells of the row of a tenant's metrics.
async fn row(browser: &mut Browser, mirador: &Mirador, id: &str, signal: &str) -> Vec<String> {
    let url = mirador.admin_url(&format!("/health/tenants/{id}"));
    browser.open(&url).await;
    let script = format!(
        "[...document.querySelectorAll('#service tr[data-signal={signal}] > *')].map((cell) => cell.innerText)"
    );
    let cells = browser.evaluate(&script).await;
    let cells = cells.as_array().expect("a list").iter();
    cells
        .map(|cell| cell.as_str().expect("a text").trim().to_owned())
        .collect()
}

/// A router whose tenants keep what they are promised, or nearly, or don't, or are promised nothing,
/// or have not asked for anything.
async fn tenants(upstreams: &[(&str, Upstream)]) -> Mirador {
    let mirador = Mirador::with(json!({"history": {"write_interval": "200ms"}})).await;
    let slo = json!({"availability": "75%"});
    for (id, upstream) in upstreams {
        let tenant = unprobed(id, upstream);
        let tenant = match *id {
            "free" => tenant,
            _ => tenant.set("/slo", slo.clone()),
        };
        mirador.apply(&tenant).await;
        if *id != "quiet" {
            ask(&mirador, id).await;
        }
    }
    mirador
}

fn upstreams() -> [(&'static str, Upstream); 5] {
    [
        ("met", 1),
        ("danger", 4),
        ("spent", 8),
        ("free", 4),
        ("quiet", 0),
    ]
    .map(|(id, failures)| (id, failing(failures)))
}

/// Each with its figures: 75 % of 20 requests let 5 of them fail.
const TOLD: [(&str, &str, &[&str]); 5] = [
    (
        "met",
        "Objective: 75% of requests served, over 30 days.",
        &[
            "metrics",
            "met",
            "95.000 %",
            "95.000 %",
            "95.000 %",
            "1 of 5.0 allowed",
            "80 %",
            "0.20",
            "0.20",
        ],
    ),
    (
        "danger",
        "Objective: 75% of requests served, over 30 days.",
        &[
            "metrics",
            "in danger",
            "80.000 %",
            "80.000 %",
            "80.000 %",
            "4 of 5.0 allowed",
            "20 %",
            "0.80",
            "0.80",
        ],
    ),
    (
        "spent",
        "Objective: 75% of requests served, over 30 days.",
        &[
            "metrics",
            "used up",
            "60.000 %",
            "60.000 %",
            "60.000 %",
            "8 of 5.0 allowed",
            "overspent by 60 %",
            "1.60",
            "1.60",
        ],
    ),
    (
        "free",
        "No objective: neither its document nor its tier has one.",
        &["metrics", "80.000 %", "80.000 %", "80.000 %", "4"],
    ),
    (
        "quiet",
        "Objective: 75% of requests served, over 30 days.",
        &["metrics", "no data yet", "No requests in the last 30 days."],
    ),
];

/// Opens a tenant's page, which has to say so of its metrics.
async fn assert_told(
    browser: &mut Browser,
    mirador: &Mirador,
    (id, promise, cells): (&str, &str, &[&str]),
) {
    assert_eq!(row(browser, mirador, id, "metrics").await, cells, "{id}");
    let header = browser.text("#service header").await;
    assert!(header.contains(promise), "{id}: {header}");
}

#[tokio::test]
async fn objectives_and_budgets_have_the_right_figures_and_words() {
    let upstreams = upstreams();
    let mirador = tenants(&upstreams).await;
    let mut browser = Browser::start().await;
    log_in(&mut browser, &mirador).await;
    for scheme in ["light", "dark"] {
        browser.colours(scheme).await;
        let mut inks = Vec::new();
        for (id, promise, cells) in TOLD {
            assert_told(&mut browser, &mirador, (id, promise, cells)).await;
            assert_no_barrier(&mut browser, &format!("{id} in {scheme}")).await;
            let ink = "getComputedStyle(document.querySelector('#service td .is') ?? document.body).color";
            inks.push(browser.evaluate(ink).await.to_string());
        }
        // Met, in danger and used up look as different as they are.
        assert!(
            inks[0] != inks[1] && inks[1] != inks[2] && inks[0] != inks[2],
            "{inks:?}"
        );
    }
    assert_at_home_and_quiet(&mut browser, &mirador.admin_url("/")).await;
    // What the page says is what the API and the command line say.
    let states = [
        ("met", "met"),
        ("danger", "in_danger"),
        ("spent", "used_up"),
    ];
    for (id, state) in states {
        let told = read(&mirador, &format!("/api/v1/tenants/{id}/availability")).await;
        assert_eq!(told["signals"]["metrics"]["error_budget"]["state"], state);
    }
}

#[tokio::test]
async fn objectives_are_there_without_scripts() {
    let upstreams = upstreams();
    let mirador = tenants(&upstreams).await;
    let mut browser = Browser::without_scripts().await;
    log_in(&mut browser, &mirador).await;
    for told in TOLD {
        assert_told(&mut browser, &mirador, told).await;
    }
}

/// What happened is told in order, the newest first, each with what it was and is; with scripts and
/// without.
#[tokio::test]
async fn the_history_of_a_tenants_health_is_told() {
    let (mut first, second) = (Upstream::saying("a"), Upstream::saying("b"));
    let mirador = Mirador::start().await;
    let acme = Tenant::new("acme").metrics(&[first.url(), second.url()]);
    mirador.apply(&acme).await;
    let is = |condition: &'static str| {
        let mirador = &mirador;
        async move {
            eventually(condition, async || {
                let health = read(mirador, "/api/v1/tenants/acme/health").await;
                (health["condition"] == condition).then_some(())
            })
            .await;
        }
    };
    is("healthy").await;
    first.until_probed(1).await;
    first.stop().await;
    is("degraded").await;
    first.listen(|_| ok("a"));
    is("healthy").await;
    eventually("its return to be remembered", async || {
        let path = "/api/v1/tenants/acme/health/history?kind=tenant";
        let told = read(&mirador, path).await;
        (told["changes"][0]["to"] == "healthy").then_some(())
    })
    .await;

    let (name, other) = (first.authority(), second.authority());
    let mut browser = Browser::start().await;
    let mut plain = Browser::without_scripts().await;
    for browser in [&mut browser, &mut plain] {
        log_in(browser, &mirador).await;
        browser
            .open(&mirador.admin_url("/health/tenants/acme"))
            .await;
        let script = "[...document.querySelectorAll('#story li')].map((item) => item.innerText.replace(/\\s+/g, ' '))";
        let items = browser.evaluate(script).await;
        let items: Vec<String> = serde_json::from_value(items).expect("texts");
        let place = |what: &str| {
            let place = items.iter().position(|item| item.contains(what));
            place.unwrap_or_else(|| panic!("no {what:?} in {items:#?}"))
        };
        let back = place("tenant degraded → healthy");
        let ill = place("tenant healthy → degraded metrics degraded: ");
        let over = place(&format!(
            "failover metrics served by {other}, before by {name}"
        ));
        let home = place(&format!(
            "failover metrics served by {name}, before by {other}"
        ));
        let down = place("endpoint healthy → unhealthy");
        assert!(
            back < ill && home < over && over < down && ill < over,
            "{items:#?}"
        );
        let aside = browser.text("#deployment-metrics .aside").await;
        let last = format!("from {other} to {name}, cause: probes succeeded");
        assert!(aside.contains(&last), "{aside}");
        let times = "[...document.querySelectorAll('#story time')].map((time) => Date.parse(time.dateTime))";
        let times: Vec<u64> = serde_json::from_value(browser.evaluate(times).await).expect("times");
        assert!(
            times.is_sorted_by(|newer, older| newer >= older),
            "{times:?}"
        );
    }
}
