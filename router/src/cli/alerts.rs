//! `mirador alerts`: the alert rules of this version, with links to one's own Grafana and runbooks.

use std::path::PathBuf;

use clap::Args;
use deploy::monitoring;
use url::Url;

use super::{Failure, file, grafana::read_web_url, output::Terminal};

/// Write the alert rules for Prometheus and vmalert.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador alerts > mirador.yaml
  mirador alerts --grafana https://grafana.example.com --runbooks https://wiki.example.com/mirador
  mirador alerts -o /etc/prometheus/rules/mirador.yaml")]
pub(super) struct Alerts {
    /// Grafana, which has the dashboards; without it, the URL that Prometheus or vmalert is told
    #[arg(long, value_name = "URL", value_parser = read_web_url)]
    grafana: Option<Url>,
    /// Where the files of docs/runbooks are; without it, links name these files
    #[arg(long, value_name = "URL", value_parser = read_web_url)]
    runbooks: Option<Url>,
    /// The file to write; standard output without
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Alerts {
    pub(super) fn run(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let rules = monitoring::alert_rules(
            self.grafana.as_ref().map(Url::as_str),
            self.runbooks.as_ref().map(Url::as_str),
        );
        let Some(path) = &self.output else {
            return terminal.say(&rules.trim_end());
        };
        let outcome = file::replace(path, &rules)?;
        terminal.say(&format_args!("{} {outcome}", path.display()))
    }
}
