//! Mirador as it is shipped (`make release`), with one worker and everything else by default, but for
//! the two limits that many tenants need raised; its tenants in an `SQLite` file.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Control, Kind, Peer, Setup, setup::CHECK_SECONDS};
use crate::{
    error::BenchError,
    http1::Connection,
    lab::{Lab, START_LIMIT, tenant_id, write},
    machine,
    port::Port,
    process::{Process, is_executable, until},
    progress,
};

/// The variable that names a program to measure.
const GIVEN: &str = "MIRADOR_BIN";
/// For writing all tenants into a new store.
const FILL_LIMIT: Duration = Duration::from_mins(20);

/// Tenants that are asked at most, of however many a store holds.
pub(crate) const MOST_ASKED: u32 = 10_000;

/// What bounds how many tenants are fully served: each with an idle connection to its endpoint,
/// and with metrics of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// `upstream.max_idle`.
    pub(crate) max_idle: u32,
    /// `metrics.max_tenants`.
    pub(crate) max_tenants: u32,
}

/// What they are by default.
pub(crate) const DEFAULT_LIMITS: Limits = Limits {
    max_idle: 4096,
    max_tenants: 1000,
};

impl Limits {
    /// By default, or as many as there are tenants to ask.
    pub(crate) fn of(tenants: u32) -> Self {
        let asked = tenants.min(MOST_ASKED);
        Self {
            max_idle: DEFAULT_LIMITS.max_idle.max(asked),
            max_tenants: DEFAULT_LIMITS.max_tenants.max(asked),
        }
    }
}

/// A running router's admin API.
#[derive(Debug)]
pub(crate) struct Api {
    address: SocketAddr,
    token: String,
}

/// A store with tenants in it.
#[derive(Debug)]
pub(crate) struct Store {
    file: PathBuf,
    /// How long a new router took to write them all into it and be ready.
    pub(crate) filling: Duration,
}

/// Whether a program is named instead of being built from this source.
pub(crate) fn is_given() -> bool {
    std::env::var_os(GIVEN).is_some()
}

/// How the router is built where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Once.
    Plain,
    /// As it is shipped: by a profile of it under load, which takes more than twice as long.
    Shipped,
}

/// The program that `MIRADOR_BIN` names, or else one built from this source.
pub(crate) async fn find_or_build(how: Build) -> Result<PathBuf, BenchError> {
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
    let (mut build, program) = match how {
        Build::Plain => {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--release", "--locked", "--package", "router"]);
            (build, "release/mirador")
        }
        Build::Shipped => (Command::new("scripts/release"), "optimized/mirador"),
    };
    // Of this package, by `cargo run`. Build scripts go by it, and would have half of the router
    // compiled once more whenever it was built by hand in between.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&*name);
        }
    }
    build.env("CARGO_TARGET_DIR", &target).stdin(Stdio::null());
    if let Some(commit) = machine::commit() {
        build.env("MIRADOR_REVISION", commit);
    }
    let status = build
        .status()
        .await
        .map_err(|error| BenchError::io("build the router", error))?;
    if !status.success() {
        let log = "what it said stands above".into();
        return Err(BenchError::Ended {
            name: "the router's build".into(),
            status,
            log,
        });
    }
    Ok(target.join(program))
}

