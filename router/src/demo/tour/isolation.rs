//! Each tenant sees all of its own data and nothing of the other's.

use reqwest::StatusCode;

use super::ensure;
use crate::demo::{
    DemoError,
    page::Count,
    world::{TenantWorld, World},
};

/// All series a tenant can see.
const EVERYTHING: &str = r#"{__name__!=""}"#;

/// Metrics: what everything is, what the own selector finds, and what the other's does not.
pub(super) async fn metrics(world: &World) -> Result<String, DemoError> {
    let mut told = Vec::new();
    for (tenant, other) in both_ways(world) {
        let (client, end) = (world.client.tenant(tenant.id), tenant.samples.end());
        let count = async |selector: &str| {
            let values = client.instant(&format!("count({selector})"), end).await?;
            Ok::<_, DemoError>(values.first().copied().unwrap_or_default())
        };
        let loaded = tenant.samples.series_count();
        let (all, own) = (
            count(EVERYTHING).await?,
            count(tenant.samples.selector).await?,
        );
        let others = count(other.samples.selector).await?;
        ensure([all, own, others] == [loaded, loaded, 0], || {
            let id = tenant.id;
            format!(
                "{id} should see {loaded} series, all its own; it sees {all}, of which {own} its own and {others} of {}",
                other.id
            )
        })?;
        told.push(format!(
            "{} {own} series, {others} of {}",
            tenant.id, other.id
        ));
    }
    Ok(told.join("; "))
}

/// Logs, likewise.
pub(super) async fn logs(world: &World) -> Result<String, DemoError> {
    let mut told = Vec::new();
    for (tenant, other) in both_ways(world) {
        let client = world.client.tenant(tenant.id);
        let loaded = u64::from(tenant.samples.log_count);
        let all = client.count_logs("*").await?;
        let own = client.count_logs(tenant.samples.log_filter).await?;
        let others = client.count_logs(other.samples.log_filter).await?;
        ensure([all, own, others] == [loaded, loaded, 0], || {
            let id = tenant.id;
            format!(
                "{id} should see {loaded} lines, all its own; it sees {all}, of which {own} its own and {others} of {}",
                other.id
            )
        })?;
        told.push(format!(
            "{} {} lines, {others} of {}",
            tenant.id,
            Count(own),
            other.id
        ));
    }
    Ok(told.join("; "))
}

/// Whoever names no tenant gets a 400, for metrics and logs alike.
pub(super) async fn no_tenant(world: &World) -> Result<String, DemoError> {
    let metrics = world.client.nobody().status_of_query(EVERYTHING).await?;
    let logs = world.client.nobody().status_of_search("*").await?;
    ensure([metrics, logs] == [StatusCode::BAD_REQUEST; 2], || {
        format!("both should be refused with 400; metrics answered {metrics}, logs {logs}")
    })?;
    Ok(format!(
        "metrics {}, logs {}",
        metrics.as_u16(),
        logs.as_u16()
    ))
}

fn both_ways(world: &World) -> [(&TenantWorld, &TenantWorld); 2] {
    [(&world.acme, &world.globex), (&world.globex, &world.acme)]
}
