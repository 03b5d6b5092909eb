//! The sections of what goes beyond small requests and changes, with a template of their own.

use super::{NOT_MEASURED, connections, failover, fill, grouped, start, streams};
use crate::{
    error::BenchError,
    peer::setup::CHECK_SECONDS,
    scenario::{Figures, Size},
};

const TEMPLATE: &str = include_str!("scenarios.md");

pub(super) fn render(size: &Size, figures: &Figures) -> Result<String, BenchError> {
    let or_not = |table: Option<String>| table.unwrap_or_else(|| NOT_MEASURED.into());
    let tables = [
        (
            "streaming",
            figures.streaming.as_ref().map(streams::streaming),
        ),
        ("tails", figures.tails.as_ref().map(streams::tails)),
        ("tls", figures.tls.as_ref().map(connections::tls)),
        ("http2", figures.http2.as_ref().map(connections::http2)),
        (
            "storm",
            figures.connections.as_ref().map(connections::storm),
        ),
        ("idle", figures.connections.as_ref().map(connections::idle)),
        (
            "failover",
            figures.failover.as_ref().map(failover::failover),
        ),
        ("start", figures.start.as_deref().map(start::start)),
        ("scaling", figures.scaling.as_ref().map(start::scaling)),
    ];
    let mut fields: Vec<(&str, String)> = tables
        .into_iter()
        .map(|(name, table)| (name, or_not(table)))
        .collect();
    fields.extend(numbers(size));
    fill(TEMPLATE, &fields)
}

fn numbers(size: &Size) -> Vec<(&'static str, String)> {
    let (tls, http2, open) = (size.tls, size.http2, size.of_connections);
    let (failover, scaling) = (size.failover, size.scaling);
    let mib = u32::try_from(size.streaming.bytes >> 20).unwrap_or(u32::MAX);
    vec![
        ("streaming_mib", grouped(mib)),
        ("streaming_rounds", size.streaming.rounds.to_string()),
        ("tails_count", grouped(size.tails.tails)),
        ("tails_silence", size.tails.silence.as_secs().to_string()),
        ("tails_rounds", size.tails.rounds.to_string()),
        ("tls_requests", grouped(tls.volume.requests)),
        ("tls_kept", tls.volume.connections.to_string()),
        ("tls_connections", grouped(tls.connections)),
        ("tls_rounds", tls.rounds.to_string()),
        ("http2_connections", http2.connections.to_string()),
        ("http2_streams", http2.streams.to_string()),
        ("http2_requests", grouped(http2.requests)),
        ("http2_rounds", http2.rounds.to_string()),
        ("short", grouped(open.short)),
        ("idle_count", grouped(open.idle)),
        ("connections_rounds", open.rounds.to_string()),
        ("failover_connections", failover.connections.to_string()),
        ("failover_rate", grouped(failover.rate)),
        ("failover_after", failover.after.to_string()),
        ("failover_rounds", failover.rounds.to_string()),
        ("check", CHECK_SECONDS.to_string()),
        ("starts", size.start.starts.to_string()),
        ("scaling_requests", grouped(scaling.volume.requests)),
        (
            "scaling_connections",
            scaling.volume.connections.to_string(),
        ),
        ("scaling_rounds", scaling.rounds.to_string()),
    ]
}
