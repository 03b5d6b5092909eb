//! `mirador audit`: who changed what.

use clap::Args;
use tenant_store::repository::AuditEvent;

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
  mirador audit --limit 1000 -o json")]
pub(super) struct AuditCommand {
    #[command(flatten)]
    server: ServerArgs,
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
        let events: Vec<AuditEvent> = client
            .pages(&["audit"], "events", "before", &[], Some(self.limit))
            .await?;
        match self.output {
            Format::Json => terminal.say_json(&serde_json::json!({ "events": events })),
            Format::Yaml => terminal.say_yaml(&events),
            Format::Table => {
                let head = [
                    "SEQUENCE", "AT", "AUTHOR", "ORIGIN", "WHAT", "TENANT", "BEFORE", "AFTER",
                ];
                let rows: Vec<_> = events.iter().map(row).collect();
                terminal.say_table(head, &rows)
            }
        }
    }
}

fn row(event: &AuditEvent) -> [String; 8] {
    let before = event.before.map(|revision| revision.to_string());
    [
        event.sequence.to_string(),
        format!("{:.0}", event.at),
        event.author.clone(),
        event.origin.clone(),
        event.outcome.as_str().into(),
        event.tenant.to_string(),
        before.unwrap_or_else(|| "-".into()),
        event.after.to_string(),
    ]
}
