//! One real backend: its port, its data in the sandbox, its life.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tenant_store::model::Signal;
use tokio::process::Command;

use super::{
    DemoError,
    client::Client,
    port::Port,
    sandbox::{ProcessId, Sandbox},
    wait::until,
};

/// How long a backend may take to answer its health check after it was started.
const START: Duration = Duration::from_secs(30);

/// A backend with one tenant's one signal.
#[derive(Debug)]
pub(super) struct Backend {
    signal: Signal,
    port: Port,
    program: PathBuf,
    data: PathBuf,
    process: ProcessId,
}

impl Backend {
    /// Starts `program`; `name` is that of its data and log in the sandbox.
    pub(super) fn start(
        name: &str,
        signal: Signal,
        program: PathBuf,
        sandbox: &mut Sandbox,
    ) -> Result<Self, DemoError> {
        let port = Port::take()?;
        let data = sandbox.folder().join(name);
        let process = sandbox.start(name, &mut command(&program, &port, &data))?;
        Ok(Self {
            signal,
            port,
            program,
            data,
            process,
        })
    }

    /// Starts it again after its end: the same port, the same data.
    pub(super) fn start_again(&self, sandbox: &mut Sandbox) -> Result<(), DemoError> {
        let mut command = command(&self.program, &self.port, &self.data);
        sandbox.start_again(self.process, &mut command)
    }

    /// Waits until it says that it is healthy.
    pub(super) async fn until_healthy(
        &self,
        client: &Client,
        sandbox: &mut Sandbox,
    ) -> Result<(), DemoError> {
        let what = format!(
            "the {} backend at {} to be healthy",
            self.signal,
            self.authority()
        );
        until(&what, START, async || {
            sandbox.expect_running(self.process)?;
            Ok(client.direct(&self.url()).is_healthy().await.then_some(()))
        })
        .await
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    pub(super) fn process(&self) -> ProcessId {
        self.process
    }

    /// `http://127.0.0.1:port`.
    pub(super) fn url(&self) -> String {
        self.port.url()
    }

    /// `127.0.0.1:port`, as the router's metrics name it.
    pub(super) fn authority(&self) -> String {
        self.port.address().to_string()
    }
}

fn command(program: &Path, port: &Port, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg(format!("-httpListenAddr={}", port.address()))
        .arg(format!("-storageDataPath={}", data.display()))
        // For its caches; the default is most of the machine.
        .args(["-memory.allowedBytes=128MB", "-loggerLevel=WARN"]);
    command
}
