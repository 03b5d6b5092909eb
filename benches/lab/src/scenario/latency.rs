//! What a proxy adds to the time of a small request where little goes on: one connection with one
//! request at a time, and requests at a given rate.

use serde::{Deserialize, Serialize};

use super::{
    driven::{Driven, expect_none},
    rounds::{Rounds, interleaved, start, stop},
    throughput::PEERS,
};
use crate::{
    error::BenchError,
    lab::Lab,
    load::{
        generator::Job,
        paced::{Reads, Spec},
    },
    peer::{Peer, Volume},
    stats::percentile,
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Over one connection.
    pub(crate) lone: Volume,
    pub(crate) paced: Pace,
}

/// Requests that come at their times.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) connections: u32,
    /// Requests per second.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        lone: Volume {
            connections: 1,
            requests: 10_000,
            warm_up: 100,
            tenants: 1,
        },
        paced: Pace {
            connections: 16,
            rate: 1_000,
            seconds: 3,
        },
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        lone: Volume {
            connections: 1,
            requests: 200,
            warm_up: 5,
            tenants: 1,
        },
        paced: Pace {
            connections: 4,
            rate: 200,
            seconds: 1,
        },
    };
}

/// Both, with all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) lone: Vec<Rounds<Times>>,
    pub(crate) paced: Vec<Rounds<Times>>,
}

/// From a request to the end of its answer, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Latency, BenchError> {
    let Extent {
        rounds,
        lone,
        paced: pace,
    } = extent;
    let mut peers = start(lab, &PEERS, |_| {}).await?;
    let one_by_one = async |peer: &mut Peer| {
        let load = peer.measure(lab, lone).await?.load;
        Ok(Times {
            p50_us: load.p50_us,
            p99_us: load.p99_us,
        })
    };
    let lone = interleaved("latency", &mut peers, rounds, one_by_one).await?;
    let at_rate = async |peer: &mut Peer| paced(lab, peer, pace).await;
    let what = format!("latency at {} requests per second", pace.rate);
    let paced = interleaved(&what, &mut peers, rounds, at_rate).await?;
    stop(peers).await?;
    Ok(Latency { lone, paced })
}

async fn paced(lab: &Lab, peer: &mut Peer, pace: Pace) -> Result<Times, BenchError> {
    let Pace {
        connections,
        rate,
        seconds,
    } = pace;
    let job = Job::Paced(Spec {
        target: peer.target(),
        connections,
        rate,
        seconds,
        tenants: 0..1,
    });
    let Reads {
        reads,
        first_failure,
    } = Driven::<Reads>::by(&job, peer, lab).await?.seen;
    let failed = reads.iter().filter(|read| read.failed).count();
    let failed = u32::try_from(failed).unwrap_or(u32::MAX);
    expect_none(peer, failed, rate * seconds, &first_failure)?;
    let mut took: Vec<f64> = reads.iter().map(|read| read.took_ms * 1e3).collect();
    took.sort_by(f64::total_cmp);
    let us = |percent| percentile(&took, percent).unwrap_or_default();
    Ok(Times {
        p50_us: us(50),
        p99_us: us(99),
    })
}
