//! The scenarios, and how much of each.

pub(crate) mod change;
pub(crate) mod memory;
pub(crate) mod side_by_side;

use std::time::Duration;

use clap::ValueEnum;

use self::side_by_side::Runs;
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
    /// Memory by number of tenants
    Memory,
    /// Time for a tenant's change to take effect
    Change,
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
    pub(crate) memory: Option<Vec<memory::Level>>,
    pub(crate) change: Option<change::Change>,
}

impl Figures {
    /// Measures what `only` names, or everything if it names nothing.
    pub(crate) async fn measure(
        lab: &Lab,
        size: Size,
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
        if wanted(Scenario::Memory) {
            figures.memory = Some(memory::measure(lab, size).await?);
        }
        if wanted(Scenario::Change) {
            figures.change = Some(change::measure(lab, size).await?);
        }
        Ok(figures)
    }
}
