//! What live tails cost that have begun and say nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    connections::added,
    driven::{expect_none, generator, rest},
    rounds::{Rounds, restarted},
};
use crate::{
    error::BenchError,
    lab::Lab,
    load::{
        generator::Job,
        hold::{Held, Spec, What},
    },
    peer::{Kind, Peer, Setup, Volume},
};

/// vmauth 1.112 keeps what came until it has a buffer full, so that no record of a tail comes
/// through when it is due.
const PEERS: [Kind; 4] = [Kind::Mirador, Kind::Haproxy, Kind::Nginx, Kind::Envoy];
/// Small requests before, so that what is allocated once is there; over few connections, as what
/// these leave is used again.
const BEFORE: Volume = Volume {
    connections: 4,
    requests: 2_000,
    warm_up: 0,
    tenants: 1,
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) tails: u32,
    /// How long they are silent, at least.
    pub(crate) silence: Duration,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        tails: 1_000,
        silence: Duration::from_secs(5),
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        tails: 50,
        silence: Duration::from_secs(1),
    };
}

/// With all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tails {
    pub(crate) count: u32,
    pub(crate) silence: Duration,
    pub(crate) seen: Vec<Rounds<Silent>>,
}

/// Tails that are open and silent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Silent {
    /// Resident bytes that each of them added.
    pub(crate) bytes: Option<f64>,
    /// CPU time of the proxy with all of them, in milliseconds per second.
    pub(crate) cpu_ms_per_s: Option<f64>,
    /// The same before there were any.
    pub(crate) idle_ms_per_s: Option<f64>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Tails, BenchError> {
    let silent = async |kind| silent(lab, kind, extent).await;
    Ok(Tails {
        count: extent.tails,
        silence: extent.silence,
        seen: restarted("silent tails", &PEERS, extent.rounds, silent).await?,
    })
}

async fn silent(lab: &Lab, kind: Kind, extent: Extent) -> Result<Silent, BenchError> {
    let mut setup = Setup::dedicated(lab, kind, 1);
    setup.live_tails = true;
    let mut peer = Peer::start(lab, kind, &setup).await?;
    peer.measure(lab, BEFORE).await?;
    let idle_ms_per_s = rest(&peer, extent.silence).await?;
    let tails = extent.tails;
    let job = Job::Hold(Spec {
        target: peer.target(),
        what: What::Tails,
        connections: tails,
    });
    let before = peer.memory()?;
    let mut generator = generator(&job, &peer, lab).await?;
    let cpu_ms_per_s = rest(&peer, extent.silence).await?;
    let after = peer.memory()?;
    let open = lab.counts(kind).await?.tails;
    let held: Held = generator.go().await?;
    generator.end().await?;
    expect_none(&peer, tails - held.alive, tails, &held.first_failure)?;
    if open != u64::from(tails) {
        return Err(BenchError::Unexpected {
            what: "the number of tails that reached the upstream",
            text: format!("{open} instead of {tails}"),
        });
    }
    peer.stop().await?;
    Ok(Silent {
        bytes: added(before, after, tails),
        cpu_ms_per_s,
        idle_ms_per_s,
    })
}
