//! What a small request costs: the same load on each peer in turn, several times over.

use serde::{Deserialize, Serialize};

use super::rounds::{Rounds, interleaved, start, stop};
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Measured, Peer, Volume},
};

/// vmauth by header does the same as vmauth, with one tenant.
pub(super) const PEERS: [Kind; 7] = [
    Kind::Direct,
    Kind::TcpForward,
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

pub(crate) async fn measure(
    lab: &Lab,
    extent: Extent,
) -> Result<Vec<Rounds<Measured>>, BenchError> {
    let mut peers = start(lab, &PEERS, |_| {}).await?;
    let load = async |peer: &mut Peer| peer.measure(lab, extent.volume).await;
    let what = "requests per second";
    let seen = interleaved(what, &mut peers, extent.rounds, load).await?;
    stop(peers).await?;
    Ok(seen)
}
