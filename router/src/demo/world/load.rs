//! Loads a tenant's samples, and waits until queries find them.
//!
//! Samples go into each metrics endpoint directly, as both are to have the same; so would a
//! tenant's agents send them to both. Logs go through the router.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, future::try_join_all, stream};
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
    let (samples, router) = (&tenant.samples, client.tenant(tenant.id));
    let lines = samples.lines();
    let endpoints = tenant.metrics.iter();
    try_join_all(endpoints.map(|endpoint| load_metrics(endpoint, samples, &lines, client))).await?;
    router
        .insert_logs(samples.log_lines(), samples.stream_fields)
        .await?;
    let loaded = u64::from(samples.log_count);
    until(
        &format!("the logs of {} to be found", tenant.id),
        VISIBLE,
        async || Ok((router.count_logs("*").await? == loaded).then_some(())),
    )
    .await
}

async fn load_metrics(
    endpoint: &Backend,
    samples: &Samples,
    lines: &[Bytes],
    client: &Client,
) -> Result<(), DemoError> {
    let url = endpoint.url();
    let backend = client.direct(&url);
    let body = stream::iter(lines.to_vec()).map(Ok::<_, Infallible>);
    backend.import_samples(Body::wrap_stream(body)).await?;
    // What is only in memory is lost when a backend is killed, and the demo kills one. A snapshot
    // has everything written to disk, which else takes several seconds.
    backend.take_snapshot().await?;
    let (query, loaded) = (
        format!("count({})", samples.selector),
        samples.series_count(),
    );
    until(
        &format!("the samples at {url} to be found"),
        VISIBLE,
        async || {
            let is_found = backend.instant(&query, samples.end()).await? == [loaded];
            Ok((is_found && is_on_disk(&backend.metrics().await?, samples)).then_some(()))
        },
    )
    .await
}

fn is_on_disk(backend: &Metrics, samples: &Samples) -> bool {
    let rows = |metric, kind| backend.sum(metric, &[("type", kind)]);
    let stored = rows("vm_rows", "storage/small") + rows("vm_rows", "storage/big");
    let unwritten = rows("vm_rows", "indexdb/inmemory") + rows("vm_pending_rows", "indexdb");
    stored == samples.sample_count() && unwritten == 0
}
