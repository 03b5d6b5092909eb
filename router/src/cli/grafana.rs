//! `mirador grafana`: what Grafana is told of tenants and of the router, as files that it reads by
//! itself.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use deploy::{
    grafana::{self, Identification, MetricsPlugin, Router, TenantAccess},
    monitoring::DASHBOARDS,
};
use http::HeaderName;
use tenant_store::{
    document,
    model::{Signal, Status, Tenant, TenantId, TenantRecord, Tier},
};
use url::Url;

use super::{
    Failure,
    client::{AdminClient, ServerArgs},
    file,
    output::Terminal,
};

/// Provision Grafana with data sources for tenants, and with dashboards.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mirador grafana provision --router http://mirador:8427 > tenants.yaml
  mirador grafana provision --router http://mirador:8427 -o tenants.yaml
  mirador grafana provision --router http://mirador:8427 -f tenants/    without asking a router
  mirador grafana provision --router http://mirador:8427 --metrics victoriametrics
  mirador grafana provision --router http://mirador:8427 --key-variables MIRADOR_KEY_ acme
  mirador grafana dashboards -o dashboards/

Grafana reads the file when it starts, and when its admin API is asked to
(POST /api/admin/provisioning/datasources/reload).")]
pub(super) struct GrafanaCommand {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Provision(Box<Provision>),
    /// Write the dashboards of this version: all tenants, one tenant, the routers
    Dashboards {
        /// The folder that Grafana's provider reads; it has to be there
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// Write a file of data sources: one for each tenant and signal, with stable uids
///
/// Tenants are those the router's admin API knows, or those of files. Deleted ones are left out, so
/// that Grafana removes what they had.
#[derive(Debug, Args)]
struct Provision {
    /// Only these tenants
    #[arg(value_name = "ID")]
    ids: Vec<TenantId>,
    /// The router's public listener, as Grafana's server reaches it
    #[arg(long, env = "MIRADOR_PUBLIC_URL", value_name = "URL", value_parser = read_web_url)]
    router: Url,
    /// Tenant files or directories of them, instead of the router's tenants
    #[arg(short, long = "file", value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Only tenants of this tier
    #[arg(long)]
    tier: Option<Tier>,
    /// Only tenants with this label: key, key=value, or several with commas between
    #[arg(long, value_name = "SELECTOR", conflicts_with = "files")]
    label: Option<String>,
    /// The plug-in for metrics
    #[arg(long, value_enum, default_value = "prometheus")]
    metrics: Plugin,
    /// The header that names the tenant, as in `identify.headers`
    #[arg(long, value_name = "NAME", default_value = "X-Tenant-ID", value_parser = read_header)]
    header: String,
    /// Send an API key that Grafana finds in its environment, instead of the header: this prefix
    /// and the tenant's id, in capitals and with _ for -
    #[arg(long, value_name = "PREFIX", value_parser = read_prefix, conflicts_with = "header")]
    key_variables: Option<String>,
    /// The organisation of Grafana that gets them; without it, Grafana's first
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    org_id: Option<u32>,
    /// The file to write; standard output without
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The plug-in for metrics.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Plugin {
    /// What is built into Grafana
    Prometheus,
    /// victoriametrics-metrics-datasource
    Victoriametrics,
}

impl GrafanaCommand {
    pub(super) async fn run(self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        match self.action {
            Action::Provision(provision) => provision.run(&self.server, terminal).await,
            Action::Dashboards { output } => DASHBOARDS.iter().try_for_each(|dashboard| {
                let path = output.join(dashboard.file);
                let outcome = file::replace(&path, dashboard.text)?;
                terminal.say(&format_args!("{} {outcome}", path.display()))
            }),
        }
    }
}

impl Provision {
    async fn run(self, server: &ServerArgs, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let mut tenants = if self.files.is_empty() {
            self.tenants_of_router(server).await?
        } else {
            self.tenants_of_files(terminal)?
        };
        self.select(&mut tenants)?;
        let access: Vec<TenantAccess> = tenants.iter().map(access_to).collect();
        let text = grafana::provisioning(&access, &self.target());
        let Some(path) = &self.output else {
            return terminal.say(&text.trim_end());
        };
        let outcome = file::replace(path, &text)?;
        let sources: usize = access.iter().map(|tenant| tenant.signals.len()).sum();
        terminal.say(&format_args!(
            "{} {outcome}: {sources} data sources of {} tenants",
            path.display(),
            access.len()
        ))
    }

    async fn tenants_of_router(&self, server: &ServerArgs) -> Result<Vec<Tenant>, Failure> {
        let tier = self.tier.as_ref().map(|tier| tier.as_str().to_owned());
        let selected = [("tier", tier), ("label", self.label.clone())];
        let selected = selected.into_iter();
        let query: Vec<_> = selected
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let client = AdminClient::new(server)?;
        let records: Vec<TenantRecord> = client
            .pages(&["tenants"], "tenants", "after", &query, None)
            .await?;
        Ok(records.into_iter().map(|record| record.tenant).collect())
    }

    fn tenants_of_files(&self, terminal: &mut Terminal<'_>) -> Result<Vec<Tenant>, Failure> {
        let sources = document::tenant_sources(&self.files)
            .map_err(|faults| terminal.complain_of(&faults))?;
        let tenants = sources.into_iter().map(|source| source.tenant);
        let mut tenants: Vec<Tenant> = tenants
            .filter(|tenant| tenant.status != Status::Deleted)
            .filter(|tenant| self.tier.as_ref().is_none_or(|tier| tenant.tier == *tier))
            .collect();
        tenants.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        Ok(tenants)
    }

    /// Leaves the tenants that are named. One that is named and not there is a mistake: without a
    /// word, Grafana would lose its data sources.
    fn select(&self, tenants: &mut Vec<Tenant>) -> Result<(), Failure> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let is_there = |id: &&TenantId| tenants.iter().any(|tenant| tenant.id == **id);
        let missing: Vec<&str> = self
            .ids
            .iter()
            .filter(|id| !is_there(id))
            .map(TenantId::as_str)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let message = format!("there is no such tenant among those selected: {missing}");
            return Err(Failure::Input(message));
        }
        tenants.retain(|tenant| self.ids.contains(&tenant.id));
        Ok(())
    }

    fn target(&self) -> Router {
        let identification = match &self.key_variables {
            Some(prefix) => Identification::ApiKey {
                prefix: prefix.clone(),
            },
            None => Identification::Header(self.header.clone()),
        };
        Router {
            metrics: match self.metrics {
                Plugin::Prometheus => MetricsPlugin::Prometheus,
                Plugin::Victoriametrics => MetricsPlugin::VictoriaMetrics,
            },
            identification,
            organisation: self.org_id,
            ..Router::at(self.router.as_str())
        }
    }
}

fn access_to(tenant: &Tenant) -> TenantAccess {
    let name = tenant.display_name.as_ref().or(tenant.name.as_ref());
    let has_deployment = |signal: &Signal| tenant.deployments[*signal].is_some();
    TenantAccess {
        id: tenant.id.clone(),
        display_name: name.cloned().unwrap_or_else(|| tenant.id.to_string()),
        signals: Signal::ALL.into_iter().filter(has_deployment).collect(),
    }
}

/// A URL that others are appended to.
pub(super) fn read_web_url(text: &str) -> Result<Url, String> {
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(fits);
    url.ok_or_else(|| "expected a URL such as http://mirador:8427, without a query".into())
}

fn read_header(text: &str) -> Result<String, String> {
    match HeaderName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected the name of an HTTP header, such as X-Tenant-ID".into()),
    }
}

fn read_prefix(text: &str) -> Result<String, String> {
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let error = "expected a letter or _, then letters, digits and _, such as MIRADOR_KEY_";
    fits.then(|| text.to_owned()).ok_or_else(|| error.into())
}
