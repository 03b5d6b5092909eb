//! The shipped alert rules against what a running router tells, through a real Prometheus: that
//! their expressions meet, metric by metric and label by label. For how long something has to last
//! is tried beside the rules.

use deploy::monitoring::ALERT_RULES;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    eventually, mirador::Mirador, prometheus::Prometheus, tenant::Tenant, upstream::Upstream,
};

/// The expressions of an alert's rules, in the order of the file.
fn expressions(alert: &str) -> Vec<String> {
    let rules = ALERT_RULES.split("      - alert: ").skip(1);
    let of_alert = rules.filter(|rule| rule.lines().next() == Some(alert));
    let expressions = of_alert.map(|rule| {
        let (_, after) = rule.split_once("expr: ").expect("an expression");
        let (text, _) = after.split_once("        for: ").expect("a duration");
        text.trim_start_matches("|\n").to_owned()
    });
    let found: Vec<String> = expressions.collect();
    assert!(!found.is_empty(), "there is no alert {alert}");
    found
}

/// Waits until an expression finds exactly the tenants, signals and tiers that are expected.
async fn until_found(prometheus: &Prometheus, query: &str, expected: &[[&str; 3]]) -> Vec<Value> {
    eventually(
        &format!("{expected:?} to be found by {query}"),
        async || {
            let mut found = prometheus.query(query).await;
            found.sort_by_key(ToString::to_string);
            let places = found.iter().map(|labels| {
                ["tenant", "signal", "tier"].map(|label| labels[label].as_str().unwrap_or_default())
            });
            let mut places: Vec<_> = places.collect();
            places.sort_unstable();
            (places == expected).then_some(found)
        },
    )
    .await
}

#[tokio::test]
async fn the_rules_find_what_is_wrong_by_tier_and_not_in_maintenance() {
    let mirador = Mirador::start().await;
    let admin = mirador.admin_url("");
    let target = admin.trim_start_matches("http://").to_owned();
    let prometheus = Prometheus::scraping(&[target]).await;
    let (mut one, two) = (Upstream::saying("a"), Upstream::saying("b"));
    for (id, tier) in [("acme", "pro"), ("globex", "free")] {
        let tenant = Tenant::new(id)
            .metrics(&[one.url()])
            .logs(&[one.url(), two.url()]);
        mirador.apply(&tenant.set("/tier", tier)).await;
        let reply = mirador.get(id, "/api/v1/query?query=1").await;
        assert_eq!(reply.status(), 200);
    }
    one.stop().await;

    let unhealthy = expressions("TenantUnhealthy");
    let found = until_found(&prometheus, &unhealthy[0], &[["acme", "metrics", "pro"]]).await;
    assert_eq!(found[0]["job"], "mirador");
    until_found(&prometheus, &unhealthy[1], &[["globex", "metrics", "free"]]).await;
    let down = expressions("TenantEndpointDown");
    let both = [["acme", "logs", "pro"], ["acme", "metrics", "pro"]];
    let found = until_found(&prometheus, &down[0], &both).await;
    assert!(
        found
            .iter()
            .all(|labels| labels["endpoint"] == one.authority().as_str()),
        "{found:?}"
    );
    // One router can't disagree with itself, and is there.
    for alert in ["RoutersDisagree", "RouterGone", "ConfigReloadFailed"] {
        assert_eq!(
            prometheus.query(&expressions(alert)[0]).await,
            [] as [Value; 0]
        );
    }

    let path = "/api/v1/tenants/acme/maintenance";
    let begin = mirador.admin(Method::PUT, path).header("If-Match", "*");
    let maintained = begin.json(&json!({"reason": "disks"})).send().await;
    assert!(maintained.expect("an answer").status().is_success());
    until_found(&prometheus, &unhealthy[0], &[]).await;
    until_found(&prometheus, &down[0], &[]).await;
    let forgotten = expressions("MaintenanceForgotten");
    until_found(&prometheus, &forgotten[0], &[["acme", "", ""]]).await;
    until_found(&prometheus, &unhealthy[1], &[["globex", "metrics", "free"]]).await;

    let suspend = mirador.admin(Method::POST, "/api/v1/tenants/globex/suspend");
    let suspended = suspend.header("If-Match", "*").send().await;
    assert!(suspended.expect("an answer").status().is_success());
    until_found(&prometheus, &unhealthy[1], &[]).await;
    until_found(&prometheus, &down[1], &[]).await;
}

#[tokio::test]
async fn a_router_that_is_gone_is_found() {
    let mut mirador = Mirador::start().await;
    let admin = mirador.admin_url("");
    let target = admin.trim_start_matches("http://").to_owned();
    let prometheus = Prometheus::scraping(std::slice::from_ref(&target)).await;
    eventually("a scrape", async || {
        let found = prometheus.query("mirador_build_info").await;
        (!found.is_empty()).then_some(())
    })
    .await;
    mirador.process.kill();
    let gone = expressions("RouterGone");
    let found = eventually("the router to be gone", async || {
        prometheus.query(&gone[0]).await.pop()
    })
    .await;
    assert_eq!(found["instance"], target.as_str());
}
