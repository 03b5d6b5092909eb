//! The load generator: a fixed number of requests over a fixed number of keep-alive connections,
//! each sending its next request when it has the whole answer to the one before.
//!
//! It runs in a process of its own. [`closed::run`] is that process; [`Load`] is how the director
//! holds it: ready, then go, so that neither connecting nor disconnecting is measured.

pub(crate) mod closed;
pub(crate) mod generator;
pub(crate) mod hold;
pub(crate) mod multiplex;
pub(crate) mod paced;
pub(crate) mod storm;
pub(crate) mod target;
pub(crate) mod transfer;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

use crate::{
    error::BenchError,
    lab::{bearer_of, tenant_id},
    process::Process,
};

/// Longest that connecting and warming up may take.
const LIMIT: Duration = Duration::from_mins(5);
const READY: &str = "ready";

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
        let Ok(line) = timeout(LIMIT, load.listen()).await else {
            let what = format!("the load on {} to be ready", load.whom);
            return Err(BenchError::TooLate { what, limit: LIMIT });
        };
        let line = line?;
        if line == READY {
            Ok(load)
        } else {
            Err(unexpected(line))
        }
    }

    /// Lets it go and waits for what it measured, which takes as long as it makes headway. Any
    /// failure fails it all.
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
        match self.said.next_line().await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                self.process.expect_end().await?;
                Err(unexpected(String::new()))
            }
            Err(error) => Err(BenchError::io("listen to the generator", error)),
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

fn unexpected(text: String) -> BenchError {
    BenchError::Unexpected {
        what: "the generator",
        text,
    }
}
