//! What TLS costs: by request over connections that stay, and by connection, with an earlier
//! session taken up again and without.

use rcgen::generate_simple_self_signed;
use serde::{Deserialize, Serialize};

use super::{
    driven::{Driven, expect_none},
    rounds::{Rounds, interleaved, start, stop},
};
use crate::{
    error::BenchError,
    http1::wire::Sessions,
    lab::{Lab, write},
    load::{
        generator::Job,
        storm::{Spec, Stormed},
    },
    peer::{Kind, Measured, Peer, Volume, setup::TlsFiles},
};

const PEERS: [Kind; 5] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];
/// Clients that come and go, each with sessions of its own.
const CLIENTS: u32 = 8;

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Requests over connections that stay.
    pub(crate) volume: Volume,
    /// Connections for one request each.
    pub(crate) connections: u32,
    /// Of each client, before those.
    pub(crate) warm_up: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        volume: Volume {
            connections: 64,
            requests: 40_000,
            warm_up: 50,
            tenants: 1,
        },
        connections: 4_000,
        warm_up: 20,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        volume: Volume {
            connections: 8,
            requests: 400,
            warm_up: 5,
            tenants: 1,
        },
        connections: 80,
        warm_up: 2,
    };
}

/// All three, with all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tls {
    pub(crate) requests: u32,
    pub(crate) connections: u32,
    pub(crate) kept: Vec<Rounds<Measured>>,
    pub(crate) resumed: Vec<Rounds<Shakes>>,
    pub(crate) full: Vec<Rounds<Shakes>>,
}

/// Connections that each began with a handshake.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shakes {
    /// CPU time of the proxy per connection, in microseconds.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) per_second: f64,
    /// Share of the connections that took up an earlier session.
    pub(crate) resumed: f64,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Tls, BenchError> {
    let Extent { rounds, volume, .. } = extent;
    let files = certificate(lab)?;
    let mut peers = start(lab, &PEERS, |setup| setup.tls = Some(files.clone())).await?;
    let request = async |peer: &mut Peer| peer.measure(lab, volume).await;
    let kept = interleaved("TLS, connections that stay", &mut peers, rounds, request).await?;
    let shake = async |peer: &mut Peer| shake(lab, peer, extent, Sessions::Resumed).await;
    let resumed = interleaved("TLS, sessions resumed", &mut peers, rounds, shake).await?;
    let shake = async |peer: &mut Peer| self::shake(lab, peer, extent, Sessions::Fresh).await;
    let full = interleaved("TLS, full handshakes", &mut peers, rounds, shake).await?;
    stop(peers).await?;
    Ok(Tls {
        requests: volume.requests,
        connections: extent.connections,
        kept,
        resumed,
        full,
    })
}

/// A new P-256 certificate for loopback, signed by itself.
pub(crate) fn certificate(lab: &Lab) -> Result<TlsFiles, BenchError> {
    let made = generate_simple_self_signed([String::from("127.0.0.1")])
        .map_err(|error| BenchError::io("make a certificate", std::io::Error::other(error)))?;
    let room = lab.room("certificate")?;
    let files = TlsFiles {
        cert: room.join("cert.pem"),
        key: room.join("key.pem"),
    };
    write(&files.cert, &made.cert.pem())?;
    write(&files.key, &made.signing_key.serialize_pem())?;
    Ok(files)
}

async fn shake(
    lab: &Lab,
    peer: &mut Peer,
    extent: Extent,
    sessions: Sessions,
) -> Result<Shakes, BenchError> {
    let connections = extent.connections;
    let job = Job::Storm(Spec {
        target: peer.target(),
        connections,
        warm_up: extent.warm_up,
        clients: CLIENTS,
        sessions,
    });
    let driven = Driven::<Stormed>::by(&job, peer, lab).await?;
    let cpu_us = driven.cpu_us_per(connections);
    let seen = driven.seen;
    expect_none(peer, seen.failed, connections, &seen.first_failure)?;
    let resumed = f64::from(seen.resumed) / f64::from(connections);
    if sessions == Sessions::Fresh && seen.resumed > 0 {
        return Err(BenchError::Unexpected {
            what: "sessions resumed where none were to be",
            text: seen.resumed.to_string(),
        });
    }
    Ok(Shakes {
        cpu_us,
        per_second: f64::from(connections) / seen.seconds,
        resumed,
    })
}
