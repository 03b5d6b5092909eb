//! What a small request costs, and what is held in memory, by number of tenants: each has a backend
//! entry and a pool of its own.

use serde::{Deserialize, Serialize};

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

/// The share of the requests that vmauth by header gets when it has rules to try.
pub(crate) const SHARE: u32 = 8;

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Their numbers; the levels tell them.
    #[serde(skip)]
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
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Level {
    pub(crate) tenants: u32,
    pub(crate) peers: Vec<Rounds<Seen>>,
    /// Mirador with a single tenant, in the same rounds, to compare its own figure with.
    pub(crate) single: Option<Rounds<Seen>>,
}

/// What one load showed, and what was held after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) measured: Measured,
    pub(crate) memory: Option<Memory>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Vec<Level>, BenchError> {
    let mut levels = Vec::new();
    for &tenants in extent.tenants {
        levels.push(level(lab, extent, tenants).await?);
    }
    Ok(levels)
}

async fn level(lab: &Lab, extent: Extent, tenants: u32) -> Result<Level, BenchError> {
    let mut peers = Vec::new();
    let fit = PEERS
        .into_iter()
        .filter(|kind| kind.most_tenants() >= tenants)
        .map(|kind| (kind, tenants));
    let single = (tenants > 1).then_some((Kind::Mirador, 1));
    for (kind, tenants) in fit.chain(single) {
        let setup = Setup::dedicated(lab, kind, tenants);
        peers.push(Peer::start(lab, kind, &setup).await?);
    }
    let what = format!("{tenants} tenants");
    let seen = interleaved(&what, &mut peers, extent.rounds, async |peer| {
        let volume = extent.volume_of(peer);
        // Each tenant once, as proxies close connections that are not used for as long as a round of
        // all others takes: each by its own clock.
        let once = Volume {
            requests: peer.tenants(),
            connections: volume.connections.min(peer.tenants()),
            ..volume
        };
        peer.measure(lab, once).await?;
        let measured = peer.measure(lab, volume).await?;
        let memory = peer.memory()?;
        Ok((peer.tenants(), Seen { measured, memory }))
    });
    let all = seen.await?;
    stop(peers).await?;
    let with = |number| {
        all.iter()
            .filter(|own| own.rounds.first().is_some_and(|(of, _)| *of == number))
            .map(|own| Rounds {
                peer: own.peer,
                rounds: own.rounds.iter().map(|(_, seen)| seen.clone()).collect(),
            })
            .collect::<Vec<_>>()
    };
    Ok(Level {
        tenants,
        single: single.and_then(|_| with(1).pop()),
        peers: with(tenants),
    })
}

impl Extent {
    /// Less of what would take minutes and be as clear.
    fn volume_of(self, peer: &Peer) -> Volume {
        let tenants = peer.tenants();
        let requests = match peer.kind {
            Kind::VmauthByHeader if tenants > 1 => self.volume.requests / SHARE,
            _ => self.volume.requests,
        };
        Volume {
            requests,
            tenants,
            ..self.volume
        }
    }
}
