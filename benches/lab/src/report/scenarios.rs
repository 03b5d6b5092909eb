//! The sections of what goes beyond small requests and changes, with a template of their own.

use super::{
    connections, extent, failover, fill, grouped, origin::Origin, section, start, streams,
};
use crate::{
    error::BenchError,
    peer::setup::CHECK_SECONDS,
    scenario::{
        Records, begin, connections as open, failover as failing, http2, scaling, streaming, tails,
        tls,
    },
};

const TEMPLATE: &str = include_str!("scenarios.md");

pub(super) fn render(usual: &Origin, records: &Records) -> Result<String, BenchError> {
    let open = records.connections.as_ref();
    let streaming = records.streaming.as_ref();
    let failover = records.failover.as_ref();
    let start = records.start.as_ref();
    let scaling = records.scaling.as_ref();
    let mut fields = vec![
        ("streaming", section(usual, streaming, streams::streaming)),
        (
            "tails",
            section(usual, records.tails.as_ref(), streams::tails),
        ),
        (
            "tls",
            section(usual, records.tls.as_ref(), connections::tls),
        ),
        (
            "http2",
            section(usual, records.http2.as_ref(), connections::http2),
        ),
        ("storm", section(usual, open, connections::storm)),
        ("idle", section(usual, open, connections::idle)),
        ("failover", section(usual, failover, failover::failover)),
        ("start", section(usual, start, |all| start::start(all))),
        ("scaling", section(usual, scaling, start::scaling)),
    ];
    fields.extend(numbers(records));
    fill(TEMPLATE, &fields)
}

fn numbers(records: &Records) -> Vec<(&'static str, String)> {
    let streaming = extent(records.streaming.as_ref(), streaming::Extent::FULL);
    let tails = extent(records.tails.as_ref(), tails::Extent::FULL);
    let tls = extent(records.tls.as_ref(), tls::Extent::FULL);
    let http2 = extent(records.http2.as_ref(), http2::Extent::FULL);
    let open = extent(records.connections.as_ref(), open::Extent::FULL);
    let failover = extent(records.failover.as_ref(), failing::Extent::FULL);
    let start = extent(records.start.as_ref(), begin::Extent::FULL);
    let scaling = extent(records.scaling.as_ref(), scaling::Extent::FULL);
    let mib = u32::try_from(streaming.bytes >> 20).unwrap_or(u32::MAX);
    vec![
        ("streaming_mib", grouped(mib)),
        ("streaming_rounds", streaming.rounds.to_string()),
        ("tails_count", grouped(tails.tails)),
        ("tails_silence", tails.silence.as_secs().to_string()),
        ("tails_rounds", tails.rounds.to_string()),
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
        ("idle_for", open::IDLE_FOR.as_secs().to_string()),
        ("connections_rounds", open.rounds.to_string()),
        ("failover_connections", failover.connections.to_string()),
        ("failover_rate", grouped(failover.rate)),
        ("failover_after", failover.after.to_string()),
        ("failover_rounds", failover.rounds.to_string()),
        ("check", CHECK_SECONDS.to_string()),
        ("starts", start.starts.to_string()),
        ("scaling_requests", grouped(scaling.volume.requests)),
        (
            "scaling_connections",
            scaling.volume.connections.to_string(),
        ),
        ("scaling_rounds", scaling.rounds.to_string()),
    ]
}
