//! The router as it is shipped, under callgrind: one worker, its tenants in a store of `SQLite`.
//!
//! Off the defaults are only what would add to the counts by the clock instead of by the request:
//! probes, and the re-reading of tenants that are older than half a minute.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    callgrind::Callgrind,
    error::CountError,
    progress,
    scenario::{Scenario, Tenants},
};

/// Tenants in the store; more than all scenarios ask for.
const TENANTS: u32 = 1000;
/// For writing all tenants into the store, and for starting under valgrind.
const START_LIMIT: Duration = Duration::from_mins(2);
/// The tenant whose reads can be hedged.
const TWO_ENDPOINTS: &str = "two-endpoints";
/// The variable that names a program to measure.
const GIVEN: &str = "MIRADOR_BIN";
/// What stands before the address in the line that the router prints when it is ready.
const READY: &str = "clients on ";

/// The folder with store, logs and dumps, and the program.
#[derive(Debug)]
pub(crate) struct Stage {
    program: PathBuf,
    folder: TempDir,
}

/// A router that serves.
#[derive(Debug)]
pub(crate) struct Router {
    address: SocketAddr,
    callgrind: Callgrind,
    /// Killed when dropped.
    process: Child,
    /// Kept open, so that the router may say more.
    _said: BufReader<ChildStdout>,
    next_tenant: u32,
}

impl Stage {
    /// Finds or builds the router, and writes the tenants into its store.
    pub(crate) async fn set(upstream: SocketAddr) -> Result<Self, CountError> {
        let program = find_or_build().await?;
        let folder = tempfile::Builder::new().prefix("mirador-counts-").tempdir();
        let folder = folder.map_err(|error| CountError::io("make a temporary folder", error))?;
        let stage = Self { program, folder };
        stage.fill(upstream).await?;
        Ok(stage)
    }

    /// Starts a router under callgrind that knows the tenants as `first` wants it. One for each scenario
    /// at the most, by whose name its files are known.
    pub(crate) async fn start(&self, first: Scenario) -> Result<Router, CountError> {
        let tenants = first.tenants;
        // Room for one tenant only: all others have to be read from the store.
        let capacity = match tenants {
            Tenants::Hit | Tenants::First | Tenants::Hedged => 100_000,
            Tenants::Miss => 1,
        };
        let hedging = tenants == Tenants::Hedged;
        let name = format!("router-{first}");
        let config = json!({
            "listen": { "public": "127.0.0.1:0", "admin": "none" },
            "store": { "path": self.store() },
            "workers": 1,
            "cache": { "soft_ttl": "1h", "capacity": capacity },
            // Under valgrind nothing is quick: none of the reads is late.
            "upstream": { "hedge": { "enabled": hedging, "initial_delay": "1m", "min_delay": "1m" } },
        });
        let config = self.write(&format!("{name}.yaml"), &config.to_string())?;
        let callgrind = Callgrind::find(self.folder.path(), &name)?;
        let (mut command, callgrind) = callgrind.over(&self.program);
        command.arg("serve").arg("--config").arg(config);
        let (mut process, mut said) = self.spawn(command, &name)?;
        let address = self
            .wait_until_ready(&mut process, &mut said, &name)
            .await?;
        let router = Router {
            address,
            callgrind: callgrind.of(process.id().unwrap_or_default()),
            process,
            _said: said,
            next_tenant: 1,
        };
        Ok(router)
    }

