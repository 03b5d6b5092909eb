//! `mirador tenant`: reads and changes tenants of a running router, through its admin API.

mod apply;
mod client;
mod documents;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::{
    Deserialize,
    de::{self, IntoDeserializer},
};
use tenant_store::model::{Status, TenantId};

pub(super) use self::client::AdminError;
use self::client::{AdminClient, ServerArgs};
use super::{
    Failure,
    output::{Format, Terminal},
};

/// List, read, apply and delete the tenants of a running router.
///
/// Talks to the router's admin listener, so it works from anywhere that can reach it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador tenant apply -f acme.yaml             create it, or change it to what the file says
  mirador tenant apply -f tenants/ --dry-run    what would a whole directory change?
  mirador tenant list --status suspended
  mirador tenant get acme -o yaml > acme.yaml   a file that `apply` takes again
  mirador tenant delete acme

The admin token comes from --token-file or the variable MIRADOR_TOKEN; there is no flag for the
token itself because every process on the machine could read it.")]
pub(super) struct TenantCommand {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Get(Get),
    Apply(Apply),
    Delete(Delete),
}

/// List tenants in the order of their ids
#[derive(Debug, Args)]
struct List {
    /// Only tenants of this status: provisioning, active, suspended or deleted
    #[arg(long, value_parser = read_status)]
    status: Option<Status>,
    /// How to write them
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Show one tenant
#[derive(Debug, Args)]
struct Get {
    /// The tenant's id
    id: TenantId,
    /// How to write it
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
}

/// Make tenants what their files say
///
/// Validates every document before it sends the first: if one is faulty, nothing changes. Prints
/// `created`, `updated` or `unchanged` for each tenant.
#[derive(Debug, Args)]
struct Apply {
    /// A tenant file, a directory of them (*.yaml, *.yml, *.json), or - for standard input;
    /// can be given several times
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,
    /// Let the router say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Delete tenants: they are refused at once, their record stays as a tombstone
#[derive(Debug, Args)]
struct Delete {
    /// The tenants' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<TenantId>,
    /// Let the router say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl TenantCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let server = self.server;
        match self.action {
            Action::List(List { status, output }) => {
                let records = AdminClient::new(&server)?.list(status).await?;
                show::list(terminal, &records, output)
            }
            Action::Get(Get { id, output }) => {
                let record = AdminClient::new(&server)?.get(&id).await?;
                show::one(terminal, &record, output)
            }
            Action::Apply(Apply { files, dry_run }) => {
                let tenants = documents::load(&files, terminal)?;
                let client = AdminClient::new(&server)?;
                apply::apply(&client, &tenants, dry_run, terminal).await
            }
            Action::Delete(Delete { ids, dry_run }) => {
                let client = AdminClient::new(&server)?;
                apply::delete(&client, &ids, dry_run, terminal).await
            }
        }
    }
}

fn read_status(text: &str) -> Result<Status, de::value::Error> {
    Status::deserialize(text.into_deserializer())
}
