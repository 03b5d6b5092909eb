//! Counts what a request costs the router's binary (instructions in user mode, allocations, system
//! calls) and compares it with what is on record.
//!
//! Client and upstream are in this program; the router runs under callgrind as a process of its
//! own.
#![forbid(unsafe_code)]

mod baseline;
mod callgrind;
mod client;
mod compiler;
mod dump;
mod error;
mod measure;
mod pace;
mod report;
mod router;
mod scenario;
mod upstream;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::Parser;
use tokio::runtime::Builder;

use self::{
    baseline::{Baseline, Verdict},
    error::CountError,
    measure::Counts,
    scenario::Scenario,
};

/// What cannot be compared.
const INCOMPARABLE: u8 = 2;

/// Counts instructions, allocations and system calls per request, and compares them with the
/// baseline.
///
/// Exits with 1 if a figure is more than 3 % above the baseline, and with 2 if there is no baseline
/// of the same compiler. Measures the program that `MIRADOR_BIN` names, or else the release build
/// of this source.
#[derive(Debug, Parser)]
struct Cli {
    /// Count only these
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Put what is counted on record instead of comparing it
    #[arg(long)]
    accept: bool,
    /// Show the functions that this scenario's instructions are spent in, and compare nothing
    #[arg(long, value_name = "SCENARIO", conflicts_with_all = ["only", "accept"])]
    profile: Option<Scenario>,
    /// Leave callgrind's dumps in this folder, for `callgrind_annotate` or `KCachegrind`
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Where the figures on record are
    #[arg(
        long,
        value_name = "FILE",
        default_value = "benches/counts/baseline.json"
    )]
    baseline: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&CountError::io("start", error)),
    };
    runtime
        .block_on(run(&cli))
        .unwrap_or_else(|error| complain(&error))
}

async fn run(cli: &Cli) -> Result<ExitCode, CountError> {
    // Before minutes are spent on counting.
    let before = Baseline::read(&cli.baseline);
    let scenarios = match (cli.profile, &*cli.only) {
        (Some(scenario), _) => vec![scenario],
        (None, []) => Scenario::ALL.into(),
        (None, only) => only.into(),
    };
    let counts = Counts::take(&scenarios, cli.keep.as_deref()).await?;
    if let Some(scenario) = cli.profile {
        let profile = counts
            .dump(scenario)
            .map(|dump| report::profile(dump, scenario.requests()));
        say(&profile.unwrap_or_default())?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = counts.baseline();
    if cli.accept {
        say(&report::figures(&now))?;
        now.accept(&cli.baseline)?;
        progress(&format!("wrote {}", cli.baseline.display()));
        return Ok(ExitCode::SUCCESS);
    }
    match before? {
        Some(before) if before.compiler == now.compiler => judge(&before, &now),
        before => {
            say(&report::figures(&now))?;
            let found = before.map_or("there is none".into(), |before| {
                format!(
                    "it is of {}, and the router of {}",
                    before.compiler, now.compiler
                )
            });
            progress(&format!(
                "can't compare with the baseline {}: {found}.\n{ACCEPT}",
                cli.baseline.display()
            ));
            Ok(ExitCode::from(INCOMPARABLE))
        }
    }
}

const ACCEPT: &str =
    "To put these figures on record: cargo run --release --package counts -- --accept";

fn judge(before: &Baseline, now: &Baseline) -> Result<ExitCode, CountError> {
    let comparisons = before.compare(now);
    say(&report::comparisons(&comparisons))?;
    let any = |verdict| comparisons.iter().any(|found| found.verdict == verdict);
    if any(Verdict::Worse) {
        progress(&format!(
            "Some figures are more than 3 % above the baseline. If that is meant to be:\n{ACCEPT}"
        ));
        return Ok(ExitCode::FAILURE);
    }
    if any(Verdict::Better) || any(Verdict::New) {
        progress(&format!(
            "Some figures are more than 10 % below the baseline, or not in it.\n{ACCEPT}"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what was asked for; progress goes to standard error.
fn say(text: &str) -> Result<(), CountError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| CountError::io("write to standard output", error))
}

/// Tells on standard error how far we are.
fn progress(text: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn complain(error: &CountError) -> ExitCode {
    progress(&format!("error: {error}"));
    ExitCode::FAILURE
}
