//! The load generator: a fixed number of requests over a fixed number of keep-alive connections,
//! each sending its next request when it has the whole answer to the one before.
//!
//! It runs in a process of its own. [`run`] is that process; [`Load`] is how the director holds
//! it: ready, then go, so that neither connecting nor disconnecting is measured.

pub(crate) mod generator;
pub(crate) mod hold;
pub(crate) mod multiplex;
pub(crate) mod paced;
pub(crate) mod storm;
pub(crate) mod target;
pub(crate) mod transfer;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdout, Command},
    sync::Barrier,
    task::JoinSet,
    time::timeout,
};

use self::target::Target;
use crate::{
    error::BenchError,
    http1::{Connection, HttpError, wire::Sessions},
    lab::{bearer_of, tenant_id},
    process::{Process, end_with_parent},
    say,
    stats::percentile,
    upstream::BODY,
};

/// Longest that one load may take.
const LIMIT: Duration = Duration::from_mins(5);

/// What to send.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadSpec {
    /// Where to
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// Connections, each with one request at a time
    #[arg(long)]
    pub(crate) connections: u32,
    /// Requests that are measured, on all connections together
    #[arg(long)]
    pub(crate) requests: u32,
    /// Requests per connection that are sent before
    #[arg(long)]
    pub(crate) warm_up: u32,
    /// Tenants that take turns
    #[arg(long)]
    pub(crate) tenants: u32,
    /// How a request tells its tenant
    #[arg(long, value_enum)]
    pub(crate) identity: Identity,
    /// PEM file of the certificate it shows, if it speaks TLS
    #[arg(long)]
    pub(crate) certificate: Option<PathBuf>,
}

/// How a request tells its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Identity {
    /// `X-Tenant-ID`, as Mirador wants it.
    Header,
    /// A bearer token, as vmauth wants it.
    Bearer,
}

/// How it went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadResult {
    pub(crate) requests: u32,
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// From a request to the end of its answer.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) failed: u32,
    /// How the first one failed, if any did.
    pub(crate) first_failure: String,
}

/// A generator that is connected, warmed up, and waits.
#[derive(Debug)]
pub(crate) struct Load {
    process: Process,
    said: Lines<BufReader<ChildStdout>>,
    whom: String,
}

impl Load {
    /// Starts a generator and waits until it is ready.
    pub(crate) async fn prepare(
        spec: &LoadSpec,
        whom: &str,
        cpu: Option<u32>,
        folder: &std::path::Path,
    ) -> Result<Self, BenchError> {
        let mut process = Process::start_piped("generator", spec.command()?, cpu, folder)?;
        let said = process
            .child_mut()
            .stdout
            .take()
            .map(|out| BufReader::new(out).lines());
        let said = said.ok_or_else(|| BenchError::Unexpected {
            what: "the generator",
            text: "no standard output".into(),
        })?;
        let mut load = Self {
            process,
            said,
            whom: whom.into(),
        };
        let line = load.listen().await?;
        if line == READY {
            Ok(load)
        } else {
            Err(unexpected(line))
        }
    }

    /// Lets it go and waits for what it measured. Any failure fails it all.
    pub(crate) async fn go(&mut self) -> Result<LoadResult, BenchError> {
        if let Some(stdin) = &mut self.process.child_mut().stdin {
            let told = stdin.write_all(b"go\n").await;
            told.map_err(|error| BenchError::io("talk to the generator", error))?;
        }
        let line = self.listen().await?;
        let result: LoadResult = serde_json::from_str(&line).map_err(|_| unexpected(line))?;
        if result.failed > 0 {
            return Err(BenchError::LoadFailed {
                whom: self.whom.clone(),
                failed: result.failed,
                asked: result.requests,
                first: result.first_failure,
            });
        }
        Ok(result)
    }

    /// Closes its connections.
    pub(crate) async fn end(self) -> Result<(), BenchError> {
        self.process.stop().await
    }

    async fn listen(&mut self) -> Result<String, BenchError> {
        match timeout(LIMIT, self.said.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => {
                self.process.expect_end().await?;
                Err(unexpected(String::new()))
            }
            Ok(Err(error)) => Err(BenchError::io("listen to the generator", error)),
            Err(_) => {
                let what = format!("the load on {}", self.whom);
                Err(BenchError::TooLate { what, limit: LIMIT })
            }
        }
    }
}

impl LoadSpec {
    fn command(&self) -> Result<Command, BenchError> {
        let Self {
            target,
            connections,
            requests,
            warm_up,
            tenants,
            identity,
            certificate,
        } = self;
        let mut command = crate::lab::ourselves()?;
        command
            .arg("load")
            .args(["--target", &target.to_string()])
            .args(["--connections", &connections.to_string()])
            .args(["--requests", &requests.to_string()])
            .args(["--warm-up", &warm_up.to_string()])
            .args(["--tenants", &tenants.to_string()]);
        let identity = identity.to_possible_value();
        if let Some(identity) = identity {
            command.args(["--identity", identity.get_name()]);
        }
        if let Some(certificate) = certificate {
            command.arg("--certificate").arg(certificate);
        }
        Ok(command)
    }

    /// The whole request of each tenant.
    fn requests(&self) -> Vec<Vec<u8>> {
        let one = |number| request(self.target, self.identity, number).into_bytes();
        (0..self.tenants).map(one).collect()
    }
}

