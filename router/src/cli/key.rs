//! `mirador key`: API keys of tenants.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tenant_store::model::{ApiKeyId, HumanDuration, Scope, TenantId};

use super::{
    Failure,
    changing::{At, DryRun},
    client::{AdminClient, Body, Change, Condition, ServerArgs},
    output::{Format, Terminal, cell},
};

/// Make, list, replace and revoke API keys of tenants.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador key create acme --name agents --scope metrics:write --scope logs:write
  mirador key create acme --name dashboards --scope metrics:read --allow all --expires 90d
  mirador key list acme
  mirador key rotate acme k3v9q2m7x1pa --overlap 24h
  mirador key revoke acme k3v9q2m7x1pa

A token is shown when its key is made, and nowhere else.")]
pub(super) struct KeyCommand {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a tenant's keys, revoked ones included
    List {
        /// The tenant's id
        tenant: TenantId,
        /// How to write them
        #[arg(short, long, value_enum, default_value = "table")]
        output: Format,
    },
    /// Show one key
    Get {
        /// The tenant's id
        tenant: TenantId,
        /// The key's id
        key: ApiKeyId,
        /// How to write it
        #[arg(short, long, value_enum, default_value = "yaml")]
        output: Format,
    },
    Create(Create),
    /// Put another key in the place of one, which is taken beside it for a while
    Rotate {
        /// The tenant's id
        tenant: TenantId,
        /// The key's id
        key: ApiKeyId,
        /// How long the one that is replaced is taken, at most 30 days
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        overlap: HumanDuration,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        dry_run: DryRun,
        /// How to write the new one
        #[arg(short, long, value_enum, default_value = "table")]
        output: Format,
    },
    /// Revoke a key for good; its record stays
    Revoke(End),
    /// Delete a key: it is refused for good, and no list has it any more
    Delete(End),
}

#[derive(Debug, Args)]
struct End {
    /// The tenant's id
    tenant: TenantId,
    /// The key's id
    key: ApiKeyId,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    dry_run: DryRun,
}

/// Make a key, and show its token this once
#[derive(Debug, Args)]
struct Create {
    /// The tenant's id
    tenant: TenantId,
    /// What people call it
    #[arg(long)]
    name: String,
    /// What it may be used for, such as logs:read; can be given several times
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    /// The tenants it may be used for: own, all, or ids with commas between
    #[arg(long, value_name = "TENANTS", default_value = "own")]
    allow: String,
    /// From when on it is refused: a time, or how long from now
    #[arg(long, value_name = "TIME|DURATION", value_parser = read_end)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    dry_run: DryRun,
    /// How to write it
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

impl KeyCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let client = AdminClient::new(&self.server)?;
        match self.action {
            Action::List { tenant, output } => {
                let path = ["tenants", tenant.as_str(), "keys"];
                let keys: Vec<Value> = client.pages(&path, "keys", "after", &[], None).await?;
                match output {
                    Format::Table => table(terminal, &keys),
                    Format::Json => terminal.say_json(&json!({ "keys": keys })),
                    Format::Yaml => terminal.say_yaml(&keys),
                }
            }
            Action::Get {
                tenant,
                key,
                output,
            } => {
                let path = ["tenants", tenant.as_str(), "keys", key.as_str()];
                let key: Value = client.read(&path, &[]).await?;
                write(terminal, &key, output)
            }
            Action::Create(create) => create.run(&client, terminal).await,
            Action::Rotate {
                tenant,
                key,
                overlap,
                at,
                dry_run,
                output,
            } => {
                let path = ["tenants", tenant.as_str(), "keys", key.as_str(), "rotate"];
                let query = [("overlap", overlap.to_string()), dry_run.argument()];
                let change = Change {
                    method: Method::POST,
                    path: &path,
                    query: &query,
                    condition: Condition::Match(&at.tag()),
                    body: Body::None,
                };
                let made = client.change(change).await?.body;
                write_minted(terminal, &made, dry_run, output)
            }
            Action::Revoke(end) => {
                let (tenant, key) = (end.tenant.as_str(), end.key.as_str());
                let path = ["tenants", tenant, "keys", key, "revoke"];
                let outcome = end.run(&client, Method::POST, &path).await?;
                // What the API calls it is any change's.
                let done = if outcome == "updated" {
                    "revoked"
                } else {
                    &outcome
                };
                terminal.say(&format_args!("key {key} {done}{}", end.dry_run.note()))
            }
            Action::Delete(end) => {
                let (tenant, key) = (end.tenant.as_str(), end.key.as_str());
                let path = ["tenants", tenant, "keys", key];
                let done = end.run(&client, Method::DELETE, &path).await?;
                terminal.say(&format_args!("key {key} {done}{}", end.dry_run.note()))
            }
        }
    }
}

impl End {
    async fn run(
        &self,
        client: &AdminClient,
        method: Method,
        path: &[&str],
    ) -> Result<String, Failure> {
        let change = Change {
            method,
            path,
            query: &[self.dry_run.argument()],
            condition: Condition::Match(&self.at.tag()),
            body: Body::None,
        };
        Ok(client.change(change).await?.outcome)
    }
}

impl Create {
    async fn run(self, client: &AdminClient, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let allowed = match &*self.allow {
            word @ ("own" | "all") => json!(word),
            ids => json!(ids.split(',').collect::<Vec<_>>()),
        };
        let mut key = json!({
            "name": self.name,
            "scopes": self.scopes,
            "allowed": allowed,
        });
        if let Some(end) = self.expires {
            key["expires_at"] = json!(end);
        }
        let path = ["tenants", self.tenant.as_str(), "keys"];
        let change = Change {
            method: Method::POST,
            path: &path,
            query: &[self.dry_run.argument()],
            condition: Condition::None,
            body: Body::Json(&key),
        };
        let made = client.change(change).await?.body;
        write_minted(terminal, &made, self.dry_run, self.output)
    }
}

/// A new key: as a table, its token alone stands on the last line.
fn write_minted(
    terminal: &mut Terminal<'_>,
    made: &Value,
    dry_run: DryRun,
    output: Format,
) -> Result<(), Failure> {
    write(terminal, made, output)?;
    if output == Format::Table && !dry_run.dry_run {
        terminal.complain(&"the token is shown here and nowhere else:");
        terminal.say(&cell(&made["token"]))?;
    }
    Ok(())
}

fn write(terminal: &mut Terminal<'_>, key: &Value, output: Format) -> Result<(), Failure> {
    match output {
        Format::Json => terminal.say_json(key),
        Format::Yaml => terminal.say_yaml(key),
        Format::Table => table(terminal, std::slice::from_ref(key)),
    }
}

fn table(terminal: &mut Terminal<'_>, keys: &[Value]) -> Result<(), Failure> {
    let fields = [
        "id",
        "name",
        "state",
        "allowed",
        "scopes",
        "expires_at",
        "last_used_at",
    ];
    let rows: Vec<_> = keys
        .iter()
        .map(|key| fields.map(|field| cell(&key[field])))
        .collect();
    let head = [
        "ID",
        "NAME",
        "STATE",
        "ALLOWED",
        "SCOPES",
        "EXPIRES",
        "LAST USED",
    ];
    terminal.say_table(head, &rows)
}

/// Reads a time to come, or how long from now it is.
fn read_end(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ahead: HumanDuration = text
        .parse()
        .map_err(|_| "expected a time such as 2027-01-01T00:00:00Z, or a duration such as 90d")?;
    Timestamp::now()
        .checked_add(ahead.0)
        .map_err(|error| error.to_string())
}
