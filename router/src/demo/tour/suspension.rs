//! A suspended tenant is refused, and nobody else is.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::ensure;
use crate::demo::{DemoError, client::Client, page::Took, wait::until, world::World};

/// How often each tenant asks while one of them is suspended.
const TRIES: usize = 50;
/// How long a change may take to be in force.
const SOON: Duration = Duration::from_secs(10);
/// Any query that answers without data.
const QUERY: &str = "vector(1)";

/// Suspends acme through the admin API, and makes it active again.
pub(super) async fn suspend(world: &World) -> Result<String, DemoError> {
    let client = &world.client;
    let (acme, globex) = (world.acme.id, world.globex.id);
    let mut document = client.document(acme).await?;
    let refused = change(
        client,
        acme,
        &mut document,
        "suspended",
        StatusCode::FORBIDDEN,
    )
    .await?;
    for _ in 0..TRIES {
        let (suspended, other) = (status(client, acme).await?, status(client, globex).await?);
        let logs = client.tenant(acme).status_of_search("*").await?;
        let fits = [suspended, logs, other]
            == [StatusCode::FORBIDDEN, StatusCode::FORBIDDEN, StatusCode::OK];
        ensure(fits, || {
            format!(
                "{acme} should get 403 and {globex} 200; {acme} got {suspended} (logs {logs}), {globex} {other}"
            )
        })?;
    }
    let served = change(client, acme, &mut document, "active", StatusCode::OK).await?;
    Ok(format!(
        "{acme} 403 after {}, {TRIES} of {TRIES}; {globex} 200, {TRIES} of {TRIES}; {acme} served again after {}",
        Took(refused),
        Took(served)
    ))
}

/// Changes a tenant's status, and tells how long queries took to get the answer that it brings.
async fn change(
    client: &Client,
    tenant: &str,
    document: &mut Value,
    to: &str,
    answer: StatusCode,
) -> Result<Duration, DemoError> {
    let begun = Instant::now();
    document["status"] = to.into();
    client.replace(tenant, document).await?;
    let what = format!("queries of {tenant} to get {answer}");
    until(&what, SOON, async || {
        Ok((status(client, tenant).await? == answer).then_some(()))
    })
    .await?;
    Ok(begun.elapsed())
}

async fn status(client: &Client, tenant: &str) -> Result<StatusCode, DemoError> {
    client.tenant(tenant).status_of_query(QUERY).await
}
