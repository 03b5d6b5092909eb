//! `mirador check`: is what is written well-formed? Starts nothing, asks nobody.

use std::path::PathBuf;

use clap::Args;
use tenant_store::document::{self, Faults};

use super::{Failure, output::Terminal};
use crate::config;

/// Validate a configuration and tenant files.
///
/// Names file, line, field and value of every fault, all at once, and exits with 2 if there is
/// any. Starts nothing and asks nobody, so it suits a commit hook.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador check --config mirador.yaml
  mirador check acme.yaml globex.yaml
  mirador check --config mirador.yaml tenants/")]
pub(super) struct Check {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tenant files, or directories of them (*.yaml, *.yml, *.json)
    #[arg(value_name = "TENANT FILES", required_unless_present = "config")]
    tenants: Vec<PathBuf>,
}

impl Check {
    pub(super) fn run(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let mut faults = Faults::default();
        if let Some(path) = &self.config {
            faults.absorb(config::check(path));
        }
        let tenants = faults
            .absorb(document::tenant_sources(&self.tenants))
            .unwrap_or_default();
        if !faults.is_empty() {
            terminal.complain(&faults);
            return Err(Failure::Faulty {
                count: faults.len(),
            });
        }
        if let Some(path) = &self.config {
            terminal.say(&format_args!("ok: {}", path.display()))?;
        }
        for source in tenants {
            let place = format!("{}:{}", source.file.display(), source.line);
            terminal.say(&format_args!("ok: {place}: tenant {}", source.tenant.id))?;
        }
        Ok(())
    }
}