/// The request that is measured: an instant query as Grafana's health check sends it.
pub(crate) fn request(target: SocketAddr, identity: Identity, tenant: u32) -> String {
    let identity = match identity {
        Identity::Header => format!("X-Tenant-ID: {}", tenant_id(tenant)),
        Identity::Bearer => format!("Authorization: Bearer {}", bearer_of(tenant)),
    };
    format!(
        "GET /api/v1/query?query=1%2B1 HTTP/1.1\r\nHost: {target}\r\nUser-Agent: benches\r\n\
         Accept: application/json\r\n{identity}\r\n\r\n"
    )
}

/// Plays the generator: connects, warms up, says that it is ready, and goes when told.
pub(crate) async fn run(spec: &LoadSpec) -> Result<(), BenchError> {
    end_with_parent()?;
    let plan = Arc::new(Plan {
        requests: spec.requests(),
        total: spec.requests,
        next: AtomicU32::new(0),
    });
    let connections = usize::try_from(spec.connections).unwrap_or(usize::MAX);
    let start = Arc::new(Barrier::new(connections + 1));
    let mut clients = JoinSet::new();
    for number in 0..spec.connections {
        let connecting = connect(spec, &plan, number).await;
        let mut connection = connecting.map_err(|source| BenchError::Http {
            whom: "the target, to warm up",
            source,
        })?;
        let (plan, start) = (plan.clone(), start.clone());
        clients.spawn(async move {
            start.wait().await;
            // Kept open until all are done: closing is not measured.
            (plan.work_off(&mut connection).await, connection)
        });
    }
    say(&format!("{READY}\n"))?;
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    let doing = |error| BenchError::io("listen to the director", error);
    if told.next_line().await.map_err(doing)?.is_none() {
        return Ok(());
    }
    let began = Instant::now();
    start.wait().await;
    let mut tally = Tally::default();
    let mut open = Vec::new();
    while let Some(Ok((part, connection))) = clients.join_next().await {
        tally.add(part);
        open.push(connection);
    }
    let result = tally.result(spec.requests, began.elapsed());
    let line = serde_json::to_string(&result)
        .map_err(|error| BenchError::io("tell the result", error.into()))?;
    say(&format!("{line}\n"))?;
    // The director measures the proxy before it lets go of us.
    told.next_line().await.map_err(doing)?;
    Ok(())
}

const READY: &str = "ready";

/// What the connections share.
#[derive(Debug)]
struct Plan {
    /// By tenant.
    requests: Vec<Vec<u8>>,
    total: u32,
    next: AtomicU32,
}

/// What was measured on some connections.
#[derive(Debug, Default)]
struct Tally {
    nanoseconds: Vec<u64>,
    failed: u32,
    first_failure: Option<String>,
}

async fn connect(spec: &LoadSpec, plan: &Plan, number: u32) -> Result<Connection, HttpError> {
    let target = Target {
        address: spec.target,
        identity: spec.identity,
        certificate: spec.certificate.clone(),
    };
    let tls = target.tls("http/1.1", Sessions::Fresh)?;
    let mut connection = target.connect(number, tls.as_ref()).await?;
    for round in 0..spec.warm_up {
        if let Some(failure) = ask(&mut connection, plan.request(number + round)).await {
            return Err(HttpError::Head(failure));
        }
    }
    Ok(connection)
}

impl Plan {
    fn request(&self, number: u32) -> &[u8] {
        let tenants = self.requests.len().max(1);
        let tenant = usize::try_from(number).unwrap_or_default() % tenants;
        self.requests.get(tenant).map_or(&[], Vec::as_slice)
    }

    /// Sends what is still to be sent. A connection that failed sends no more.
    async fn work_off(&self, connection: &mut Connection) -> Tally {
        let mut tally = Tally::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.total {
                return tally;
            }
            let began = Instant::now();
            let failure = ask(connection, self.request(number)).await;
            tally
                .nanoseconds
                .push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
            if failure.is_some() {
                tally.failed += 1;
                tally.first_failure = failure;
                return tally;
            }
        }
    }
}

/// Sends one request, and tells how it failed if it did.
async fn ask(connection: &mut Connection, request: &[u8]) -> Option<String> {
    match connection.exchange(request).await {
        Ok(reply) if reply.status == 200 && reply.body.len() == BODY => None,
        Ok(reply) => {
            let body = String::from_utf8_lossy(reply.body);
            Some(format!(
                "status {}, {} bytes: {body}",
                reply.status,
                reply.body.len()
            ))
        }
        Err(error) => Some(error.to_string()),
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.nanoseconds.extend(other.nanoseconds);
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn result(mut self, asked: u32, took: Duration) -> LoadResult {
        self.nanoseconds.sort_unstable();
        let us = |percent| {
            let value = percentile(&self.nanoseconds, percent).unwrap_or_default();
            Duration::from_nanos(value).as_secs_f64() * 1e6
        };
        LoadResult {
            requests: asked,
            seconds: took.as_secs_f64(),
            p50_us: us(50),
            p99_us: us(99),
            failed: self.failed,
            first_failure: self.first_failure.unwrap_or_default(),
        }
    }
}

fn unexpected(text: String) -> BenchError {
    BenchError::Unexpected {
        what: "the generator",
        text,
    }
}
