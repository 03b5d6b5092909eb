//! A real Alertmanager with a folder of its own.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{eventually, mirador::http_client, port::Port, process::Process, tools::tool};

/// A running Alertmanager that tells nobody.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    port: Port,
    _process: Process,
    _folder: TempDir,
}

/// An alert as it shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) fingerprint: String,
    pub(crate) starts_at: String,
    pub(crate) generator_url: String,
}

impl Alertmanager {
    /// Starts one, below the path `/am`, and waits until it is ready.
    pub(crate) async fn start() -> Self {
        let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
        let config = folder.path().join("alertmanager.yml");
        let text = "route: {receiver: nobody, group_by: [tenant]}\nreceivers: [{name: nobody}]\n";
        fs::write(&config, text).expect("its configuration");
        let mut command = Command::new(tool(&["alertmanager", "prometheus-alertmanager"]));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={}", port.address()))
            .args(["--web.route-prefix=/am", "--cluster.listen-address="]);
        let mut process = Process::spawn("alertmanager", &mut command, folder.path());
        let ready = format!("{}/am/-/ready", port.url());
        process.until_ready(&http_client(), &ready).await;
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// Where it begins.
    pub(crate) fn url(&self) -> String {
        format!("{}/am", self.port.url())
    }

    /// What is firing there, by labels.
    pub(crate) async fn alerts(&self) -> Vec<Shown> {
        let url = format!("{}/api/v2/alerts", self.url());
        let answer = http_client().get(url).send().await.expect("an answer");
        let list: Vec<Value> = answer.json().await.expect("a list");
        let mut alerts: Vec<Shown> = list.iter().map(shown).collect();
        alerts.sort_by(|a, b| a.labels.cmp(&b.labels));
        alerts
    }

    /// Waits until what is firing there is these signals, with these names, and answers the alerts.
    pub(crate) async fn until(&self, expected: &[(&str, &str)]) -> Vec<Shown> {
        eventually(&format!("Alertmanager to show {expected:?}"), async || {
            let alerts = self.alerts().await;
            let found = alerts.iter().map(|alert| {
                (
                    alert.labels["signal"].as_str(),
                    alert.labels["alertname"].as_str(),
                )
            });
            found.eq(expected.iter().copied()).then_some(alerts)
        })
        .await
    }
}

fn shown(alert: &Value) -> Shown {
    let text = |field: &str| alert[field].as_str().unwrap_or_default().to_owned();
    let map = |field: &str| serde_json::from_value(alert[field].clone()).expect("a map of texts");
    Shown {
        labels: map("labels"),
        annotations: map("annotations"),
        fingerprint: text("fingerprint"),
        starts_at: text("startsAt"),
        generator_url: text("generatorURL"),
    }
}
