//! The stage: a folder for files and logs, the upstreams, and where the router is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
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
    peer::{Kind, mirador},
    process::Process,
    upstream::{COUNTS, Counts},
};

/// For starting anything here.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(30);
/// Open files that ten thousand endpoints may take, with some to spare. More can't be had everywhere.
pub(crate) const FILES: u64 = 16_384;

/// Loopback networks of the endpoints: one for where tenants live, one for where they move to.
const HOMES: u32 = 0x7f01_0001;
const MOVED: u32 = 0x7f81_0001;

/// An upstream process and the port it listens on, at every loopback address.
#[derive(Debug)]
pub(crate) struct Upstream {
    port: u16,
    pub(crate) process: Process,
}

/// All that scenarios share.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) cpus: Cpus,
    pub(crate) mirador: PathBuf,
    /// One for each kind of peer, as each may keep connections to ten thousand endpoints and a
    /// process may have only so many.
    upstreams: Vec<Upstream>,
    // Dropped after the processes: nobody writes any more when the folder goes.
    folder: TempDir,
    /// Rooms given out so far.
    rooms: AtomicU32,
}

impl Lab {
    /// Finds or builds the programs and starts the upstreams.
    pub(crate) async fn open(build: mirador::Build) -> Result<Self, BenchError> {
        raise_file_limit()?;
        let mirador = mirador::find_or_build(build).await?;
        let folder = tempfile::Builder::new()
            .prefix("mirador-benches-")
            .tempdir();
        let folder = folder.map_err(|error| BenchError::io("make a temporary folder", error))?;
        let cpus = Cpus::share();
        let mut upstreams = Vec::new();
        for _ in Kind::ALL {
            upstreams.push(Upstream::start(cpus, folder.path()).await?);
        }
        Ok(Self {
            cpus,
            mirador,
            upstreams,
            folder,
            rooms: AtomicU32::new(0),
        })
    }

    /// Where files and logs go.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a folder of its own for something that is started.
    pub(crate) fn room(&self, name: &str) -> Result<PathBuf, BenchError> {
        let number = self.rooms.fetch_add(1, Ordering::Relaxed);
        let room = self.folder().join(format!("{name}-{number}"));
        let made = std::fs::create_dir(&room);
        made.map_err(|error| BenchError::io(format!("make {}", room.display()), error))?;
        Ok(room)
    }

    /// Where a tenant's endpoint is when that peer is measured: an address of its own.
    pub(crate) fn home(&self, kind: Kind, tenant: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(HOMES + tenant), self.port(kind)).into()
    }

    /// Where a tenant's endpoint may move to, or where its second one is.
    pub(crate) fn moved(&self, kind: Kind, tenant: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(MOVED + tenant), self.port(kind)).into()
    }

    /// Starts another upstream, to be ended or stopped.
    pub(crate) async fn upstream(&self) -> Result<Upstream, BenchError> {
        Upstream::start(self.cpus, self.folder()).await
    }

    fn port(&self, kind: Kind) -> u16 {
        let kinds = Kind::ALL.iter().zip(&self.upstreams);
        let own = kinds.filter(|(of, _)| **of == kind);
        own.map(|(_, upstream)| upstream.port).sum()
    }

    /// What the upstream of that peer has seen so far.
    pub(crate) async fn counts(&self, kind: Kind) -> Result<Counts, BenchError> {
        let whom = "the upstream";
        let failed = |source| BenchError::Http { whom, source };
        let opened = Connection::open(self.home(kind, 0)).await;
        let mut connection = opened.map_err(|error| failed(error.into()))?;
        let request = format!("GET {COUNTS} HTTP/1.1\r\nHost: upstream\r\n\r\n");
        let reply = connection.ask(request.as_bytes()).await.map_err(failed)?;
        serde_json::from_slice(reply.body).map_err(|_| BenchError::Unexpected {
            what: whom,
            text: String::from_utf8_lossy(reply.body).into_owned(),
        })
    }
}

impl Upstream {
    async fn start(cpus: Cpus, folder: &Path) -> Result<Self, BenchError> {
        let mut command = ourselves()?;
        command.arg("upstream");
        let mut process = Process::start_piped("upstream", command, cpus.upstream, folder)?;
        let port = told_port(&mut process).await?;
        Ok(Self { port, process })
    }

    /// Its address for a tenant that needs no other.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

/// Writes a whole file.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), BenchError> {
    std::fs::write(file, text)
        .map_err(|error| BenchError::io(format!("write {}", file.display()), error))
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
