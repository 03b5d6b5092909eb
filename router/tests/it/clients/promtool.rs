//! Prometheus' own command line asks for metrics.

use std::{
    fs,
    process::{Command, Output},
};

use jiff::Timestamp;

use super::{Metrics, run};
use crate::support::{mirador::Mirador, tools::tool};

/// The tenants, the mark on their data and its value.
const TENANTS: [(&str, &str, u8); 2] = [("acme", "acmemark", 3), ("globex", "globexmark", 7)];

#[tokio::test]
async fn each_tenant_is_shown_its_own_data() {
    let world = Metrics::with_deals().await;
    let url = world.mirador.url("");
    let now = Timestamp::now().as_second();
    let (start, end) = (
        format!("--start={}", now - 50),
        format!("--end={}", now - 40),
    );
    let time = format!("--time={}", now - 40);
    for (tenant, mark, value) in TENANTS {
        let shows = async |arguments: &[&str]| shown(&world.mirador, tenant, arguments).await;

        let instant = shows(&["instant", &time, &url, "deals"]).await;
        let expected = format!("deals{{owner=\"{mark}\"}} => {value} @[");
        assert!(instant.starts_with(&expected), "{tenant}: {instant}");
        assert_eq!(instant.lines().count(), 1, "{tenant}: {instant}");

        let range = shows(&[
            "range",
            &start,
            &end,
            "--step=10s",
            &url,
            "sum_over_time(deals[5m]) * 2",
        ])
        .await;
        let (series, points) = range.split_once(" =>\n").expect("series and points");
        assert_eq!(series, format!("{{owner=\"{mark}\"}}"), "{tenant}");
        let doubled = format!("{} @[", value * 2);
        assert!(points.lines().count() > 1, "{tenant}: {points}");
        for point in points.lines().filter(|line| !line.is_empty()) {
            assert!(point.starts_with(&doubled), "{tenant}: {point}");
        }

        let labels = shows(&["labels", &url, "owner"]).await;
        assert_eq!(labels.trim(), mark, "{tenant}");
        let series = shows(&["series", "--match=deals", &url]).await;
        assert!(series.contains(mark), "{tenant}: {series}");
        assert_eq!(series.lines().count(), 1, "{tenant}: {series}");
    }
}

#[tokio::test]
async fn errors_of_the_router_and_of_the_backend_are_shown() {
    let world = Metrics::with_deals().await;
    let url = world.mirador.url("");
    let cases = [
        (None, "deals", "bad_data: no tenant named: send the header"),
        (
            Some("nobody"),
            "deals",
            "tenant nobody: the tenant is not known",
        ),
        (Some("acme"), "sum(", "sum("),
    ];
    for (tenant, expression, told) in cases {
        let output = promtool(&world.mirador, tenant, &["instant", &url, expression]).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{tenant:?}: {output:?}");
        assert!(errors.contains(told), "{tenant:?}: {errors}");
        assert_eq!(output.stdout, b"", "{tenant:?}");
    }
}

/// What it shows a tenant.
async fn shown(mirador: &Mirador, tenant: &str, arguments: &[&str]) -> String {
    let output = promtool(mirador, Some(tenant), arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

async fn promtool(mirador: &Mirador, tenant: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(tool(&["promtool"]));
    command.arg("query");
    if let Some(tenant) = tenant {
        let file = mirador.folder().join(format!("{tenant}.promtool.yaml"));
        let config = format!("http_headers:\n  X-Tenant-ID:\n    values: [{tenant}]\n");
        fs::write(&file, config).expect("a configuration file");
        command.arg("--http.config.file").arg(file);
    }
    command.args(arguments);
    run(command).await
}
