//! `mirador grafana` against a real admin API over a real store, and over files alone.

use std::{fs, os::unix::fs::MetadataExt as _};

use serde_json::json;
use tempfile::TempDir;

use super::{Ran, parse, run_here};
use crate::{
    admin::testing::{Admin, TOKEN},
    cli::{Command, output::Terminal},
};

const ROUTER: &str = "--router http://router:8427";

/// Runs `mirador grafana …`.
async fn grafana(line: &str) -> Ran {
    let line = format!("grafana {line}");
    let Command::Grafana(command) = parse(&line).expect("a command line").command else {
        panic!("{line} is no grafana command");
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = command.run(&mut Terminal::new(&mut out, &mut err)).await;
    Ran::new(done, out, err)
}

/// The uids of a file's data sources; that it is YAML is tried where it is rendered.
fn uids(text: &str) -> Vec<&str> {
    let uids = text
        .lines()
        .filter_map(|line| line.strip_prefix("    uid: "));
    uids.map(|uid| uid.trim_matches('"')).collect()
}

/// A folder with an admin's token and two tenants' files.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("written");
    };
    write("token", TOKEN);
    fs::create_dir(folder.path().join("tenants")).expect("made");
    write(
        "tenants/all.yaml",
        "id: globex\ntier: enterprise\ndeployments: {logs: {endpoints: ['http://l:9428']}}\n---\n\
         id: acme\ndisplay_name: ACME\ndeployments: {metrics: {endpoints: ['http://m:8428']}, traces: \
         {endpoints: ['http://t:10428']}}\n---\nid: gone\nstatus: deleted\n",
    );
    folder
}

#[tokio::test]
async fn each_tenant_of_the_router_gets_its_data_sources() {
    let (admin, folder) = (Admin::start().await, folder());
    let endpoints = |port: u16| json!({"endpoints": [format!("http://127.0.0.1:{port}")]});
    admin
        .put(&json!({"id": "acme", "tier": "pro", "deployments": {"metrics": endpoints(1), "logs": endpoints(2)}}))
        .await;
    admin
        .put(&json!({"id": "globex", "deployments": {"metrics": endpoints(3)}}))
        .await;
    admin
        .put(&json!({"id": "gone", "deployments": {"metrics": endpoints(4)}}))
        .await;
    admin.delete("gone").await;
    let server = format!(
        "--server {} --token-file {}",
        admin.url(),
        folder.path().join("token").display()
    );

    let all = grafana(&format!("provision {ROUTER} {server}")).await;
    assert_eq!(all.code, 0, "{}", all.err);
    assert_eq!(
        uids(&all.out),
        ["acme-metrics", "acme-logs", "globex-metrics"]
    );
    assert!(
        all.out.contains("url: \"http://router:8427\""),
        "{}",
        all.out
    );
    let pro = grafana(&format!("provision {ROUTER} {server} --tier pro")).await;
    assert_eq!(uids(&pro.out), ["acme-metrics", "acme-logs"]);
    let one = grafana(&format!("provision {ROUTER} {server} globex")).await;
    assert_eq!(uids(&one.out), ["globex-metrics"]);

    let missing = grafana(&format!("provision {ROUTER} {server} globex gone nobody")).await;
    assert_eq!((missing.code, missing.out.as_str()), (2, ""));
    assert!(missing.err.contains("gone, nobody"), "{}", missing.err);
}

/// Without a router: for repositories of tenant files.
#[tokio::test]
async fn files_do_as_well_and_what_has_not_changed_is_not_written() {
    let folder = folder();
    let (tenants, output) = (
        folder.path().join("tenants"),
        folder.path().join("sources.yaml"),
    );
    let line = format!(
        "provision {ROUTER} -f {} -o {}",
        tenants.display(),
        output.display()
    );
    let written = grafana(&line).await;
    let told = format!(
        "{} written: 3 data sources of 2 tenants\n",
        output.display()
    );
    assert_eq!((written.code, written.out), (0, told), "{}", written.err);
    let text = fs::read_to_string(&output).expect("the file");
    assert_eq!(uids(&text), ["acme-metrics", "acme-traces", "globex-logs"]);
    assert!(text.contains("  # ACME\n"), "{text}");

    let inode = |path| fs::metadata(path).expect("the file").ino();
    let before = inode(&output);
    let again = grafana(&line).await;
    assert!(again.out.contains(" unchanged: "), "{}", again.out);
    assert_eq!(inode(&output), before);

    let enterprise = grafana(&format!("{line} --tier enterprise")).await;
    assert!(
        enterprise.out.contains("1 data sources of 1 tenants"),
        "{}",
        enterprise.out
    );
    let text = fs::read_to_string(&output).expect("the file");
    assert_eq!(uids(&text), ["globex-logs"]);
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 3, "nothing is left beside: {left:?}");
}