    /// What is measured.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("tenants.db")
    }

    /// By a router of its own, at full speed.
    async fn fill(&self, upstream: SocketAddr) -> Result<(), CountError> {
        let mut documents = String::new();
        for number in 0..TENANTS {
            // Writing into a `String` does not fail.
            let _ = write!(
                documents,
                "---\nid: {}\ndeployments: {{metrics: {{endpoints: [\"http://{upstream}\"], \
                 health_check: {{enabled: false}}}}}}\n",
                tenant_id(number)
            );
        }
        // Its second endpoint is never asked.
        let _ = write!(
            documents,
            "---\nid: {TWO_ENDPOINTS}\ndeployments: {{metrics: {{endpoints: [\"http://{upstream}\", \
             \"http://127.0.0.1:1\"], health_check: {{enabled: false}}}}}}\n"
        );
        let documents = self.write("tenants.yaml", &documents)?;
        let config = json!({
            "listen": { "public": "127.0.0.1:0", "admin": "none" },
            "store": { "path": self.store() },
            "workers": 1,
            "tenants": [documents],
        });
        let config = self.write("filling.yaml", &config.to_string())?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(config);
        let (mut process, mut said) = self.spawn(command, "filling")?;
        self.wait_until_ready(&mut process, &mut said, "filling")
            .await?;
        let killed = process.kill().await;
        killed.map_err(|error| CountError::io("stop the router that filled the store", error))
    }

    fn spawn(
        &self,
        mut command: Command,
        name: &str,
    ) -> Result<(Child, BufReader<ChildStdout>), CountError> {
        let log = std::fs::File::create(self.log(name));
        let log = log.map_err(|error| CountError::io("write a log", error))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut process = command
            .spawn()
            .map_err(|error| CountError::io("start the router", error))?;
        match process.stdout.take() {
            Some(out) => Ok((process, BufReader::new(out))),
            None => Err(CountError::Unexpected {
                what: "the router's output",
                text: "none".into(),
            }),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// Where it serves.
    async fn wait_until_ready(
        &self,
        process: &mut Child,
        said: &mut BufReader<ChildStdout>,
        name: &str,
    ) -> Result<SocketAddr, CountError> {
        let mut line = String::new();
        let read = timeout(START_LIMIT, said.read_line(&mut line)).await;
        let read = read.map_err(|_| CountError::TooLate {
            what: "the router to be ready",
            limit: START_LIMIT,
        })?;
        let read = read.map_err(|error| CountError::io("hear the router", error))?;
        if read == 0 {
            let status = process.wait().await;
            return Err(CountError::Ended {
                name: "the router",
                status: status.map_err(|error| CountError::io("wait for the router", error))?,
                log: last_lines(&self.log(name)),
            });
        }
        let address = line
            .split_once(READY)
            .and_then(|(_, rest)| rest.split([',', '\n']).next()?.parse().ok());
        address.ok_or(CountError::Unexpected {
            what: "where the router serves",
            text: line,
        })
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, CountError> {
        let file = self.folder.path().join(name);
        let written = std::fs::write(&file, text);
        written.map_err(|error| CountError::io(format!("write {}", file.display()), error))?;
        Ok(file)
    }
}

impl Router {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn callgrind(&mut self) -> &mut Callgrind {
        &mut self.callgrind
    }

    /// Who asks the next `count` requests.
    pub(crate) fn tenants(
        &mut self,
        tenants: Tenants,
        count: u32,
    ) -> impl Iterator<Item = String> + use<> {
        let (first, step) = match tenants {
            Tenants::Hit | Tenants::Hedged => (0, 0),
            Tenants::First | Tenants::Miss => (self.next_tenant, 1),
        };
        self.next_tenant += count * step;
        (0..count).map(move |number| match tenants {
            Tenants::Hedged => TWO_ENDPOINTS.into(),
            _ => tenant_id(first + number * step),
        })
    }

    pub(crate) async fn stop(mut self) -> Result<(), CountError> {
        let killed = self.process.kill().await;
        killed.map_err(|error| CountError::io("stop the router", error))
    }
}

fn tenant_id(number: u32) -> String {
    format!("tenant-{number:05}")
}

/// The program that `MIRADOR_BIN` names, or else the release build of this source.
async fn find_or_build() -> Result<PathBuf, CountError> {
    if let Some(named) = std::env::var_os(GIVEN) {
        let named = PathBuf::from(named);
        return if named.is_file() {
            Ok(named)
        } else {
            Err(CountError::MissingTool {
                program: named.display().to_string(),
                remedy: "MIRADOR_BIN must name a program, or be unset to have it built",
            })
        };
    }
    let target = target_directory()?;
    progress("building the router");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // Of this package, by `cargo run`. Build scripts go by it, and would have half of the router
    // compiled once more whenever it was built by hand in between.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&*name);
        }
    }
    build
        .args(["build", "--release", "--locked", "--package", "router"])
        .arg("--target-dir")
        .arg(&target)
        .stdin(Stdio::null());
    let status = build
        .status()
        .await
        .map_err(|error| CountError::io("run cargo", error))?;
    if !status.success() {
        return Err(CountError::Ended {
            name: "the router's build",
            status,
            log: "cargo has told above".into(),
        });
    }
    Ok(target.join("release/mirador"))
}

/// Where cargo put this program: `<target>/<profile>/counts`.
fn target_directory() -> Result<PathBuf, CountError> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| CountError::io("find this program", error))?;
    let target = program.ancestors().nth(2).map(Path::to_owned);
    target.ok_or_else(|| CountError::Unexpected {
        what: "where this program lies",
        text: program.display().to_string(),
    })
}

fn last_lines(log: &Path) -> String {
    const LINES: usize = 8;
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let from = text.lines().count().saturating_sub(LINES);
    text.lines().skip(from).collect::<Vec<_>>().join("\n")
}
