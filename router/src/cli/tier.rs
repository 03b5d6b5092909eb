//! `mirador tier`: what tenants are given unless they say otherwise.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tenant_store::{
    document::Document,
    model::{Tier, TierDefinition},
};

use super::{
    Failure,
    changing::{At, DryRun},
    client::{AdminClient, Body, Change, Condition, ServerArgs},
    output::{Format, Terminal, cell},
};

/// List, read, define and delete tiers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador tier list
  mirador tier get pro -o yaml > pro.yaml
  mirador tier apply -f gold.yaml --dry-run
  mirador tier delete gold")]
pub(super) struct TierCommand {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all tiers, those that are built in included
    List {
        /// How to write them
        #[arg(short, long, value_enum, default_value = "table")]
        output: Format,
    },
    /// Show one tier
    Get {
        /// Its name
        name: Tier,
        /// How to write it
        #[arg(short, long, value_enum, default_value = "yaml")]
        output: Format,
    },
    /// Make a tier what its file says
    Apply {
        /// A file with one tier, YAML or JSON
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Delete a tier no tenant is of; one that is built in is what it was again
    Delete {
        /// Its name
        name: Tier,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

impl TierCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let client = AdminClient::new(&self.server)?;
        match self.action {
            Action::List { output } => {
                let list: Value = client.read(&["tiers"], &[]).await?;
                write(terminal, &list, output, &list["tiers"])
            }
            Action::Get { name, output } => {
                let tier: Value = client.read(&["tiers", name.as_str()], &[]).await?;
                write(terminal, &tier, output, &Value::Array(vec![tier.clone()]))
            }
            Action::Apply { file, at, dry_run } => {
                let text = fs::read_to_string(&file).map_err(|source| Failure::Unreadable {
                    path: file.clone(),
                    source,
                })?;
                let tier = Document::parse(Some(&file), &text).and_then(|mut document| {
                    document.leave_out(&["revision", "built_in", "created_at", "updated_at"]);
                    document.decode::<TierDefinition>()
                });
                let tier = tier.map_err(|faults| terminal.complain_of(&faults))?;
                apply(&client, &tier, at, dry_run, terminal).await
            }
            Action::Delete { name, at, dry_run } => {
                let path = ["tiers", name.as_str()];
                let query = [dry_run.argument()];
                let change = Change {
                    method: Method::DELETE,
                    path: &path,
                    query: &query,
                    condition: Condition::Match(&at.tag()),
                    body: Body::None,
                };
                let outcome = client.change(change).await?.outcome;
                tell(terminal, &name, &outcome, dry_run)
            }
        }
    }
}

/// Defines a tier, whatever it was unless somebody says.
async fn apply(
    client: &AdminClient,
    tier: &TierDefinition,
    at: At,
    dry_run: DryRun,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let path = ["tiers", tier.name.as_str()];
    let query = [dry_run.argument()];
    let document = serde_json::to_value(tier).unwrap_or(Value::Null);
    let put = |condition| Change {
        method: Method::PUT,
        path: &path,
        query: &query,
        condition,
        body: Body::Json(&document),
    };
    let changed = match client.change(put(Condition::Match(&at.tag()))).await {
        Err(error)
            if at.revision().is_none()
                && error.status() == Some(StatusCode::PRECONDITION_FAILED) =>
        {
            client.change(put(Condition::Absent)).await?
        }
        answer => answer?,
    };
    tell(terminal, &tier.name, &changed.outcome, dry_run)
}

fn tell(
    terminal: &mut Terminal<'_>,
    name: &Tier,
    outcome: &str,
    dry_run: DryRun,
) -> Result<(), Failure> {
    let note = dry_run.note();
    terminal.say(&format_args!("tier {name} {outcome}{note}"))
}

fn write(
    terminal: &mut Terminal<'_>,
    answer: &Value,
    output: Format,
    tiers: &Value,
) -> Result<(), Failure> {
    match output {
        Format::Json => terminal.say_json(answer),
        Format::Yaml => terminal.say_yaml(answer),
        Format::Table => {
            let fields = ["name", "hosting", "built_in", "revision", "description"];
            let tiers = tiers.as_array().map_or(&[][..], Vec::as_slice);
            let rows: Vec<_> = tiers
                .iter()
                .map(|tier| fields.map(|field| cell(&tier[field])))
                .collect();
            let head = ["NAME", "HOSTING", "BUILT IN", "REVISION", "DESCRIPTION"];
            terminal.say_table(head, &rows)
        }
    }
}
