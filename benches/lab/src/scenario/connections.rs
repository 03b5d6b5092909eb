//! What connections cost: to take one for a single request, and to keep one open.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    driven::{Driven, expect_none, generator},
    rounds::{Rounds, interleaved, restarted, start, stop},
};
use crate::{
    error::BenchError,
    http1::wire::Sessions,
    lab::Lab,
    load::{
        generator::Job,
        hold::{self, Held, What},
        storm::{self, Stormed},
    },
    peer::{Kind, Peer, Setup, Volume},
};

const PEERS: [Kind; 5] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];
/// Clients that come and go.
const CLIENTS: u32 = 16;

/// How long connections have been idle when memory is looked at: the last of them, too, so that what
/// a proxy gives back of idle ones has been given back.
pub(crate) const IDLE_FOR: Duration = Duration::from_secs(5);

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Connections for one request each.
    pub(crate) short: u32,
    /// Of each client, before those.
    pub(crate) warm_up: u32,
    /// Connections that are kept open at one time.
    pub(crate) idle: u32,
    /// Small requests before these, so that what is allocated once is there; over few connections,
    /// as what these leave is used again.
    pub(crate) before: Volume,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        short: 20_000,
        warm_up: 20,
        // HAProxy plans two files for each, of those that a process may open.
        idle: 8_000,
        before: Volume {
            connections: 4,
            requests: 2_000,
            warm_up: 0,
            tenants: 1,
        },
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        short: 200,
        warm_up: 2,
        idle: 100,
        before: Volume {
            connections: 4,
            requests: 100,
            warm_up: 0,
            tenants: 1,
        },
    };
}

/// Both, with all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Connections {
    pub(crate) short: u32,
    pub(crate) idle: u32,
    pub(crate) storm: Vec<Rounds<Storm>>,
    pub(crate) open: Vec<Rounds<Open>>,
}

/// Short connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Storm {
    /// CPU time of the proxy per connection, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) per_second: f64,
}

/// Connections that are open and idle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Open {
    /// Resident bytes that each of them added.
    pub(crate) bytes: Option<f64>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Connections, BenchError> {
    let mut peers = start(lab, &[&[Kind::TcpForward], &PEERS[..]].concat(), |_| {}).await?;
    let storm = async |peer: &mut Peer| storm(lab, peer, extent).await;
    let storm = interleaved("short connections", &mut peers, extent.rounds, storm).await?;
    stop(peers).await?;
    let open = async |kind| open(lab, kind, extent).await;
    let open = restarted("idle connections", &PEERS, extent.rounds, open).await?;
    Ok(Connections {
        short: extent.short,
        idle: extent.idle,
        storm,
        open,
    })
}

async fn storm(lab: &Lab, peer: &mut Peer, extent: Extent) -> Result<Storm, BenchError> {
    let connections = extent.short;
    let job = Job::Storm(storm::Spec {
        target: peer.target(),
        connections,
        warm_up: extent.warm_up,
        clients: CLIENTS,
        sessions: Sessions::Fresh,
    });
    let driven = Driven::<Stormed>::by(&job, peer, lab).await?;
    let cpu_us = driven.cpu_us_per(connections);
    let seen = driven.seen;
    expect_none(peer, seen.failed, connections, &seen.first_failure)?;
    Ok(Storm {
        cpu_us,
        per_second: f64::from(connections) / seen.seconds,
    })
}

async fn open(lab: &Lab, kind: Kind, extent: Extent) -> Result<Open, BenchError> {
    let mut peer = Peer::start(lab, kind, &Setup::dedicated(lab, kind, 1)).await?;
    peer.measure(lab, extent.before).await?;
    let connections = extent.idle;
    let job = Job::Hold(hold::Spec {
        target: peer.target(),
        what: What::Idle,
        connections,
    });
    let before = peer.memory()?;
    let mut generator = generator(&job, &peer, lab).await?;
    sleep(IDLE_FOR).await;
    let after = peer.memory()?;
    let held: Held = generator.go().await?;
    generator.end().await?;
    expect_none(
        &peer,
        connections - held.alive,
        connections,
        &held.first_failure,
    )?;
    peer.stop().await?;
    Ok(Open {
        bytes: added(before, after, connections),
    })
}

/// Resident bytes that each of so many added.
pub(super) fn added(
    before: Option<crate::procfs::Memory>,
    after: Option<crate::procfs::Memory>,
    number: u32,
) -> Option<f64> {
    let (before, after) = before.zip(after)?;
    let kib = after.resident.saturating_sub(before.resident);
    let kib = u32::try_from(kib).ok()?;
    Some(f64::from(kib) * 1024.0 / f64::from(number))
}
