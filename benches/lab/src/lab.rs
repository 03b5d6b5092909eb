//! The stage: a folder for files and logs, the upstream, and where the programs are.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    cpus::Cpus,
    error::BenchError,
    http1::Connection,
    peer::{mirador, vmauth},
    process::Process,
    upstream::{COUNTS, Counts},
};

/// For starting anything here.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(30);
/// Open files that ten thousand endpoints may take, with some to spare.
const FILES: u64 = 16_384;

/// Loopback networks of the endpoints: one for where tenants live, one for where they move to.
const HOMES: u32 = 0x7f01_0001;
const MOVED: u32 = 0x7f81_0001;

/// All that scenarios share.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) cpus: Cpus,
    pub(crate) mirador: PathBuf,
    pub(crate) vmauth: PathBuf,
    upstream_port: u16,
    // Dropped in this order: nobody writes any more when the folder goes.
    _upstream: Process,
    folder: TempDir,
}

impl Lab {
    /// Finds or builds the programs and starts the upstream.
    pub(crate) async fn open() -> Result<Self, BenchError> {
        raise_file_limit()?;
        let vmauth = vmauth::find()?;
        let mirador = mirador::find_or_build().await?;
        let folder = tempfile::Builder::new()
            .prefix("mirador-benches-")
            .tempdir();
        let folder = folder.map_err(|error| BenchError::io("make a temporary folder", error))?;
        let cpus = Cpus::share();
        let mut command = ourselves()?;
        command.arg("upstream");
        let mut upstream = Process::start_piped("upstream", command, cpus.upstream, folder.path())?;
        let upstream_port = told_port(&mut upstream).await?;
        Ok(Self {
            cpus,
            mirador,
            vmauth,
            upstream_port,
            _upstream: upstream,
            folder,
        })
    }

    /// Where files and logs go.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and tells where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, BenchError> {
        let file = self.folder().join(name);
        let written = std::fs::write(&file, text);
        written.map_err(|error| BenchError::io(format!("write {}", file.display()), error))?;
        Ok(file)
    }

    /// Where a tenant's only endpoint is: an address of its own.
    pub(crate) fn home(&self, tenant: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(HOMES + tenant), self.upstream_port).into()
    }

    /// Where a tenant's only endpoint may move to.
    pub(crate) fn moved(&self, tenant: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(MOVED + tenant), self.upstream_port).into()
    }

    /// What the upstream has seen so far.
    pub(crate) async fn counts(&self) -> Result<Counts, BenchError> {
        let whom = "the upstream";
        let failed = |source| BenchError::Http { whom, source };
        let opened = Connection::open(self.home(0)).await;
        let mut connection = opened.map_err(|error| failed(error.into()))?;
        let request = format!("GET {COUNTS} HTTP/1.1\r\nHost: upstream\r\n\r\n");
        let reply = connection
            .exchange(request.as_bytes())
            .await
            .map_err(failed)?;
        serde_json::from_slice(reply.body).map_err(|_| BenchError::Unexpected {
            what: whom,
            text: String::from_utf8_lossy(reply.body).into_owned(),
        })
    }
}

/// The id of the tenant of that number.
pub(crate) fn tenant_id(number: u32) -> String {
    format!("tenant-{number:05}")
}

/// The bearer token of the tenant of that number, for proxies that tell tenants by it.
pub(crate) fn bearer_of(number: u32) -> String {
    format!("token-of-{}", tenant_id(number))
}

/// This program, to play another part.
pub(crate) fn ourselves() -> Result<Command, BenchError> {
    let program = std::env::current_exe();
    program
        .map(Command::new)
        .map_err(|error| BenchError::io("find this program", error))
}

async fn told_port(upstream: &mut Process) -> Result<u16, BenchError> {
    let out = upstream.child_mut().stdout.take();
    let mut line = String::new();
    if let Some(out) = out {
        let mut out = BufReader::new(out);
        // What was not said in time can't be understood either.
        let _ = timeout(START_LIMIT, out.read_line(&mut line)).await;
    }
    upstream.expect_running()?;
    line.trim().parse().map_err(|_| BenchError::Unexpected {
        what: "the upstream's port",
        text: line,
    })
}

/// As much as the system allows; whatever is started inherits it.
fn raise_file_limit() -> Result<(), BenchError> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Some(limit) = maximum
        && limit < FILES
    {
        return Err(BenchError::TooFewFiles {
            needed: FILES,
            limit,
        });
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .map_err(|error| BenchError::io("raise the limit of open files", error.into()))
}
