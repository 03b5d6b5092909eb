//! `mirador status`: how the tenants of a running router are, once or as long as somebody looks.

mod follow;
mod show;

use std::io::{IsTerminal as _, stdout};

use clap::Args;
use serde_json::Value;
use tenant_store::model::{Signal, TenantId};

use super::{
    Failure,
    client::{AdminClient, ServerArgs},
    output::{Format, Terminal},
};
use crate::standing::Condition;

/// Show how the tenants of a running router are, the worst first
///
/// As the router that is asked sees them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador status                                   the worst twenty, and how many are well
  mirador status --condition degraded,unhealthy    only those that are ill
  mirador status acme                              each endpoint of one tenant
  mirador status --watch                           stay, and show what changes

With --watch a terminal shows the present state, drawn anew whenever something changes; anything
else gets the state once, and then a line for each change.")]
pub(super) struct Status {
    #[command(flatten)]
    server: ServerArgs,
    /// Only this tenant, with each of its endpoints
    #[arg(conflicts_with_all = ["condition", "tier", "signal", "search", "limit"])]
    tenant: Option<TenantId>,
    /// Stay, and show what changes
    #[arg(long, short)]
    watch: bool,
    /// Only tenants in this condition, or one of several with commas between: healthy, degraded,
    /// unhealthy, unknown, maintenance, provisioning, suspended
    #[arg(long, value_delimiter = ',')]
    condition: Vec<Condition>,
    /// Only tenants of this tier, or one of several with commas between
    #[arg(long)]
    tier: Option<String>,
    /// Only tenants with a deployment for it, judged by that: metrics, logs or traces
    #[arg(long)]
    signal: Option<Signal>,
    /// Only tenants with this in their id or display name
    #[arg(long, short = 'q', value_name = "TEXT")]
    search: Option<String>,
    /// So many at most, 1 to 1000
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// How to write them
    #[arg(
        short,
        long,
        value_enum,
        default_value = "table",
        conflicts_with = "watch"
    )]
    output: Format,
}

impl Status {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let client = AdminClient::new(&self.server)?;
        if self.watch {
            return follow::watch(&client, &self, stdout().is_terminal(), terminal).await;
        }
        let health = self.read(&client).await?;
        match self.output {
            Format::Json => terminal.say_json(&health),
            Format::Yaml => terminal.say_yaml(&health),
            Format::Table => self.show(&health, terminal),
        }
    }

    async fn read(&self, client: &AdminClient) -> Result<Value, Failure> {
        let health = match &self.tenant {
            Some(id) => client.read(&["tenants", id.as_str(), "health"], &[]).await,
            None => client.read(&["health"], &self.query()).await,
        };
        Ok(health?)
    }

    fn show(&self, health: &Value, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        match self.tenant {
            Some(_) => show::tenant(health, terminal),
            None => show::overview(health, terminal),
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let conditions: Vec<_> = self.condition.iter().map(|one| one.as_str()).collect();
        let asked = [
            (
                "condition",
                Some(conditions.join(",")).filter(|c| !c.is_empty()),
            ),
            ("tier", self.tier.clone()),
            (
                "signal",
                self.signal.map(|signal| signal.as_str().to_owned()),
            ),
            ("q", self.search.clone()),
            ("limit", Some(self.limit.to_string())),
        ];
        let asked = asked.into_iter();
        asked
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}
