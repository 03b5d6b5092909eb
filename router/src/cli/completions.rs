//! `mirador completions`: what a shell completes.

use std::io;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, Failure, output::Terminal};

/// Write completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador completions bash > /etc/bash_completion.d/mirador
  mirador completions zsh > /usr/local/share/zsh/site-functions/_mirador
  mirador completions fish > ~/.config/fish/completions/mirador.fish")]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "mirador", &mut script);
        let script =
            String::from_utf8(script).map_err(|error| Failure::Output(io::Error::other(error)))?;
        terminal.say(&script.trim_end())
    }
}
