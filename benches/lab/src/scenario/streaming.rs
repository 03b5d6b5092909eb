//! What a long body costs: CPU time by size, and memory while it passes.

use serde::{Deserialize, Serialize};

use super::{
    driven::Driven,
    rounds::{Rounds, interleaved, start, stop},
};
use crate::{
    error::BenchError,
    lab::Lab,
    load::{
        generator::Job,
        transfer::{Direction, Moved, Spec},
    },
    peer::{Kind, Peer, Volume},
    upstream::bulk::BodyFraming,
};

const PEERS: [Kind; 6] = [
    Kind::TcpForward,
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];
/// Small requests before anything, so that what is allocated once is there.
const WARM_UP: Volume = Volume {
    connections: 4,
    requests: 100,
    warm_up: 0,
    tenants: 1,
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Bytes of each body.
    pub(crate) bytes: u64,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        bytes: 1 << 30,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        bytes: 4 << 20,
    };
}

/// The three ways, with all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Streaming {
    pub(crate) bytes: u64,
    pub(crate) down: Vec<Rounds<Stream>>,
    pub(crate) down_chunked: Vec<Rounds<Stream>>,
    pub(crate) up_chunked: Vec<Rounds<Stream>>,
}

/// One body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// CPU time of the proxy in seconds, for a body of 10⁹ bytes.
    pub(crate) cpu_s_per_gb: Option<f64>,
    /// 10⁶ bytes per second.
    pub(crate) mb_per_s: f64,
    /// The most resident memory while it passed, above that before, in KiB.
    pub(crate) peak_kib: Option<u64>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Streaming, BenchError> {
    let Extent { rounds, bytes } = extent;
    let mut peers = start(lab, &PEERS, |_| {}).await?;
    for peer in &mut peers {
        peer.measure(lab, WARM_UP).await?;
    }
    let ways = [
        ("streaming down", Direction::Down, BodyFraming::Length),
        (
            "streaming down, chunked",
            Direction::Down,
            BodyFraming::Chunked,
        ),
        ("streaming up, chunked", Direction::Up, BodyFraming::Chunked),
    ];
    let mut seen = Vec::new();
    for (what, direction, framing) in ways {
        let stream = async |peer: &mut Peer| {
            let job = Job::Transfer(Spec {
                target: peer.target(),
                direction,
                framing,
                bytes,
            });
            pass(lab, peer, &job, bytes).await
        };
        seen.push(interleaved(what, &mut peers, rounds, stream).await?);
    }
    stop(peers).await?;
    let mut seen = seen.into_iter();
    let mut next = || seen.next().unwrap_or_default();
    Ok(Streaming {
        bytes,
        down: next(),
        down_chunked: next(),
        up_chunked: next(),
    })
}

async fn pass(lab: &Lab, peer: &mut Peer, job: &Job, bytes: u64) -> Result<Stream, BenchError> {
    // The peak is then what is resident: of several processes, counted as the later peak is.
    peer.reset_peak()?;
    let before = peer.memory()?;
    let driven = Driven::<Moved>::by(job, peer, lab).await?;
    let after = peer.memory()?;
    // No body here is so long that a float would not hold its length.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let bytes = bytes as f64;
    Ok(Stream {
        cpu_s_per_gb: driven.cpu.map(|cpu| cpu.as_secs_f64() * 1e9 / bytes),
        mb_per_s: bytes / 1e6 / driven.seen.seconds,
        peak_kib: before
            .zip(after)
            .map(|(before, after)| after.peak.saturating_sub(before.peak)),
    })
}
