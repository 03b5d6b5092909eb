//! `mirador check`: is what is written well-formed? Starts nothing, asks nobody.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, output::Terminal};
use crate::config::{self, Overrides};

/// Validate a configuration and tenant files.
///
/// Names file, line, field and value of every fault, all at once, and exits with 2 if there is
/// any. Flags and MIRADOR_* variables count as they do for `serve`. Starts nothing and asks
/// nobody, so it suits a commit hook.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador check --config mirador.yaml
  mirador check acme.yaml globex.yaml
  mirador check --config mirador.yaml tenants/")]
pub(super) struct Check {
    /// The configuration file; the tenant files it names are validated too
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tenant files, or directories of them (*.yaml, *.yml, *.json)
    #[arg(value_name = "TENANT FILES", required_unless_present = "config")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Check {
    pub(super) fn run(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let report = config::check(self.config.as_deref(), &self.files, &self.overrides)
            .map_err(|faults| terminal.complain_of(&faults))?;
        for warning in &report.warnings {
            terminal.complain(&format_args!("warning: {warning}"));
        }
        if let Some(path) = &self.config {
            terminal.say(&format_args!("ok: {}", path.display()))?;
        }
        for source in &report.tenants {
            let (file, line) = (source.file.display(), source.line);
            terminal.say(&format_args!(
                "ok: {file}:{line}: tenant {}",
                source.tenant.id
            ))?;
        }
        Ok(())
    }
}
