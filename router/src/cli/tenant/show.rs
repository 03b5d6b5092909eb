//! Tenants as people and programs read them.

use std::fmt::Write as _;

use tenant_store::model::{Deployment, TenantRecord};

use crate::cli::{
    Failure,
    client::{AdminClient, AdminError},
    output::{Format, Terminal},
};

/// Reads all tenants that are asked for, page by page.
pub(super) async fn all(
    client: &AdminClient,
    query: &[(&str, String)],
) -> Result<Vec<TenantRecord>, AdminError> {
    client
        .pages(&["tenants"], "tenants", "after", query, None)
        .await
}

/// Writes many tenants.
pub(super) fn list(
    terminal: &mut Terminal<'_>,
    records: &[TenantRecord],
    format: Format,
) -> Result<(), Failure> {
    match format {
        Format::Table => table(terminal, records),
        Format::Json => terminal.say_json(&serde_json::json!({ "tenants": records })),
        Format::Yaml => records
            .iter()
            .try_for_each(|record| yaml(terminal, record, "---\n")),
    }
}

/// Writes one tenant.
pub(super) fn one(
    terminal: &mut Terminal<'_>,
    record: &TenantRecord,
    format: Format,
) -> Result<(), Failure> {
    match format {
        Format::Table => table(terminal, std::slice::from_ref(record)),
        Format::Json => terminal.say_json(record),
        Format::Yaml => yaml(terminal, record, ""),
    }
}

fn table(terminal: &mut Terminal<'_>, records: &[TenantRecord]) -> Result<(), Failure> {
    let head = [
        "ID", "NAME", "STATUS", "TIER", "METRICS", "LOGS", "TRACES", "REVISION", "UPDATED",
    ];
    let rows: Vec<_> = records.iter().map(row).collect();
    terminal.say_table(head, &rows)
}

fn row(
    TenantRecord {
        tenant,
        revision,
        updated_at,
        ..
    }: &TenantRecord,
) -> [String; 9] {
    let name = tenant.display_name.as_ref().or(tenant.name.as_ref());
    [
        tenant.id.to_string(),
        name.cloned().unwrap_or_default(),
        tenant.status.as_str().into(),
        tenant.tier.as_str().into(),
        endpoints(tenant.deployments.metrics.as_ref()),
        endpoints(tenant.deployments.logs.as_ref()),
        endpoints(tenant.deployments.traces.as_ref()),
        revision.to_string(),
        format!("{updated_at:.0}"),
    ]
}

/// How many endpoints a deployment has; `-` if there is none.
fn endpoints(deployment: Option<&Deployment>) -> String {
    deployment.map_or_else(
        || "-".into(),
        |deployment| deployment.endpoints.len().to_string(),
    )
}

/// The tenant's file: what the store adds stands in comments, so that `apply` takes it again.
fn yaml(terminal: &mut Terminal<'_>, record: &TenantRecord, lead: &str) -> Result<(), Failure> {
    let TenantRecord {
        tenant,
        revision,
        created_at,
        updated_at,
    } = record;
    let mut text = lead.to_owned();
    let _ = writeln!(
        text,
        "# revision {revision}, created {created_at}, updated {updated_at}"
    );
    serde_saphyr::to_fmt_writer(&mut text, tenant)
        .map_err(|error| Failure::Output(std::io::Error::other(error.to_string())))?;
    terminal.say(&text.trim_end())
}
