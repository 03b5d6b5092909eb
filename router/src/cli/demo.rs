//! `mirador demo`: the arguments of the tour.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::demo::{self, DemoOptions};

#[derive(Debug, Args)]
#[command(
    about = "Show Mirador at work: two tenants with real backends, on this machine",
    long_about = "Show Mirador at work: two tenants with real backends, on this machine.\n\n\
Starts two VictoriaMetrics endpoints and a VictoriaLogs for each of the tenants acme and globex, \
and the router before them, all on loopback with data in a temporary directory. Loads samples \
that differ per tenant, prints commands to try, and stays until Ctrl-C. Nothing is left behind.",
    after_help = "\
Examples:
  mirador demo                   stay until Ctrl-C, with commands to paste
  mirador demo --check           walk the tour alone, print what was seen, exit 0 if all was right
  mirador demo --tools ~/vm/bin  take the backends from there"
)]
pub(super) struct Demo {
    /// Walk the tour without anybody watching, and tell by the exit code whether all went right
    #[arg(long)]
    check: bool,
    /// Directory with the backends' binaries, looked into before PATH
    #[arg(long, value_name = "DIR")]
    tools: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let Self { check, tools } = self;
        demo::run(DemoOptions { check, tools }).await?;
        Ok(())
    }
}
