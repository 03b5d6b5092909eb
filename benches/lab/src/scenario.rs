//! The scenarios, and how much of each.

pub(crate) mod begin;
pub(crate) mod change;
pub(crate) mod connections;
mod driven;
pub(crate) mod failover;
pub(crate) mod http2;
pub(crate) mod memory;
pub(crate) mod reload;
pub(crate) mod rounds;
pub(crate) mod scaling;
pub(crate) mod side_by_side;
pub(crate) mod streaming;
pub(crate) mod tails;
pub(crate) mod tenants;
pub(crate) mod tls;

use std::time::Duration;

use clap::ValueEnum;

use self::{rounds::Rounds, side_by_side::Runs};
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Peer, Setup, Volume},
};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Requests per second and CPU time per request beside the peers
    Throughput,
    /// Added latency on one connection beside the peers
    Latency,
    /// CPU time per request and memory by number of tenants beside the peers
    Tenants,
    /// What a change of one tenant costs beside the peers
    Reload,
    /// Memory by number of tenants
    Memory,
    /// Time for a tenant's change to take effect
    Change,
    /// Long bodies: CPU time by size, and memory, beside the peers
    Streaming,
    /// CPU time of TLS, by request and by connection, beside the peers
    Tls,
    /// CPU time per request over HTTP/2 beside the peers
    Http2,
    /// CPU time of short connections and memory of idle ones beside the peers
    Connections,
    /// Memory and CPU time of silent live tails beside the peers
    Tails,
    /// What users see when one of two endpoints dies or hangs, beside the peers
    Failover,
    /// Time to the first answer by number of tenants
    Start,
    /// CPU time per request with one worker and with two beside the peers
    Scaling,
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Interleaved rounds over all peers.
    pub(crate) rounds: u32,
    /// Connections under load.
    pub(crate) connections: u32,
    /// Requests per load.
    pub(crate) requests: u32,
    /// Requests per load on a single connection.
    pub(crate) lone_requests: u32,
    /// Requests per connection before those that are measured.
    pub(crate) warm_up: u32,
    /// Numbers of tenants at which memory is looked at.
    pub(crate) tenants: &'static [u32],
    /// How long the router rests before memory is looked at again; longer than idle connections
    /// are kept.
    pub(crate) rest: Duration,
    /// Tenants known while one of them changes.
    pub(crate) bystanders: u32,
    /// Changes seen through the router that made them.
    pub(crate) changes: u32,
    /// Changes seen through another router.
    pub(crate) remote_changes: u32,
    pub(crate) of_tenants: tenants::Extent,
    pub(crate) reload: reload::Extent,
    pub(crate) streaming: streaming::Extent,
    pub(crate) tls: tls::Extent,
    pub(crate) http2: http2::Extent,
    pub(crate) of_connections: connections::Extent,
    pub(crate) tails: tails::Extent,
    pub(crate) failover: failover::Extent,
    pub(crate) start: begin::Extent,
    pub(crate) scaling: scaling::Extent,
}

impl Size {
    /// For figures.
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        connections: 64,
        requests: 60_000,
        lone_requests: 20_000,
        warm_up: 100,
        tenants: &[0, 1, 1_000, 10_000],
        rest: Duration::from_mins(1),
        bystanders: 1_000,
        changes: 200,
        remote_changes: 20,
        of_tenants: tenants::Extent::FULL,
        reload: reload::Extent::FULL,
        streaming: streaming::Extent::FULL,
        tls: tls::Extent::FULL,
        http2: http2::Extent::FULL,
        of_connections: connections::Extent::FULL,
        tails: tails::Extent::FULL,
        failover: failover::Extent::FULL,
        start: begin::Extent::FULL,
        scaling: scaling::Extent::FULL,
    };

    /// For seeing that it works.
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        connections: 8,
        requests: 400,
        lone_requests: 200,
        warm_up: 5,
        tenants: &[0, 1, 20],
        rest: Duration::from_secs(1),
        bystanders: 20,
        changes: 5,
        remote_changes: 2,
        of_tenants: tenants::Extent::QUICK,
        reload: reload::Extent::QUICK,
        streaming: streaming::Extent::QUICK,
        tls: tls::Extent::QUICK,
        http2: http2::Extent::QUICK,
        of_connections: connections::Extent::QUICK,
        tails: tails::Extent::QUICK,
        failover: failover::Extent::QUICK,
        start: begin::Extent::QUICK,
        scaling: scaling::Extent::QUICK,
    };

    /// Of one tenant, over all connections.
    pub(crate) const fn many(&self) -> Volume {
        Volume {
            connections: self.connections,
            requests: self.requests,
            warm_up: self.warm_up,
            tenants: 1,
        }
    }

    /// Of one tenant, over one connection.
    pub(crate) const fn lone(&self) -> Volume {
        Volume {
            connections: 1,
            requests: self.lone_requests,
            ..self.many()
        }
    }
}