#[tokio::test]
async fn keys_and_plugins_are_as_asked() {
    let folder = folder();
    let files = folder.path().join("tenants");
    let line = format!("provision {ROUTER} -f {}", files.display());
    let keys = grafana(&format!(
        "{line} --key-variables KEY_ --metrics victoriametrics --org-id 3"
    ))
    .await;
    for told in [
        "httpHeaderName1: \"X-API-Key\"",
        "httpHeaderValue1: \"${KEY_ACME}\"",
        "type: victoriametrics-metrics-datasource",
        "orgId: 3",
    ] {
        assert!(keys.out.contains(told), "{told}: {}", keys.out);
    }
    let header = grafana(&format!("{line} --header X-Scope-OrgID")).await;
    assert!(
        header.out.contains("httpHeaderName1: \"X-Scope-OrgID\""),
        "{}",
        header.out
    );
}

#[tokio::test]
async fn what_can_not_be_done_is_said_and_changes_nothing() {
    let folder = folder();
    let files = folder.path().join("tenants");
    let nowhere = folder.path().join("no/sources.yaml");
    let line = format!(
        "provision {ROUTER} -f {} -o {}",
        files.display(),
        nowhere.display()
    );
    let unwritable = grafana(&line).await;
    assert_eq!(unwritable.code, 1);
    assert!(
        unwritable.err.contains("can't write") && unwritable.err.contains("no/sources.yaml"),
        "{}",
        unwritable.err
    );

    let output = folder.path().join("sources.yaml");
    fs::write(&output, "before").expect("written");
    fs::write(files.join("all.yaml"), "id: acme\nstatus: asleep\n").expect("written");
    let line = format!(
        "provision {ROUTER} -f {} -o {}",
        files.display(),
        output.display()
    );
    let faulty = grafana(&line).await;
    assert_eq!(faulty.code, 2);
    assert!(faulty.err.contains("all.yaml:2: status"), "{}", faulty.err);
    assert_eq!(fs::read_to_string(&output).expect("the file"), "before");

    for wrong in [
        "provision",
        "provision --router ftp://x",
        "provision --router http://x/?q=1",
        "provision --router http://x --header a:b",
        "provision --router http://x --key-variables 1-",
        "provision --router http://x --org-id 0",
    ] {
        assert!(parse(&format!("grafana {wrong}")).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn dashboards_are_written_whole_and_once() {
    let folder = folder();
    let line = format!("dashboards -o {}", folder.path().display());
    let first = grafana(&line).await;
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(first.out.matches(" written\n").count(), 3, "{}", first.out);
    let text = fs::read_to_string(folder.path().join("tenant.json")).expect("a dashboard");
    let board: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(board["uid"], "mirador-tenant");
    let again = grafana(&line).await;
    assert_eq!(
        again.out.matches(" unchanged\n").count(),
        3,
        "{}",
        again.out
    );
    let nowhere = grafana("dashboards -o /nowhere").await;
    assert_eq!(nowhere.code, 1);
    assert!(
        nowhere.err.contains("/nowhere/overview.json"),
        "{}",
        nowhere.err
    );
}

#[test]
fn alerts_link_to_one_s_own_grafana_and_runbooks() {
    let plain = run_here("alerts");
    assert_eq!(
        (plain.code, plain.out.as_str()),
        (0, deploy::monitoring::ALERT_RULES)
    );
    let own = run_here("alerts --grafana https://g.example --runbooks https://wiki.example/r/");
    assert_eq!(own.code, 0, "{}", own.err);
    assert!(
        own.out
            .contains("runbook_url: https://wiki.example/r/TenantUnhealthy.md\n"),
        "{}",
        own.out
    );
    assert!(
        own.out.contains("\"https://g.example/d/mirador-tenant?"),
        "{}",
        own.out
    );
    assert!(!own.out.contains("externalURL"), "{}", own.out);
}
