//! Tenants from one installation to another.

use clap::ValueEnum;
use reqwest::Method;
use tenant_store::model::TenantId;

use super::Existing;
use crate::cli::{
    Failure,
    client::{AdminClient, Body, Change, Condition},
    output::{Format, Terminal, cell},
};

/// Writes the YAML of one tenant, or of all.
pub(super) async fn export(
    client: &AdminClient,
    id: Option<TenantId>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let text = match &id {
        Some(id) => client.text(&["tenants", id.as_str(), "export"]).await?,
        None => client.text(&["export"]).await?,
    };
    terminal.say(&text.trim_end())
}

/// Sends YAML, and writes what became of each tenant.
pub(super) async fn import(
    client: &AdminClient,
    text: &str,
    existing: Existing,
    dry_run: bool,
    output: Format,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let existing = existing.to_possible_value();
    let existing = existing.as_ref().map_or("fail", |value| value.get_name());
    let query = [
        ("dry_run", dry_run.to_string()),
        ("existing", existing.to_owned()),
    ];
    let change = Change {
        method: Method::POST,
        path: &["import"],
        query: &query,
        condition: Condition::None,
        body: Body::Yaml(text),
    };
    let report = client.change(change).await?.body;
    let tenants = report["tenants"].as_array().map_or(&[][..], Vec::as_slice);
    match output {
        Format::Json => terminal.say_json(&report)?,
        Format::Yaml => terminal.say_yaml(&report)?,
        Format::Table => {
            let rows: Vec<_> = tenants
                .iter()
                .map(|tenant| {
                    ["id", "outcome", "revision", "error"].map(|field| cell(&tenant[field]))
                })
                .collect();
            terminal.say_table(["ID", "OUTCOME", "REVISION", "ERROR"], &rows)?;
        }
    }
    let failed = report["failed"].as_u64().unwrap_or_default();
    match usize::try_from(failed).unwrap_or(usize::MAX) {
        0 => Ok(()),
        failed => Err(Failure::Partly {
            failed,
            asked: tenants.len(),
            worst: Failure::MACHINE,
        }),
    }
}
