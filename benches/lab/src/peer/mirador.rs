//! Mirador as it is shipped: the release build with one worker and everything else by default,
//! its tenants in an `SQLite` file.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::process::Command;

use super::Peer;
use crate::{
    error::BenchError,
    http1::Connection,
    lab::{Lab, START_LIMIT, tenant_id},
    load::Identity,
    machine,
    port::Port,
    process::{Process, is_executable, until},
    progress,
};

/// The variable that names a program to measure.
const GIVEN: &str = "MIRADOR_BIN";
/// For writing all tenants into a new store.
const FILL_LIMIT: Duration = Duration::from_mins(5);

/// A running router.
#[derive(Debug)]
pub(crate) struct Mirador {
    pub(crate) peer: Peer,
    admin: SocketAddr,
    token: String,
    _ports: [Port; 2],
}

/// Whether a program is named instead of being built from this source.
pub(crate) fn is_given() -> bool {
    std::env::var_os(GIVEN).is_some()
}

/// The program that `MIRADOR_BIN` names, or else the release build of this source.
pub(crate) async fn find_or_build() -> Result<PathBuf, BenchError> {
    if let Some(named) = std::env::var_os(GIVEN) {
        let named = PathBuf::from(named);
        return if is_executable(&named) {
            Ok(named)
        } else {
            Err(BenchError::MissingTool {
                program: "mirador",
                place: named.display().to_string(),
                remedy: "MIRADOR_BIN must name a program, or be unset to have it built",
            })
        };
    }
    let target = target_directory()?;
    progress("building the router");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "router",
        "--target-dir",
    ]);
    build.arg(&target).stdin(Stdio::null());
    if let Some(commit) = machine::commit() {
        build.env("MIRADOR_REVISION", commit);
    }
    let status = build
        .status()
        .await
        .map_err(|error| BenchError::io("run cargo", error))?;
    if !status.success() {
        let log = "cargo has told above".into();
        return Err(BenchError::Ended {
            name: "the router's build".into(),
            status,
            log,
        });
    }
    Ok(target.join("release/mirador"))
}

/// Where cargo put this program: `<target>/<profile>/benches`.
fn target_directory() -> Result<PathBuf, BenchError> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| BenchError::io("find this program", error))?;
    let target = program.ancestors().nth(2);
    target
        .map(Path::to_owned)
        .ok_or_else(|| BenchError::Unexpected {
            what: "where this program lies",
            text: program.display().to_string(),
        })
}

/// Writes tenants, each with one endpoint of its own, into a new store, and tells how long the
/// router took for it.
pub(crate) async fn fill(lab: &Lab, tenants: u32) -> Result<(PathBuf, Duration), BenchError> {
    let mut documents = String::new();
    for number in 0..tenants {
        let (id, home) = (tenant_id(number), lab.home(number));
        // Writing into a `String` does not fail.
        let _ = write!(
            documents,
            "---\nid: {id}\ndeployments: {{metrics: {{endpoints: [\"http://{home}\"]}}}}\n"
        );
    }
    let store = lab.folder().join(format!("{tenants}-tenants.db"));
    let file = lab.write("tenants.yaml", &documents)?;
    let began = Instant::now();
    let files: &[PathBuf] = if tenants == 0 { &[] } else { &[file] };
    let router = start_with(lab, "mirador-filling", &store, files, FILL_LIMIT).await?;
    let took = began.elapsed();
    router.peer.stop().await?;
    Ok((store, took))
}

/// Starts a router on a store; `name` is for its files.
pub(crate) async fn start(lab: &Lab, name: &str, store: &Path) -> Result<Mirador, BenchError> {
    start_with(lab, name, store, &[], START_LIMIT).await
}

async fn start_with(
    lab: &Lab,
    name: &str,
    store: &Path,
    tenants: &[PathBuf],
    limit: Duration,
) -> Result<Mirador, BenchError> {
    let (public, admin) = (Port::take()?, Port::take()?);
    let token = fresh_token()?;
    let token_file = lab.write(&format!("{name}.token"), &token)?;
    // JSON is YAML.
    let config = json!({
        "listen": { "public": public.address(), "admin": admin.address() },
        "admin": { "token_file": token_file },
        "store": { "kind": "sqlite", "path": store },
        "workers": 1,
        "tenants": tenants,
    });
    let config = lab.write(&format!("{name}.yaml"), &config.to_string())?;
    let mut command = Command::new(&lab.mirador);
    command.arg("serve").arg("--config").arg(config);
    let process = Process::start(name, command, lab.cpus.proxy, lab.folder())?;
    let peer = Peer {
        name: "Mirador",
        address: public.address(),
        identity: Identity::Header,
        process: Some(process),
    };
    let admin_address = admin.address();
    let mut router = Mirador {
        peer,
        admin: admin_address,
        token,
        _ports: [public, admin],
    };
    router.wait_until_ready(limit).await?;
    Ok(router)
}

impl Mirador {
    /// A connection to the admin API.
    pub(crate) async fn admin(&self) -> Result<Admin<'_>, BenchError> {
        let opened = Connection::open(self.admin).await;
        let connection = opened.map_err(|error| asking(error.into()))?;
        Ok(Admin {
            connection,
            token: &self.token,
        })
    }

    async fn wait_until_ready(&mut self, limit: Duration) -> Result<(), BenchError> {
        let Self { peer, admin, .. } = self;
        until("mirador to be ready", limit, async || {
            if let Some(process) = &mut peer.process {
                process.expect_running()?;
            }
            let Ok(mut connection) = Connection::open(*admin).await else {
                return Ok(false);
            };
            let reply = connection
                .exchange(b"GET /readyz HTTP/1.1\r\nHost: mirador\r\n\r\n")
                .await;
            Ok(reply.is_ok_and(|reply| reply.status == 200))
        })
        .await
    }
}

/// A connection to a router's admin API.
#[derive(Debug)]
pub(crate) struct Admin<'a> {
    connection: Connection,
    token: &'a str,
}

impl Admin<'_> {
    /// Gives a tenant one endpoint for metrics, in place of what it had.
    pub(crate) async fn put(
        &mut self,
        tenant: u32,
        endpoint: SocketAddr,
    ) -> Result<(), BenchError> {
        let id = tenant_id(tenant);
        let endpoints = [format!("http://{endpoint}")];
        let body = json!({ "id": id, "deployments": { "metrics": { "endpoints": endpoints } } });
        let body = body.to_string();
        let request = format!(
            "PUT /api/v1/tenants/{id} HTTP/1.1\r\nHost: mirador\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let reply = self
            .connection
            .exchange(request.as_bytes())
            .await
            .map_err(asking)?;
        if reply.status == 200 {
            return Ok(());
        }
        let body = String::from_utf8_lossy(reply.body).into_owned();
        Err(BenchError::Refused {
            whom: "the admin API",
            status: reply.status,
            body,
        })
    }
}

fn asking(source: crate::http1::HttpError) -> BenchError {
    BenchError::Http {
        whom: "the admin API",
        source,
    }
}

fn fresh_token() -> Result<String, BenchError> {
    let file = "/proc/sys/kernel/random/uuid";
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| BenchError::io(format!("read {file}"), error))?;
    Ok(text.trim().to_owned())
}
