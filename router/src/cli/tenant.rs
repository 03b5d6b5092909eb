//! `mirador tenant`: reads and changes tenants of a running router, through its admin API.

mod apply;
mod documents;
mod inspect;
mod out_of_use;
mod show;
mod transfer;
mod wait;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::{
    Deserialize,
    de::{self, IntoDeserializer},
};
use tenant_store::model::{HumanDuration, Status, TenantId, TenantRecord, Tier};

use self::{
    apply::Step,
    out_of_use::{DrainArgs, MaintenanceArgs},
};
use super::{
    Failure,
    changing::{At, DryRun},
    client::{AdminClient, ServerArgs},
    output::{Format, Terminal},
};

/// List, read, change and delete the tenants of a running router.
///
/// Talks to the router's admin listener, so it works from anywhere that can reach it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador tenant apply -f acme.yaml             create it, or change it to what the file says
  mirador tenant apply -f tenants/ --dry-run    what would a whole directory change?
  mirador tenant patch acme '{\"tier\":\"pro\"}'   change one field
  mirador tenant suspend acme
  mirador tenant activate acme --wait           until its endpoints are healthy
  mirador tenant list --status suspended
  mirador tenant drain acme metrics 10.0.0.2:8428     before its machine is worked on
  mirador tenant undrain acme metrics 10.0.0.2:8428
  mirador tenant maintenance acme --reason upgrade --for 2h
  mirador tenant maintenance acme --end
  mirador tenant get acme -o yaml > acme.yaml   a file that `apply` takes again
  mirador tenant validate acme                  are its endpoints there, and what they should be?
  mirador tenant export > tenants.yaml          all of them, for another installation
  mirador tenant import -f tenants.yaml --existing skip
  mirador tenant list --tier pro --label team=sre
  mirador tenant delete acme
  mirador tenant restore acme

The token comes from --token-file or the variable MIRADOR_TOKEN; there is no flag for the token
itself because every process on the machine could read it.")]
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
    Patch(Patch),
    /// Suspend tenants: their requests are refused at once, until they are activated
    Suspend(ChangeStatus),
    /// Have tenants served that are being provisioned, or were suspended
    Activate(Activate),
    /// Take an endpoint out of use: requests in flight there finish, no further ones are sent
    Drain(DrainArgs),
    /// Take an endpoint back into use
    Undrain(DrainArgs),
    /// Begin or end maintenance: requests flow on, and nobody is told of the tenant's health
    Maintenance(MaintenanceArgs),
    Delete(Delete),
    /// Bring deleted tenants back, as they were
    Restore(Activate),
    /// Show how a tenant's endpoints are, as this router sees them
    Health(Inspect),
    /// Show what holds for a tenant, and where each value comes from
    Effective(Inspect),
    Validate(Validate),
    Invalidate(Invalidate),
    Export(Export),
    Import(Import),
}

/// List tenants in the order of their ids
#[derive(Debug, Args)]
struct List {
    /// Only tenants of this status: provisioning, active, suspended or deleted
    #[arg(long, value_parser = read_status)]
    status: Option<Status>,
    /// Only tenants of this tier
    #[arg(long)]
    tier: Option<Tier>,
    /// Only tenants with this label: key, key=value, or several with commas between
    #[arg(long, value_name = "SELECTOR")]
    label: Option<String>,
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
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    wait: Wait,
}

/// Change some fields of a tenant
#[derive(Debug, Args)]
struct Patch {
    /// The tenant's id
    id: TenantId,
    /// The fields that change, as a JSON merge patch: null removes one
    #[arg(value_name = "JSON")]
    fields: String,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    dry_run: DryRun,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
struct ChangeStatus {
    /// The tenants' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<TenantId>,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    dry_run: DryRun,
}

/// Delete tenants: they are refused at once, their record stays as a tombstone
#[derive(Debug, Args)]
struct Delete {
    #[command(flatten)]
    change: ChangeStatus,
    /// Forget them for good, whether they were deleted before or not
    #[arg(long)]
    purge: bool,
}

#[derive(Debug, Args)]
struct Activate {
    #[command(flatten)]
    change: ChangeStatus,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Debug, Args)]
