//! The command line: what `mirador` can be asked to do, and how its answer becomes an exit code.
//!
//! Exit codes: 0 done, 1 the server or this machine failed, 2 the input is at fault.

mod audit;
mod changing;
mod check;
mod client;
mod completions;
mod demo;
mod key;
mod operator;
mod output;
mod serve;
mod status;
mod tenant;
mod tier;

use std::{future::Future, io, path::PathBuf, process::ExitCode, sync::LazyLock};

use clap::{Parser, Subcommand};
use thiserror::Error;
use tokio::runtime::Builder;

use self::output::Terminal;
use crate::{REVISION, serve::ServeError};

/// Routes each tenant's metrics, logs and traces to that tenant's own backends.
#[derive(Debug, Parser)]
#[command(name = "mirador", version = VERSION.as_str(), propagate_version = true, after_help = FIRST_STEPS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Status(status::Status),
    Tenant(tenant::TenantCommand),
    Tier(tier::TierCommand),
    Key(key::KeyCommand),
    Audit(audit::AuditCommand),
    Operator(operator::OperatorCommand),
    Completions(completions::Completions),
    Demo(demo::Demo),
}

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} ({REVISION})", env!("CARGO_PKG_VERSION")));

const FIRST_STEPS: &str = "\
First steps:
  mirador demo                                   see it work, with real backends on this machine
  mirador check --config mirador.yaml acme.yaml  validate before you start or apply
  mirador serve --config mirador.yaml            run the router
  mirador tenant apply -f acme.yaml              tell it of a tenant
  mirador status --watch                         how are the tenants?
  curl -H 'X-Tenant-ID: acme' 'http://127.0.0.1:8427/api/v1/query?query=up'

Exit codes: 0 done, 1 the server or this machine failed, 2 the input is at fault.";

/// Does what the command line asks, and tells the outcome as an exit code.
pub fn run(cli: Cli) -> ExitCode {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut terminal = Terminal::new(&mut out, &mut err);
    match dispatch(cli.command, &mut terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.is_worth_telling() {
                terminal.complain(&format_args!("error: {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(command: Command, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => on_control_threads(serve.run(terminal)),
        Command::Check(check) => check.run(terminal),
        Command::Status(status) => on_this_thread(status.run(terminal)),
        Command::Tenant(tenant) => on_this_thread(tenant.run(terminal)),
        Command::Tier(tier) => on_this_thread(tier.run(terminal)),
        Command::Key(key) => on_this_thread(key.run(terminal)),
        Command::Audit(audit) => on_this_thread(audit.run(terminal)),
        Command::Operator(operator) => operator.run(terminal),
        Command::Completions(completions) => completions.run(terminal),
        Command::Demo(demo) => on_control_threads(demo.run()),
    }
}

/// The control plane is light, but a probe or a store call must not wait for another.
fn on_control_threads(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut threads = Builder::new_multi_thread();
    let runtime = threads
        .worker_threads(2)
        .thread_name("mirador-control")
        .enable_all()
        .build();
    runtime.map_err(Failure::Runtime)?.block_on(work)
}

fn on_this_thread(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::Runtime)?.block_on(work)
}

/// Why a command did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
enum Failure {
    #[error("can't start: {0}")]
    Runtime(#[source] io::Error),
    #[error("can't write the answer: {0}")]
    Output(#[source] io::Error),
    #[error("can't read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{count} fault{} found", if *.count == 1 { "" } else { "s" })]
    Faulty { count: usize },
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Admin(#[from] client::AdminError),
    #[error("{0}")]
    NotYet(String),
    #[error("{failed} of {asked} not done")]
    Partly {
        failed: usize,
        asked: usize,
        worst: u8,
    },
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
}

impl Failure {
    const MACHINE: u8 = 1;
    const INPUT: u8 = 2;

    fn exit_code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Unreadable { .. }
            | Self::Faulty { .. }
            | Self::Input(_)
            | Self::Serve(ServeError::Tenants(_)) => Self::INPUT,
            Self::Admin(error) if error.is_input() => Self::INPUT,
            Self::Partly { worst, .. } => *worst,
            Self::Runtime(_)
            | Self::Output(_)
            | Self::Admin(_)
            | Self::NotYet(_)
            | Self::Serve(_)
            | Self::Demo(_) => Self::MACHINE,
        }
    }

    /// Whoever closed the pipe (`mirador tenant list | head`) has what they wanted.
    fn is_worth_telling(&self) -> bool {
        self.exit_code() != 0
    }
}

#[cfg(test)]
mod tests;
