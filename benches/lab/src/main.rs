//! Measures Mirador beside direct access and its peers, on this machine, and writes down what it
//! saw.
//!
//! The program plays all the parts that are not measured: called without a subcommand it directs,
//! and it starts itself again as the upstream and as the load generator, so that neither's CPU
//! time is taken for a proxy's.
#![forbid(unsafe_code)]

mod cpus;
mod error;
mod http1;
mod lab;
mod load;
mod machine;
mod peer;
mod port;
mod process;
mod procfs;
mod report;
mod scenario;
mod stats;
mod upstream;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use self::{
    error::BenchError,
    lab::Lab,
    scenario::{Figures, Scenario, Size},
};

/// Measures Mirador beside direct access, HAProxy, nginx, Envoy and vmauth.
///
/// All of it takes some forty minutes and writes docs/performance.md. Nothing else should run
/// meanwhile.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// Measure only these, and print the tables instead of writing the file
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Try everything out with tiny loads, and print the tables instead of writing the file
    #[arg(long)]
    quick: bool,
    /// Where the result is written
    #[arg(long, value_name = "FILE", default_value = "docs/performance.md")]
    output: PathBuf,
}

/// The parts this program plays in processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Answer every GET with a fixed body (started by the benchmark itself)
    #[command(hide = true)]
    Upstream,
    /// Send requests over keep-alive connections (started by the benchmark itself)
    #[command(hide = true)]
    Load(load::LoadSpec),
    /// Do another job of a generator (started by the benchmark itself)
    #[command(hide = true)]
    Generate {
        /// The job, as JSON
        job: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread each: two would share the core they are given.
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&BenchError::io("start", error)),
    };
    let done = runtime.block_on(async {
        match &cli.part {
            Some(Part::Upstream) => upstream::run().await,
            Some(Part::Load(spec)) => load::run(spec).await,
            Some(Part::Generate { job }) => load::generator::run(job).await,
            None => measure(&cli).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

async fn measure(cli: &Cli) -> Result<(), BenchError> {
    let size = if cli.quick { Size::QUICK } else { Size::FULL };
    let machine = machine::describe()?;
    let lab = Lab::open().await?;
    let figures = Figures::measure(&lab, &size, &cli.only).await?;
    let text = report::render(&machine, &lab, &size, &figures)?;
    if cli.quick || !cli.only.is_empty() {
        return say(&text);
    }
    std::fs::write(&cli.output, &text).map_err(|error| {
        let file = cli.output.display();
        BenchError::io(
            format!("write {file} (run this at the top of the repository)"),
            error,
        )
    })?;
    say(&format!("wrote {}\n", cli.output.display()))
}

/// Prints what was asked for; progress goes to standard error.
fn say(text: &str) -> Result<(), BenchError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| BenchError::io("write to standard output", error))
}

/// Tells on standard error how far we are.
fn progress(text: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn complain(error: &BenchError) -> ExitCode {
    progress(&format!("error: {error}"));
    ExitCode::FAILURE
}
