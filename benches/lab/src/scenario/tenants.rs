//! What a small request costs, and what is held in memory, by number of tenants: each has a backend
//! entry and a pool of its own.

use super::rounds::{Rounds, interleaved, stop};
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Measured, Peer, Setup, Volume},
    procfs::Memory,
};

const PEERS: [Kind; 6] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
    Kind::VmauthByHeader,
];

/// How much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) tenants: &'static [u32],
    /// Whose tenants are set for each number.
    pub(crate) volume: Volume,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        tenants: &[1, 1_000, 10_000],
        volume: Volume {
            connections: 64,
            requests: 40_000,
            warm_up: 0,
            tenants: 0,
        },
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        tenants: &[1, 20],
        volume: Volume {
            connections: 8,
            requests: 400,
            warm_up: 0,
            tenants: 0,
        },
    };
}

/// All peers that are fit for that number of tenants.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) tenants: u32,
    pub(crate) peers: Vec<Rounds<Seen>>,
}

/// What one load showed, and what was held after it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) measured: Measured,
    pub(crate) memory: Option<Memory>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Vec<Level>, BenchError> {
    let mut levels = Vec::new();
    for &tenants in extent.tenants {
        let mut peers = Vec::new();
        for kind in PEERS
            .into_iter()
            .filter(|kind| kind.most_tenants() >= tenants)
        {
            let setup = Setup::dedicated(lab, kind, tenants);
            let mut peer = Peer::start(lab, kind, &setup).await?;
            // Each tenant once, so that connections and routes are there.
            let once = Volume {
                requests: tenants,
                connections: extent.volume.connections.min(tenants),
                tenants,
                ..extent.volume
            };
            peer.measure(lab, once).await?;
            peers.push(peer);
        }
        let volume = Volume {
            tenants,
            ..extent.volume
        };
        let what = format!("{tenants} tenants");
        let seen = interleaved(&what, &mut peers, extent.rounds, async |peer| {
            let measured = peer.measure(lab, volume).await?;
            let memory = peer.memory()?;
            Ok(Seen { measured, memory })
        });
        let peers_seen = seen.await?;
        stop(peers).await?;
        levels.push(Level {
            tenants,
            peers: peers_seen,
        });
    }
    Ok(levels)
}
