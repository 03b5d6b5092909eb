//! A real Prometheus that scrapes a router.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{mirador::http_client, port::Port, process::Process, tools::tool};

/// A running Prometheus. Its job is `mirador`.
#[derive(Debug)]
pub(crate) struct Prometheus {
    port: Port,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these `host:port`s, and waits until it is ready.
    pub(crate) async fn scraping(targets: &[String]) -> Self {
        let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
        let config = folder.path().join("prometheus.yml");
        let text = serde_json::json!({
            "global": {"scrape_interval": "300ms"},
            "scrape_configs": [
                {"job_name": "mirador", "static_configs": [{"targets": targets}]},
            ],
        });
        fs::write(&config, text.to_string()).expect("its configuration");
        let mut command = Command::new(tool(&["prometheus"]));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={}", port.address()));
        let mut process = Process::spawn("prometheus", &mut command, folder.path());
        let ready = format!("{}/-/ready", port.url());
        process.until_ready(&http_client(), &ready).await;
        Self {
            port,
            _process: process,
            _folder: folder,
        }
    }

    /// The labels of what a query finds now.
    pub(crate) async fn query(&self, query: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.port.url());
        let asked = http_client().get(url).query(&[("query", query)]);
        let answer = asked.send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let found = answer["data"]["result"].as_array().cloned();
        let found = found.unwrap_or_default();
        found
            .iter()
            .map(|series| series["metric"].clone())
            .collect()
    }
}
