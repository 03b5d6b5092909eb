//! Endpoints and tenants that are worked on.

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use serde_json::{Value, json};
use tenant_store::model::{HumanDuration, Maintenance, Signal, TenantId};

use super::apply::{self, Step};
use crate::cli::{
    Failure,
    changing::{At, DryRun},
    client::AdminClient,
    output::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// The tenant's id
    id: TenantId,
    /// Which of its deployments: metrics, logs or traces
    signal: Signal,
    /// The endpoint, as host:port or as the tenant's document has it
    #[arg(value_name = "HOST:PORT|URL")]
    endpoint: String,
    /// Even if nothing would serve the signal any more
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    dry_run: DryRun,
}

/// An endpoint of a tenant.
pub(super) struct Drained {
    pub(super) id: TenantId,
    signal: Signal,
    endpoint: String,
    force: bool,
}

impl DrainArgs {
    pub(super) async fn run(
        self,
        client: &AdminClient,
        step: impl Fn(Drained) -> Step,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let at = self.at.revision();
        let steps = vec![step(Drained {
            id: self.id,
            signal: self.signal,
            endpoint: self.endpoint,
            force: self.force,
        })];
        apply::run(client, steps, at, self.dry_run.dry_run, None, terminal).await
    }
}

impl Drained {
    pub(super) fn path<'p>(&'p self, verb: &'p str) -> [&'p str; 6] {
        let (id, signal) = (self.id.as_str(), self.signal.as_str());
        ["tenants", id, "deployments", signal, "endpoints", verb]
    }

    pub(super) fn body(&self) -> Value {
        json!({"endpoint": self.endpoint, "force": self.force})
    }
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["reason", "end"]))]
pub(super) struct MaintenanceArgs {
    /// The tenant's id
    id: TenantId,
    /// Begin it; what is done, for people
    #[arg(long)]
    reason: Option<String>,
    /// When it ends by itself, such as 2026-11-22T05:00:00Z
    #[arg(
        long,
        value_name = "TIME",
        requires = "reason",
        conflicts_with = "period"
    )]
    until: Option<Timestamp>,
    /// After what time it ends by itself, such as 2h
    #[arg(long = "for", value_name = "DURATION", requires = "reason")]
    period: Option<HumanDuration>,
    /// End it
    #[arg(long)]
    end: bool,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    dry_run: DryRun,
}

impl MaintenanceArgs {
    pub(super) async fn run(
        self,
        client: &AdminClient,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let step = match self.reason {
            Some(reason) => {
                let until = match self.period {
                    Some(period) => Some(after(Timestamp::now(), period)?),
                    None => self.until,
                };
                Step::Maintain(self.id, Maintenance { reason, until })
            }
            None => Step::EndMaintenance(self.id),
        };
        let at = self.at.revision();
        apply::run(client, vec![step], at, self.dry_run.dry_run, None, terminal).await
    }
}

/// To the second: nobody means more than that.
fn after(now: Timestamp, period: HumanDuration) -> Result<Timestamp, Failure> {
    let end = now.checked_add(period.0).ok();
    let end = end.and_then(|end| Timestamp::from_second(end.as_second()).ok());
    end.ok_or_else(|| Failure::Input(format!("--for {period} is further away than time goes")))
}