/// Where cargo put this program: `<target>/<profile>/lab`.
pub(crate) fn target_directory() -> Result<PathBuf, BenchError> {
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

/// Starts a router on a new store with the tenants in it.
pub(super) async fn start(lab: &Lab, setup: &Setup) -> Result<Peer, BenchError> {
    let store = fill(lab, setup).await?;
    start_on(lab, &store, setup).await
}

/// Bytes at which a tenant file is full: a router takes no longer ones than 32 MiB.
const FULL: usize = 16 << 20;

/// Writes the tenants into a new store by way of a router.
pub(crate) async fn fill(lab: &Lab, setup: &Setup) -> Result<Store, BenchError> {
    let room = lab.room("store")?;
    let file = room.join("mirador.db");
    let (mut files, mut documents) = (Vec::new(), String::new());
    let mut tenants = setup.tenants().peekable();
    while let Some((number, endpoints)) = tenants.next() {
        // JSON is YAML.
        let document = tenant(number, endpoints, setup.live_tails);
        // Writing into a `String` does not fail.
        let _ = writeln!(documents, "---\n{document}");
        if documents.len() >= FULL || tenants.peek().is_none() {
            let full = room.join(format!("tenants-{}.yaml", files.len()));
            write(&full, &documents)?;
            documents.clear();
            files.push(full);
        }
    }
    let began = Instant::now();
    let router = run(lab, setup, &file, &files, FILL_LIMIT).await?;
    let filling = began.elapsed();
    router.stop().await?;
    Ok(Store { file, filling })
}

/// Starts a router on a store that may be shared. Of `setup`, it takes how to listen.
pub(crate) async fn start_on(lab: &Lab, store: &Store, setup: &Setup) -> Result<Peer, BenchError> {
    run(lab, setup, &store.file, &[], START_LIMIT).await
}

/// Starts a router on a store, as [`start_on`] does, and does not wait for it.
pub(crate) fn launch_on(lab: &Lab, store: &Store, setup: &Setup) -> Result<Peer, BenchError> {
    launch(lab, setup, &store.file, &[])
}

async fn run(
    lab: &Lab,
    setup: &Setup,
    store: &Path,
    tenants: &[PathBuf],
    limit: Duration,
) -> Result<Peer, BenchError> {
    let mut router = launch(lab, setup, store, tenants)?;
    until("mirador to be ready", limit, async || {
        router.expect_running()?;
        let Control::Mirador(api) = &router.control else {
            return Ok(false);
        };
        let Ok(mut connection) = Connection::open(api.address).await else {
            return Ok(false);
        };
        let reply = connection
            .ask(b"GET /readyz HTTP/1.1\r\nHost: mirador\r\n\r\n")
            .await;
        Ok(reply.is_ok_and(|reply| reply.status == 200))
    })
    .await?;
    Ok(router)
}

fn launch(lab: &Lab, setup: &Setup, store: &Path, tenants: &[PathBuf]) -> Result<Peer, BenchError> {
    let (public, admin) = (Port::take()?, Port::take()?);
    let room = lab.room("mirador")?;
    let token = fresh_token()?;
    let token_file = room.join("token");
    write(&token_file, &token)?;
    let tls = setup
        .tls
        .as_ref()
        .map(|tls| json!({ "cert_file": tls.cert, "key_file": tls.key }));
    let mut listener = json!({ "address": public.address() });
    if let Some(tls) = tls {
        listener["tls"] = tls;
    }
    let limits = Limits::of(setup.count());
    // JSON is YAML.
    let config = json!({
        "listen": { "public": listener, "admin": admin.address() },
        "admin": { "token_file": token_file },
        "store": { "kind": "sqlite", "path": store },
        "cache": { "capacity": setup.capacity },
        "workers": setup.workers,
        "upstream": {
            "max_idle": limits.max_idle,
            "hedge": { "enabled": setup.hedging },
        },
        "metrics": { "max_tenants": limits.max_tenants },
        "tenants": tenants,
    });
    let file = room.join("mirador.yaml");
    write(&file, &config.to_string())?;
    let mut command = Command::new(&lab.mirador);
    command.arg("serve").arg("--config").arg(file);
    let process = Process::start("mirador", command, lab.cpus.proxy, &room)?;
    let admin_address = admin.address();
    Ok(Peer {
        kind: Kind::Mirador,
        address: public.address(),
        setup: setup.clone(),
        process: Some(process),
        control: Control::Mirador(Api {
            address: admin_address,
            token,
        }),
        _ports: vec![public, admin],
    })
}

impl Peer {
    /// A connection to the admin API; only Mirador has one.
    pub(crate) async fn admin(&self) -> Result<Admin<'_>, BenchError> {
        match &self.control {
            Control::Mirador(api) => api.connect().await,
            _ => Err(BenchError::Unexpected {
                what: "whose admin API to ask",
                text: self.kind.name().into(),
            }),
        }
    }
}

impl Api {
    pub(super) async fn connect(&self) -> Result<Admin<'_>, BenchError> {
        let opened = Connection::open(self.address).await;
        let connection = opened.map_err(|error| asking(error.into()))?;
        Ok(Admin {
            connection,
            token: &self.token,
        })
    }
}

/// A connection to a router's admin API.
#[derive(Debug)]
pub(crate) struct Admin<'a> {
    connection: Connection,
    token: &'a str,
}

impl Admin<'_> {
    /// Gives a tenant these endpoints for metrics, in place of what it had.
    pub(crate) async fn put(
        &mut self,
        number: u32,
        endpoints: &[SocketAddr],
    ) -> Result<(), BenchError> {
        let id = tenant_id(number);
        let body = tenant(number, endpoints, false).to_string();
        let request = format!(
            "PUT /api/v1/tenants/{id} HTTP/1.1\r\nHost: mirador\r\nAuthorization: Bearer {}\r\n\
             If-Match: *\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let reply = self
            .connection
            .ask(request.as_bytes())
            .await
            .map_err(asking)?;
        if matches!(reply.status, 200 | 201) {
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

/// A tenant's document. Endpoints among which there is a choice are looked at as often as by the
/// other peers that look at theirs.
fn tenant(number: u32, endpoints: &[SocketAddr], live_tails: bool) -> Value {
    let urls: Vec<String> = endpoints
        .iter()
        .map(|endpoint| format!("http://{endpoint}"))
        .collect();
    let mut deployment = json!({ "endpoints": urls });
    if endpoints.len() > 1 {
        let interval = format!("{CHECK_SECONDS}s");
        deployment["health_check"] = json!({ "interval": interval, "timeout": interval });
    }
    let mut deployments = json!({ "metrics": deployment });
    if live_tails {
        deployments["logs"] = deployment;
    }
    json!({ "id": tenant_id(number), "deployments": deployments })
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
