//! What a request costs with one worker and with two, where both processors may be used: work on
//! what workers share shows as more CPU time per request.

use serde::{Deserialize, Serialize};

use super::rounds::{Rounds, interleaved, start, stop};
use crate::{
    cpus,
    error::BenchError,
    lab::Lab,
    peer::{Kind, Measured, Peer, Volume},
};

const PEERS: [Kind; 5] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) volume: Volume,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        volume: Volume {
            connections: 64,
            requests: 60_000,
            warm_up: 100,
            tenants: 1,
        },
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        volume: Volume {
            connections: 8,
            requests: 400,
            warm_up: 5,
            tenants: 1,
        },
    };
}

/// With all peers; the rounds of both numbers of workers belong together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scaling {
    pub(crate) requests: u32,
    pub(crate) connections: u32,
    pub(crate) one: Vec<Rounds<Measured>>,
    pub(crate) two: Vec<Rounds<Measured>>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Scaling, BenchError> {
    let Extent { rounds, volume } = extent;
    let mut peers = start(lab, &PEERS, |_| {}).await?;
    let twice = start(lab, &PEERS, |setup| setup.workers = 2).await?;
    peers.extend(twice);
    for peer in &peers {
        cpus::unbind(&peer.pids()).await?;
    }
    let load = async |peer: &mut Peer| Ok((peer.workers(), peer.measure(lab, volume).await?));
    let all = interleaved("one worker and two", &mut peers, rounds, load).await?;
    stop(peers).await?;
    let with = |workers| {
        all.iter()
            .filter(|own| own.rounds.first().is_some_and(|(of, _)| *of == workers))
            .map(|own| Rounds {
                peer: own.peer,
                rounds: own.rounds.iter().map(|(_, seen)| seen.clone()).collect(),
            })
            .collect()
    };
    Ok(Scaling {
        requests: volume.requests,
        connections: volume.connections,
        one: with(1),
        two: with(2),
    })
}