struct Inspect {
    /// The tenant's id
    id: TenantId,
    /// How to write it
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Ask a tenant's endpoints whether they are there, and what they should be
///
/// The router asks; nothing is saved. Exits with 1 if anything is wrong with any of them.
#[derive(Debug, Args)]
struct Validate {
    /// The tenant's id, if it is one that is stored
    #[arg(required_unless_present = "file")]
    id: Option<TenantId>,
    /// A tenant file to ask about, instead of one that is stored
    #[arg(short, long, value_name = "FILE", conflicts_with = "id")]
    file: Option<PathBuf>,
    /// How to write it
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Have the router read tenants again, and the secrets and certificates they name
#[derive(Debug, Args)]
struct Invalidate {
    /// The tenants' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<TenantId>,
}

/// Write tenants as YAML that applies cleanly elsewhere; all of them, or one
#[derive(Debug, Args)]
struct Export {
    /// The tenant's id
    id: Option<TenantId>,
}

/// Take in what `export` wrote
///
/// If any document has a fault, nothing changes. Otherwise each tenant is written whole or not at
/// all. Exits with 1 if any was not.
#[derive(Debug, Args)]
struct Import {
    /// The file, or - for standard input
    #[arg(short, long, value_name = "FILE|-", required = true)]
    file: PathBuf,
    /// What is to become of tenants that are there, and other than imported
    #[arg(long, value_enum, default_value = "fail")]
    existing: Existing,
    #[command(flatten)]
    dry_run: DryRun,
    /// How to write what became of them
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// What is to become of tenants that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Existing {
    /// They stay, and are reported
    Fail,
    /// They stay
    Skip,
    /// They become what is imported
    Replace,
}

#[derive(Debug, Args)]
struct Wait {
    /// Wait until the router sees every endpoint healthy
    #[arg(long)]
    wait: bool,
    /// How long to wait at most
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "60s",
        requires = "wait"
    )]
    wait_timeout: HumanDuration,
}

impl TenantCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let server = self.server;
        let client = || AdminClient::new(&server);
        match self.action {
            Action::List(list) => {
                let records = show::all(&client()?, &list.query()).await?;
                show::list(terminal, &records, list.output)
            }
            Action::Get(Get { id, output }) => {
                let path = ["tenants", id.as_str()];
                let record: TenantRecord = client()?.read(&path, &[]).await?;
                show::one(terminal, &record, output)
            }
            Action::Apply(apply) => apply.run(&client()?, terminal).await,
            Action::Patch(patch) => {
                let steps = vec![Step::Patch(patch.id, patch.fields)];
                let (at, wait) = (patch.at.revision(), patch.wait.limit());
                apply::run(&client()?, steps, at, patch.dry_run.dry_run, wait, terminal).await
            }
            Action::Suspend(change) => change.run(&client()?, Step::Suspend, None, terminal).await,
            Action::Activate(Activate { change, wait }) => {
                let limit = wait.limit();
                change
                    .run(&client()?, Step::Activate, limit, terminal)
                    .await
            }
            Action::Restore(Activate { change, wait }) => {
                let limit = wait.limit();
                change.run(&client()?, Step::Restore, limit, terminal).await
            }
            Action::Drain(drain) => drain.run(&client()?, Step::Drain, terminal).await,
            Action::Undrain(drain) => drain.run(&client()?, Step::Undrain, terminal).await,
            Action::Maintenance(maintenance) => maintenance.run(&client()?, terminal).await,
            Action::Delete(Delete { change, purge }) => {
                let step = |id| Step::Delete(id, purge);
                change.run(&client()?, step, None, terminal).await
            }
            Action::Health(Inspect { id, output }) => {
                inspect::health(&client()?, &id, output, terminal).await
            }
            Action::Effective(Inspect { id, output }) => {
                inspect::effective(&client()?, &id, output, terminal).await
            }
            Action::Validate(Validate { id, file, output }) => {
                let given = file
                    .map(|file| documents::one(&file, terminal))
                    .transpose()?;
                inspect::validate(&client()?, id, given, output, terminal).await
            }
            Action::Invalidate(Invalidate { ids }) => {
                let steps = ids.into_iter().map(Step::Invalidate).collect();
                apply::run(&client()?, steps, None, false, None, terminal).await
            }
            Action::Export(Export { id }) => transfer::export(&client()?, id, terminal).await,
            Action::Import(import) => {
                let text = documents::text(&import.file)?;
                let (existing, dry_run) = (import.existing, import.dry_run.dry_run);
                let output = import.output;
                transfer::import(&client()?, &text, existing, dry_run, output, terminal).await
            }
        }
    }
}

impl List {
    fn query(&self) -> Vec<(&'static str, String)> {
        let status = self.status.map(|status| status.as_str().to_owned());
        let tier = self.tier.as_ref().map(|tier| tier.as_str().to_owned());
        let selected = [
            ("status", status),
            ("tier", tier),
            ("label", self.label.clone()),
        ];
        let selected = selected.into_iter();
        selected
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Apply {
    async fn run(self, client: &AdminClient, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let tenants = documents::load(&self.files, terminal)?;
        let put = |tenant| Step::Put(Box::new(tenant));
        let steps = tenants.into_iter().map(put).collect();
        let (dry_run, wait) = (self.dry_run.dry_run, self.wait.limit());
        apply::run(client, steps, None, dry_run, wait, terminal).await
    }
}

impl ChangeStatus {
    async fn run(
        self,
        client: &AdminClient,
        step: impl Fn(TenantId) -> Step,
        wait: Option<HumanDuration>,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        let at = self.at.revision();
        let steps = self.ids.into_iter().map(step).collect();
        apply::run(client, steps, at, self.dry_run.dry_run, wait, terminal).await
    }
}

impl Wait {
    fn limit(&self) -> Option<HumanDuration> {
        self.wait.then_some(self.wait_timeout)
    }
}

fn read_status(text: &str) -> Result<Status, de::value::Error> {
    Status::deserialize(text.into_deserializer())
}
