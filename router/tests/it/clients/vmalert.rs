//! `vmalert` asks for data and writes what its rules make of it.

use std::{fs, process::Command};

use super::{Metrics, export};
use crate::support::{eventually, port::Port, process::Process, tools::tool};

const RULES: &str = "\
groups:
- name: deals
  rules:
  - record: deals:sum
    expr: sum(deals)
";

#[tokio::test]
async fn a_recording_rule_reads_and_writes_at_its_own_tenant() {
    let world = Metrics::with_deals().await;
    let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, RULES).expect("a file of rules");
    let router = world.mirador.url("");
    let mut command = Command::new(tool(&["vmalert", "vmalert-prod"]));
    command
        .arg(format!("-httpListenAddr={}", port.address()))
        .arg(format!("-rule={}", rules.display()))
        .arg(format!("-datasource.url={router}"))
        .arg(format!("-remoteWrite.url={router}"))
        .args([
            "-datasource.headers=X-Tenant-ID:acme",
            "-remoteWrite.headers=X-Tenant-ID:acme",
            "-remoteWrite.flushInterval=100ms",
            "-evaluationInterval=1s",
            "-notifier.blackhole",
            "-memory.allowedBytes=32MB",
        ]);
    let _process = Process::spawn("vmalert", &mut command, folder.path());
    let recorded = eventually("recorded samples at acme's", async || {
        let samples = export(&world.acme, "deals:sum").await;
        (samples.len() > 1).then_some(samples)
    })
    .await;
    for (_, value) in &recorded {
        assert!((value - 3.0).abs() < 0.1, "{recorded:?}");
    }
    assert_eq!(export(&world.globex, "deals:sum").await, []);
}
