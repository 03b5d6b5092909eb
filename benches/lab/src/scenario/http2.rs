//! What a small request costs over HTTP/2, inside TLS and in clear.

use serde::{Deserialize, Serialize};

use super::{
    driven::{Driven, expect_none},
    rounds::{Rounds, interleaved, start, stop},
    tls::certificate,
};
use crate::{
    error::BenchError,
    lab::Lab,
    load::{
        generator::Job,
        multiplex::{Multiplexed, Spec},
    },
    peer::{Kind, Peer},
};

/// vmauth speaks HTTP/1.1 only.
const PEERS: [Kind; 4] = [Kind::Mirador, Kind::Haproxy, Kind::Nginx, Kind::Envoy];

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) connections: u32,
    /// Requests at a time on each connection.
    pub(crate) streams: u32,
    pub(crate) requests: u32,
    /// Before those, from each of the places for one at a time.
    pub(crate) warm_up: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        connections: 8,
        streams: 16,
        requests: 60_000,
        warm_up: 50,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        connections: 2,
        streams: 4,
        requests: 400,
        warm_up: 5,
    };
}

/// Both, with all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Http2 {
    pub(crate) connections: u32,
    pub(crate) streams: u32,
    pub(crate) requests: u32,
    pub(crate) over_tls: Vec<Rounds<Multiplex>>,
    pub(crate) in_clear: Vec<Rounds<Multiplex>>,
}

/// One load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Multiplex {
    /// CPU time of the proxy per request, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) per_second: f64,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Http2, BenchError> {
    let files = certificate(lab)?;
    let load = async |peer: &mut Peer| load(lab, peer, extent).await;
    let mut peers = start(lab, &PEERS, |setup| setup.tls = Some(files.clone())).await?;
    let over_tls = interleaved("HTTP/2 over TLS", &mut peers, extent.rounds, load).await?;
    stop(peers).await?;
    let mut peers = start(lab, &PEERS, |_| {}).await?;
    let in_clear = interleaved("HTTP/2 in clear", &mut peers, extent.rounds, load).await?;
    stop(peers).await?;
    Ok(Http2 {
        connections: extent.connections,
        streams: extent.streams,
        requests: extent.requests,
        over_tls,
        in_clear,
    })
}

async fn load(lab: &Lab, peer: &mut Peer, extent: Extent) -> Result<Multiplex, BenchError> {
    let requests = extent.requests;
    let job = Job::Multiplex(Spec {
        target: peer.target(),
        connections: extent.connections,
        streams: extent.streams,
        requests,
        warm_up: extent.warm_up,
    });
    let driven = Driven::<Multiplexed>::by(&job, peer, lab).await?;
    let cpu_us = driven.cpu_us_per(requests);
    let seen = driven.seen;
    expect_none(peer, seen.failed, requests, &seen.first_failure)?;
    Ok(Multiplex {
        cpu_us,
        per_second: f64::from(requests) / seen.seconds,
    })
}
