//! `mirador audit`: who changed what.

use clap::Args;
use jiff::Timestamp;
use tenant_store::{
    model::{HumanDuration, TenantId},
    repository::{AuditEvent, Kind},
};

use super::{
    Failure,
    client::{AdminClient, ServerArgs},
    output::{Format, Terminal},
};

/// Show who changed what, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador audit                 the last 50 changes
  mirador audit --tenant acme --since 24h
  mirador audit --kind key --outcome created
  mirador audit --limit 1000 -o json")]
pub(super) struct AuditCommand {
    #[command(flatten)]
    server: ServerArgs,
    /// Only changes of this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Only changes of this kind of thing: tenant, tier or key
    #[arg(long, conflicts_with = "tenant")]
    kind: Option<Kind>,
    /// Only changes of what has this id
    #[arg(long, conflicts_with = "tenant")]
    id: Option<String>,
    /// Only changes by this operator
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only what was created, updated, deleted, restored or purged
    #[arg(long)]
    outcome: Option<String>,
    /// Only changes that this request made
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only changes since then: a time, or how long ago
    #[arg(long, value_name = "TIME|DURATION", value_parser = read_moment)]
    since: Option<Timestamp>,
    /// Only changes before then: a time, or how long ago
    #[arg(long, value_name = "TIME|DURATION", value_parser = read_moment)]
    until: Option<Timestamp>,
    /// How many changes at most
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    limit: usize,
    /// How to write them
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

impl AuditCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let client = AdminClient::new(&self.server)?;
        let query = self.query();
        let events: Vec<AuditEvent> = client
            .pages(&["audit"], "events", "before", &query, Some(self.limit))
            .await?;
        match self.output {
            Format::Json => terminal.say_json(&serde_json::json!({ "events": events })),
            Format::Yaml => terminal.say_yaml(&events),
            Format::Table => {
                let head = [
                    "SEQUENCE", "AT", "AUTHOR", "ORIGIN", "WHAT", "OF", "BEFORE", "AFTER",
                ];
                let rows: Vec<_> = events.iter().map(row).collect();
                terminal.say_table(head, &rows)
            }
        }
    }
}

impl AuditCommand {
    fn query(&self) -> Vec<(&'static str, String)> {
        let selected = [
            ("tenant", self.tenant.as_ref().map(ToString::to_string)),
            ("kind", self.kind.map(|kind| kind.to_string())),
            ("id", self.id.clone()),
            ("author", self.author.clone()),
            ("outcome", self.outcome.clone()),
            ("request_id", self.request_id.clone()),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
        ];
        let selected = selected.into_iter();
        selected
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Reads a time, or how long ago it was.
pub(super) fn read_moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago: HumanDuration = text
        .parse()
        .map_err(|_| "expected a time such as 2026-11-22T05:00:00Z, or a duration such as 24h")?;
    Timestamp::now()
        .checked_sub(ago.0)
        .map_err(|error| error.to_string())
}

fn row(event: &AuditEvent) -> [String; 8] {
    let before = event.before.map(|revision| revision.to_string());
    [
        event.sequence.to_string(),
        format!("{:.0}", event.at),
        event.author.clone(),
        event.origin.clone(),
        event.outcome.as_str().into(),
        format!("{} {}", event.kind, event.id),
        before.unwrap_or_else(|| "-".into()),
        event.after.to_string(),
    ]
}
