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
mod record;
mod report;
mod scenario;
mod stats;
mod train;
mod upstream;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum as _};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use self::{
    error::BenchError,
    lab::Lab,
    peer::mirador::{self, Build},
    record::Shelf,
    report::Report,
    scenario::{Desk, Records, Scenario, Size},
};

/// Measures Mirador beside direct access, HAProxy, nginx, Envoy and vmauth.
///
/// All of it takes some 70 minutes, and building the router 20 before. After each scenario its
/// results are put on record in docs/performance/results, and docs/performance.md and its plots are
/// written from all that are there. Nothing else should run meanwhile.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// Measure only these; what is on record of others stays
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Try everything out with tiny loads and a router that is quick to build, write into the target
    /// directory, and print the tables
    #[arg(long)]
    quick: bool,
    /// Measure nothing; write the report from what is on record
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    render: bool,
    /// Measure nothing; have the router that `MIRADOR_BIN` names do alone what it does most of the
    /// time
    #[arg(long, conflicts_with_all = ["only", "quick", "render"])]
    train: bool,
    /// Where performance.md is written, and the folder performance with plots and results
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "docs",
        conflicts_with = "quick"
    )]
    docs: PathBuf,
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
        match cli.part {
            Some(Part::Upstream) => upstream::run().await,
            Some(Part::Load(spec)) => load::closed::run(&spec).await,
            Some(Part::Generate { job }) => load::generator::run(&job).await,
            None if cli.render => render(&Place::at(&cli.docs)).map(|_| ()),
            None => tokio::select! {
                done = direct(&cli) => done,
                // Whatever was started ends when the measurement is dropped.
                error = interrupted() => Err(error),
            },
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Does what the command line asks for, with a router.
async fn direct(cli: &Cli) -> Result<(), BenchError> {
    if cli.train {
        return train::train(&Lab::open(Build::Plain).await?).await;
    }
    measure(cli).await
}

/// Measures one scenario after the other. One that fails does not keep the others from being
/// measured.
async fn measure(cli: &Cli) -> Result<(), BenchError> {
    let size = if cli.quick { Size::QUICK } else { Size::FULL };
    let place = if cli.quick {
        Place::at(&mirador::target_directory()?.join(QUICK))
    } else {
        Place::at(&cli.docs)
    };
    place.expect_folder(cli.quick)?;
    let load = machine::load();
    let build = if cli.quick {
        Build::Plain
    } else {
        Build::Shipped
    };
    let lab = Lab::open(build).await?;
    let conditions = machine::describe(&lab, load)?;
    let desk = Desk {
        lab: &lab,
        conditions: &conditions,
        shelf: &place.shelf,
    };
    let mut failed = Vec::new();
    for scenario in Scenario::value_variants() {
        if !cli.only.is_empty() && !cli.only.contains(scenario) {
            continue;
        }
        if let Err(error) = scenario.measure(&size, &desk).await {
            progress(&format!("error: {}: {error}", scenario.name()));
            failed.push(scenario.name());
        } else if let Err(error) = render(&place) {
            // Results of another version may be in the way until they are measured again.
            progress(&format!("no report yet: {error}"));
        }
    }
    if !failed.is_empty() {
        let scenarios = failed.join(", ");
        return Err(BenchError::Incomplete { scenarios });
    }
    let text = render(&place)?;
    if cli.quick {
        say(&text)?;
    }
    progress(&format!("wrote {}", place.report.display()));
    Ok(())
}

/// Where `--quick` writes to, in the target directory.
const QUICK: &str = "lab-quick";

/// Where reports and results go.
#[derive(Debug)]
struct Place {
    report: PathBuf,
    /// Of plots, with results in a folder within.
    beside: PathBuf,
    shelf: Shelf,
}

impl Place {
    fn at(docs: &Path) -> Self {
        let beside = docs.join("performance");
        Self {
            report: docs.join("performance.md"),
            shelf: Shelf::at(beside.join("results")),
            beside,
        }
    }

    /// Fails before anything is measured if it can't be written here in the end.
    fn expect_folder(&self, may_be_made: bool) -> Result<(), BenchError> {
        let docs = self.report.parent().unwrap_or(Path::new("."));
        if may_be_made || docs.is_dir() {
            return Ok(());
        }
        let doing = format!(
            "find the folder {} (run this at the top of the repository, or name one by --docs)",
            docs.display()
        );
        Err(BenchError::io(doing, std::io::ErrorKind::NotFound.into()))
    }
}

/// Writes the report and its plots from what is on record, and tells the text.
fn render(place: &Place) -> Result<String, BenchError> {
    let records = Records::read(&place.shelf)?;
    let folder = place.shelf.folder().to_owned();
    let Report { text, plots } =
        report::render(&records)?.ok_or(BenchError::NoRecords { folder })?;
    lab::write(&place.report, &text)?;
    for (name, plot) in plots {
        lab::write(&place.beside.join(name), &plot)?;
    }
    Ok(text)
}

/// Waits until somebody wants us to end.
async fn interrupted() -> BenchError {
    let both = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    match both {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            BenchError::Interrupted
        }
        (Err(error), _) | (_, Err(error)) => BenchError::io("listen to signals", error),
    }
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
