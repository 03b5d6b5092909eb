//! The real `VictoriaTraces`, where somebody has one: `MIRADOR_TEST_VICTORIA_TRACES` names it.

use std::{env, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::support::{eventually, mirador::http_client, port::Port, process::Process};

/// A running server.
#[derive(Debug)]
pub(crate) struct RealTraces {
    port: Port,
    _process: Process,
    _folder: TempDir,
}

impl RealTraces {
    /// Starts one, if there is one.
    pub(crate) async fn start() -> Option<Self> {
        let program = PathBuf::from(env::var_os("MIRADOR_TEST_VICTORIA_TRACES")?);
        let port = Port::take();
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let mut command = Command::new(program);
        command
            .arg(format!("-httpListenAddr={}", port.address()))
            .arg(format!("-storageDataPath={}", data.display()))
            .args(["-retentionPeriod=10y", "-loggerLevel=WARN"]);
        let process = Process::spawn("traces", &mut command, folder.path());
        let (http, health) = (http_client(), port.url() + "/health");
        eventually("VictoriaTraces to be healthy", async || {
            let reply = http.get(&health).send().await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
        Some(Self {
            port,
            _process: process,
            _folder: folder,
        })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.port.url()
    }

    /// Makes everything written so far visible to queries.
    pub(crate) async fn flush(&self) {
        let url = self.url() + "/internal/force_flush";
        let reply = http_client().get(url).send().await.expect("an answer");
        assert!(reply.status().is_success(), "{reply:?}");
    }
}
