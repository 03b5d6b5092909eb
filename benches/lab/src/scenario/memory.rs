//! What tenants cost a router that serves them: resident memory, and the CPU time of watching
//! over their endpoints and of finding their routes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{driven::rest, probed::Probes};
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{
        Kind, Peer, Setup, Volume,
        mirador::{self, Limits, MOST_ASKED},
    },
    procfs::Memory,
    progress,
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Numbers of tenants; the levels tell them.
    #[serde(skip)]
    pub(crate) tenants: &'static [u32],
    /// Loads at each of them.
    pub(crate) rounds: u32,
    /// Whose tenants are set for each number.
    pub(crate) volume: Volume,
    /// How long the router rests before memory is looked at again; longer than idle connections
    /// are kept.
    pub(crate) rest: Duration,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        tenants: &[0, 1_000, 10_000, 100_000],
        rounds: 3,
        volume: Volume {
            connections: 64,
            requests: 60_000,
            warm_up: 0,
            tenants: 0,
        },
        rest: Duration::from_secs(55),
    };
    pub(crate) const QUICK: Self = Self {
        tenants: &[0, 20],
        rounds: 2,
        volume: Volume {
            connections: 8,
            requests: 400,
            warm_up: 0,
            tenants: 0,
        },
        rest: Duration::from_secs(1),
    };
}

/// What was seen at one number of tenants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Level {
    pub(crate) tenants: u32,
    /// What the router was set to.
    pub(crate) limits: Limits,
    /// How long a new router took to write them all into a new store and be ready.
    pub(crate) filling: Duration,
    /// After a start on that store, when each endpoint has been probed.
    pub(crate) known: Memory,
    /// What follows when tenants are asked; `None` without any.
    pub(crate) asked: Option<Asked>,
}

/// What was seen when requests came.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// How many of the tenants.
    pub(crate) tenants: u32,
    /// After one request to each tenant.
    pub(crate) once: Memory,
    /// After a rest in which idle connections were closed.
    pub(crate) rested: Memory,
    /// CPU time used in that rest, in milliseconds per second.
    pub(crate) resting_cpu_ms: f64,
    /// CPU time per request in µs, when requests go to all these in turn, by load.
    pub(crate) cpu_us: Vec<f64>,
    /// Connections that the endpoints accepted during the loads after the first, from the router
    /// or its probes: none for requests if each tenant's own is kept.
    pub(crate) opened: u64,
    /// After that load.
    pub(crate) loaded: Memory,
}

/// Looks at all levels, each with a router of its own.
pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Vec<Level>, BenchError> {
    let mut levels = Vec::new();
    for &tenants in extent.tenants {
        progress(&format!("memory: {tenants} tenants"));
        levels.push(level(lab, extent, tenants).await?);
    }
    Ok(levels)
}

async fn level(lab: &Lab, extent: Extent, tenants: u32) -> Result<Level, BenchError> {
    let setup = Setup::dedicated(lab, Kind::Mirador, tenants);
    let store = mirador::fill(lab, &setup).await?;
    let probes = Probes::expect(lab, tenants).await?;
    let mut peer = mirador::start_on(lab, &store, &setup).await?;
    probes.wait(lab).await?;
    let known = peer.held()?;
    let asked = match tenants {
        0 => None,
        _ => Some(ask(lab, extent, tenants.min(MOST_ASKED), &mut peer).await?),
    };
    peer.stop().await?;
    Ok(Level {
        tenants,
        limits: Limits::of(tenants),
        filling: store.filling,
        known,
        asked,
    })
}

async fn ask(
    lab: &Lab,
    extent: Extent,
    tenants: u32,
    peer: &mut Peer,
) -> Result<Asked, BenchError> {
    let in_turn = Volume {
        tenants,
        ..extent.volume
    };
    let each_once = Volume {
        connections: in_turn.connections.min(tenants),
        requests: tenants,
        ..in_turn
    };
    peer.measure(lab, each_once).await?;
    let once = peer.held()?;
    let resting_cpu_ms = rest(peer, extent.rest).await?.unwrap_or_default();
    let rested = peer.held()?;
    let (mut cpu_us, mut before) = (Vec::new(), None);
    for _ in 0..extent.rounds {
        cpu_us.extend(peer.measure(lab, in_turn).await?.cpu_us);
        before.get_or_insert(lab.counts(Kind::Mirador).await?.connections);
    }
    let after = lab.counts(Kind::Mirador).await?.connections;
    Ok(Asked {
        tenants,
        once,
        rested,
        resting_cpu_ms,
        cpu_us,
        opened: after - before.unwrap_or(after),
        loaded: peer.held()?,
    })
}
