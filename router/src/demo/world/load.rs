//! Loads a tenant's samples, and waits until queries find them.
//!
//! Samples go into each metrics endpoint directly, as both are to have the same; so would a
//! tenant's agents send them to both. Logs go through the router.

use std::{convert::Infallible, time::Duration};

use futures_util::{future::try_join_all, stream};
use reqwest::Body;

use super::TenantWorld;
use crate::demo::{
    DemoError,
    backend::Backend,
    client::{Client, Metrics},
    samples::Samples,
    wait::until,
};

/// How long the backends may take to make visible what they were given.
const VISIBLE: Duration = Duration::from_mins(1);

/// Loads everything of one tenant.
pub(super) async fn load(tenant: &TenantWorld, client: &Client) -> Result<(), DemoError> {
    let samples = &tenant.samples;
    let endpoints = tenant.metrics.iter();
    try_join_all(endpoints.map(|endpoint| load_metrics(endpoint, samples, client))).await?;
    let router = client.tenant(tenant.id);
    router
        .insert_logs(samples.log_lines(), samples.stream_fields)
        .await?;
    let what = format!("the logs of {} to be found", tenant.id);
    until(&what, VISIBLE, async || {
        Ok((router.count_logs("*").await? == samples.log_count()).then_some(()))
    })
    .await
}

async fn load_metrics(
    endpoint: &Backend,
    samples: &Samples,
    client: &Client,
) -> Result<(), DemoError> {
    let url = endpoint.url();
    let backend = client.direct(&url);
    let lines = stream::iter(samples.lines().map(Ok::<_, Infallible>));
    backend.import_samples(Body::wrap_stream(lines)).await?;
    let (query, loaded) = (
        format!("count({})", samples.selector),
        samples.series_count(),
    );
    until(
        &format!("the samples at {url} to be found"),
        VISIBLE,
        async || Ok((backend.instant(&query, samples.end()).await? == [loaded]).then_some(())),
    )
    .await?;
    until(
        &format!("the samples at {url} to be on disk"),
        VISIBLE,
        async || Ok(is_on_disk(&backend.metrics().await?, samples).then_some(())),
    )
    .await
}

/// What a backend still has in memory is lost when it is killed, and the demo kills one.
fn is_on_disk(backend: &Metrics, samples: &Samples) -> bool {
    let rows = |metric, kind| backend.sum(metric, &[("type", kind)]);
    let stored = rows("vm_rows", "storage/small") + rows("vm_rows", "storage/big");
    let unwritten = rows("vm_rows", "indexdb/inmemory") + rows("vm_pending_rows", "indexdb");
    stored == samples.sample_count() && unwritten == 0
}
