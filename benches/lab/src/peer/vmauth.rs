//! vmauth, the `VictoriaMetrics` project's own proxy, as its documentation recommends it for
//! tenants: a bearer token for each.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::Peer;
use crate::{
    error::BenchError,
    http1::Connection,
    lab::{Lab, START_LIMIT, bearer_of},
    load::Identity,
    port::Port,
    process::{Process, is_executable, on_path, until},
};

const NAMES: [&str; 2] = ["vmauth", "vmauth-prod"];

/// A running vmauth.
#[derive(Debug)]
pub(crate) struct Vmauth {
    pub(crate) peer: Peer,
    _port: Port,
}

/// In the directory that `MIRADOR_TOOLS_BIN` names, or on `PATH`.
pub(crate) fn find() -> Result<PathBuf, BenchError> {
    let tools = std::env::var_os("MIRADOR_TOOLS_BIN").map(PathBuf::from);
    let installed = tools.as_deref().map(|tools| tools.join(NAMES[0]));
    installed
        .filter(|file| is_executable(file))
        .or_else(|| NAMES.into_iter().find_map(on_path))
        .ok_or_else(|| BenchError::MissingTool {
            program: NAMES[0],
            place: tools.map_or_else(
                || "PATH (MIRADOR_TOOLS_BIN is not set)".into(),
                |tools| format!("{} (MIRADOR_TOOLS_BIN) and PATH", tools.display()),
            ),
            remedy: "run `make lab`, which installs it, or put it on PATH",
        })
}

/// The version, as the program or the directory it was installed into tells it.
pub(crate) fn version(program: &Path) -> String {
    let said = std::process::Command::new(program).arg("-version").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned());
    if let Some(said) = said.ok().filter(|said| !said.is_empty()) {
        return said;
    }
    // Debian's build says nothing.
    let directory = program.canonicalize().ok().and_then(|program| {
        let directory = program.parent()?.file_name()?.to_str()?;
        Some(directory.strip_prefix("victoria-metrics-")?.to_owned())
    });
    directory.unwrap_or_else(|| "of unknown version".into())
}

/// Starts it for that many tenants, each with one endpoint of its own.
pub(crate) async fn start(lab: &Lab, tenants: u32) -> Result<Vmauth, BenchError> {
    let mut config = String::from("users:\n");
    for number in 0..tenants {
        let (token, home) = (bearer_of(number), lab.home(number));
        // Writing into a `String` does not fail.
        let _ = write!(
            config,
            "- bearer_token: {token}\n  url_prefix: http://{home}/\n"
        );
    }
    let config = lab.write("vmauth.yaml", &config)?;
    let port = Port::take()?;
    let mut command = Command::new(&lab.vmauth);
    command
        .env("GOMAXPROCS", "1")
        .arg(format!("-auth.config={}", config.display()))
        .arg(format!("-httpListenAddr={}", port.address()));
    let mut process = Process::start("vmauth", command, lab.cpus.proxy, lab.folder())?;
    until("vmauth to be ready", START_LIMIT, async || {
        process.expect_running()?;
        let Ok(mut connection) = Connection::open(port.address()).await else {
            return Ok(false);
        };
        let reply = connection
            .exchange(b"GET /health HTTP/1.1\r\nHost: vmauth\r\n\r\n")
            .await;
        Ok(reply.is_ok_and(|reply| reply.status == 200))
    })
    .await?;
    let peer = Peer {
        name: "vmauth",
        address: port.address(),
        identity: Identity::Bearer,
        process: Some(process),
    };
    Ok(Vmauth { peer, _port: port })
}
