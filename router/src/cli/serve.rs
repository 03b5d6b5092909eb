//! `mirador serve`: runs the router until it is told to stop.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, output::Terminal};
use crate::{
    config::{Config, Overrides},
    serve,
};

/// Run the router until SIGTERM or SIGINT.
///
/// Prints one line when it is ready. Flags go before MIRADOR_* variables, these before the file.
/// SIGHUP, or POST /-/reload on the admin listener, takes in a changed file; a faulty one is
/// refused and the one before stays in force.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador serve --config mirador.yaml

A small mirador.yaml:
  listen:
    public: 127.0.0.1:8427      # where clients send X-Tenant-ID
    admin: 127.0.0.1:9427       # tenants, metrics, health
  admin:
    token_file: admin.token     # who has it may change tenants
  store:
    kind: sqlite
    path: mirador.db            # relative to this file")]
pub(super) struct Serve {
    /// The configuration file; without one, flags, variables and defaults are all there is
    #[arg(long, short, env = "MIRADOR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Serve {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), &self.overrides)
            .map_err(|faults| terminal.complain_of(&faults))?;
        let mut told = Ok(());
        serve::serve(config, |line| told = terminal.say(&line)).await?;
        told
    }
}
