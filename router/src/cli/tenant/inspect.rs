//! How a tenant's endpoints are: as the router sees them, and when it asks them now.

use reqwest::Method;
use serde_json::{Map, Value};
use tenant_store::model::{Tenant, TenantId};

use crate::cli::{
    Failure,
    client::{AdminClient, Body, Change, Condition},
    output::{Format, Terminal, cell},
};

/// Writes what the router has seen of the endpoints.
pub(super) async fn health(
    client: &AdminClient,
    id: &TenantId,
    output: Format,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let path = ["tenants", id.as_str(), "health"];
    let health: Value = client.read(&path, &[]).await?;
    match output {
        Format::Json => terminal.say_json(&health),
        Format::Yaml => terminal.say_yaml(&health),
        Format::Table => {
            let head = ["SIGNAL", "ENDPOINT", "ZONE", "PRIORITY", "STATE", "REASON"];
            let fields = ["endpoint", "zone", "priority", "state", "reason"];
            terminal.say_table(head, &rows(&health, fields))
        }
    }
}

/// Writes what holds for a tenant, and where each value comes from.
pub(super) async fn effective(
    client: &AdminClient,
    id: &TenantId,
    output: Format,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let path = ["tenants", id.as_str(), "effective"];
    let effective: Value = client.read(&path, &[]).await?;
    match output {
        Format::Json => terminal.say_json(&effective),
        Format::Yaml => terminal.say_yaml(&effective),
        Format::Table => {
            let sources = effective["sources"].as_object();
            let rows: Vec<_> = sources
                .into_iter()
                .flat_map(Map::iter)
                .map(|(path, source)| {
                    let value = path
                        .split('.')
                        .fold(&effective, |value, field| &value[field]);
                    [path.clone(), cell(value), cell(source)]
                })
                .collect();
            terminal.say_table(["VALUE", "IS", "FROM"], &rows)
        }
    }
}

/// Has the router ask the endpoints, and writes what it found. Something wrong is a failure.
pub(super) async fn validate(
    client: &AdminClient,
    id: Option<TenantId>,
    given: Option<Tenant>,
    output: Format,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let document = given
        .as_ref()
        .map(|tenant| serde_json::to_value(tenant).unwrap_or(Value::Null));
    let Some(id) = id.or_else(|| given.map(|tenant| tenant.id)) else {
        return Err(Failure::Input("name a tenant, or a file".into()));
    };
    let path = ["tenants", id.as_str(), "deployments", "validate"];
    let change = Change {
        method: Method::POST,
        path: &path,
        query: &[],
        condition: Condition::None,
        body: document.as_ref().map_or(Body::None, Body::Json),
    };
    let found = client.change(change).await?.body;
    match output {
        Format::Json => terminal.say_json(&found)?,
        Format::Yaml => terminal.say_yaml(&found)?,
        Format::Table => {
            let head = [
                "SIGNAL", "URL", "OK", "PRODUCT", "VERSION", "TLS", "MS", "PROBLEMS",
            ];
            let fields = [
                "url",
                "ok",
                "product",
                "version",
                "tls",
                "latency_ms",
                "problems",
            ];
            terminal.say_table(head, &rows(&found, fields))?;
            for (signal, deployment) in deployments(&found) {
                if let Some(fault) = deployment["fault"].as_str() {
                    terminal.say(&format_args!("{signal}: {fault}"))?;
                }
            }
        }
    }
    if found["ok"] == Value::Bool(true) {
        Ok(())
    } else {
        Err(Failure::NotYet(format!(
            "something is wrong with the endpoints of tenant {id}"
        )))
    }
}

/// A row for each endpoint: its signal, and these fields.
fn rows<const N: usize, const M: usize>(page: &Value, fields: [&str; N]) -> Vec<[String; M]> {
    let mut rows = Vec::new();
    for (signal, deployment) in deployments(page) {
        for endpoint in deployment["endpoints"].as_array().into_iter().flatten() {
            let cells = fields.iter().map(|field| cell(&endpoint[*field]));
            let mut cells = std::iter::once(signal.clone()).chain(cells);
            rows.push(std::array::from_fn(|_| cells.next().unwrap_or_default()));
        }
    }
    rows
}

fn deployments(page: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let map = page["deployments"].as_object();
    map.into_iter().flat_map(Map::iter)
}
