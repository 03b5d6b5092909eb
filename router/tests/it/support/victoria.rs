//! Real `VictoriaMetrics` and `VictoriaLogs` with a folder of their own.

use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{mirador::http_client, port::Port, process::Process, tools::tool};

/// A running backend.
#[derive(Debug)]
pub(crate) struct Victoria {
    pub(crate) process: Process,
    kind: Kind,
    port: Port,
    folder: TempDir,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Metrics,
    Logs,
    /// A `VictoriaMetrics` that takes any free space for too little.
    FullDisk,
}

impl Victoria {
    /// Starts a `VictoriaMetrics`.
    pub(crate) async fn metrics() -> Self {
        Self::start(Kind::Metrics).await
    }

    /// Starts a `VictoriaLogs`.
    pub(crate) async fn logs() -> Self {
        Self::start(Kind::Logs).await
    }

    /// Starts a `VictoriaMetrics` that has too little disk space to take data.
    pub(crate) async fn with_full_disk() -> Self {
        Self::start(Kind::FullDisk).await
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.port.url()
    }

    /// Imports lines of the text format of Prometheus straight into `VictoriaMetrics`.
    pub(crate) async fn import_metrics(&self, lines: &str) {
        assert_eq!(self.kind, Kind::Metrics);
        self.post("/api/v1/import/prometheus", lines.to_owned())
            .await;
        self.flush().await;
    }

    /// Makes everything written so far visible to queries.
    pub(crate) async fn flush(&self) {
        let _ = self.fetch("/internal/force_flush").await;
    }

    /// Asks it directly.
    pub(crate) async fn fetch(&self, path: &str) -> String {
        let reply = http_client()
            .get(self.url() + path)
            .send()
            .await
            .expect("an answer");
        let status = reply.status();
        let text = reply.text().await.expect("a whole body");
        assert!(status.is_success(), "{path} answered {status}: {text}");
        text
    }

    /// Kills it; connecting is refused from now on.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops it in its tracks: it accepts nothing and answers nothing, but its port stays open.
    pub(crate) fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Starts it again on its old port with its old data.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        self.process = spawn(self.kind, &self.port, &self.folder);
        until_healthy(&mut self.process, &self.port).await;
    }

    async fn start(kind: Kind) -> Self {
        let port = Port::take();
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = spawn(kind, &port, &folder);
        until_healthy(&mut process, &port).await;
        Self {
            process,
            kind,
            port,
            folder,
        }
    }

    async fn post(&self, path: &str, body: String) {
        let url = self.url() + path;
        let reply = http_client()
            .post(url)
            .body(body)
            .send()
            .await
            .expect("an answer");
        let status = reply.status();
        assert!(
            status.is_success(),
            "{path} answered {status}: {:?}",
            reply.text().await
        );
    }
}

fn spawn(kind: Kind, port: &Port, folder: &TempDir) -> Process {
    let (name, program) = match kind {
        Kind::Metrics | Kind::FullDisk => (
            "metrics",
            tool(&["victoria-metrics", "victoria-metrics-prod"]),
        ),
        Kind::Logs => ("logs", tool(&["victoria-logs", "victoria-logs-prod"])),
    };
    let mut command = Command::new(program);
    command
        .arg(format!("-httpListenAddr={}", port.address()))
        .arg(format!(
            "-storageDataPath={}",
            folder.path().join("data").display()
        ))
        .args([
            "-retentionPeriod=10y",
            "-memory.allowedBytes=64MB",
            "-loggerLevel=WARN",
        ]);
    if kind == Kind::FullDisk {
        command.arg("-storage.minFreeDiskSpaceBytes=1000TB");
    }
    Process::spawn(name, &mut command, folder.path())
}

async fn until_healthy(process: &mut Process, port: &Port) {
    let healthy = port.url() + "/health";
    process.until_ready(&http_client(), &healthy).await;
}
