//! Counts what a request costs the router's binary (user instructions, allocations, system calls)
//! and compares it with what is on record.
#![forbid(unsafe_code)]

mod callgrind;
mod client;
mod dump;
mod error;
mod measure;
mod router;
mod scenario;
mod upstream;

use std::{io::Write as _, process::ExitCode};

use clap::Parser;
use tokio::runtime::Builder;

use self::{error::CountError, measure::Figures, scenario::Scenario};

#[derive(Debug, Parser)]
struct Cli {
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',')]
    only: Vec<Scenario>,
    #[arg(long, value_name = "SCENARIO")]
    profile: Option<Scenario>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = Builder::new_current_thread().enable_all().build().expect("x");
    match runtime.block_on(run(&cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<(), CountError> {
    let mut only = cli.only.clone();
    only.extend(cli.profile);
    if only.is_empty() { only = Scenario::ALL.into(); }
    let counted = measure::count(&only).await?;
    for (scenario, dump) in &counted {
        let f = Figures::of(dump, scenario.requests());
        progress(&format!("{scenario:16} {:8.0} {:8.2} {:8.2}", f.instructions, f.allocations, f.system_calls));
    }
    if let Some(scenario) = cli.profile {
        let n = scenario.requests() as f64;
        let mut shares = counted[&scenario].shares();
        shares.sort_by_key(|s| std::cmp::Reverse(s.own.instructions));
        for s in shares.iter().take(40) {
            progress(&format!("{:9.1} {:9.1} {:7.2} {:6.2} {}", s.own.instructions as f64 / n, s.inclusive.instructions as f64 / n, s.calls as f64 / n, s.own.system_calls as f64/n, s.name));
        }
    }
    Ok(())
}

/// Tells on standard error how far we are.
fn progress(text: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}