/// All that was measured; `None` of what was not asked for.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) throughput: Option<Vec<Runs>>,
    pub(crate) latency: Option<Vec<Runs>>,
    pub(crate) tenants: Option<Vec<tenants::Level>>,
    pub(crate) reload: Option<Vec<Rounds<reload::Seen>>>,
    pub(crate) memory: Option<Vec<memory::Level>>,
    pub(crate) change: Option<change::Change>,
    pub(crate) streaming: Option<streaming::Streaming>,
    pub(crate) tls: Option<tls::Tls>,
    pub(crate) http2: Option<http2::Http2>,
    pub(crate) connections: Option<connections::Connections>,
    pub(crate) tails: Option<tails::Tails>,
    pub(crate) failover: Option<failover::Failover>,
    pub(crate) start: Option<Vec<begin::Beginning>>,
    pub(crate) scaling: Option<scaling::Scaling>,
}

impl Figures {
    /// Measures what `only` names, or everything if it names nothing.
    pub(crate) async fn measure(
        lab: &Lab,
        size: &Size,
        only: &[Scenario],
    ) -> Result<Self, BenchError> {
        let wanted = |scenario| only.is_empty() || only.contains(&scenario);
        let mut figures = Self::default();
        if wanted(Scenario::Throughput) || wanted(Scenario::Latency) {
            let mut peers = Vec::new();
            for kind in Kind::ALL {
                let setup = Setup::dedicated(lab, kind, 1);
                peers.push(Peer::start(lab, kind, &setup).await?);
            }
            if wanted(Scenario::Throughput) {
                let what = "requests per second";
                let runs = side_by_side::measure(lab, what, &mut peers, size.many(), size.rounds);
                figures.throughput = Some(runs.await?);
            }
            if wanted(Scenario::Latency) {
                let what = "latency";
                let runs = side_by_side::measure(lab, what, &mut peers, size.lone(), size.rounds);
                figures.latency = Some(runs.await?);
            }
            for peer in peers {
                peer.stop().await?;
            }
        }
        if wanted(Scenario::Tenants) {
            figures.tenants = Some(tenants::measure(lab, size.of_tenants).await?);
        }
        if wanted(Scenario::Reload) {
            figures.reload = Some(reload::measure(lab, size.reload).await?);
        }
        if wanted(Scenario::Memory) {
            figures.memory = Some(memory::measure(lab, size).await?);
        }
        if wanted(Scenario::Change) {
            figures.change = Some(change::measure(lab, size).await?);
        }
        if wanted(Scenario::Streaming) {
            figures.streaming = Some(streaming::measure(lab, size.streaming).await?);
        }
        if wanted(Scenario::Tls) {
            figures.tls = Some(tls::measure(lab, size.tls).await?);
        }
        if wanted(Scenario::Http2) {
            figures.http2 = Some(http2::measure(lab, size.http2).await?);
        }
        if wanted(Scenario::Connections) {
            figures.connections = Some(connections::measure(lab, size.of_connections).await?);
        }
        if wanted(Scenario::Tails) {
            figures.tails = Some(tails::measure(lab, size.tails).await?);
        }
        if wanted(Scenario::Failover) {
            figures.failover = Some(failover::measure(lab, size.failover).await?);
        }
        if wanted(Scenario::Start) {
            figures.start = Some(begin::measure(lab, size.start).await?);
        }
        if wanted(Scenario::Scaling) {
            figures.scaling = Some(scaling::measure(lab, size.scaling).await?);
        }
        Ok(figures)
    }
}
