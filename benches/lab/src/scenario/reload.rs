//! What a change of one tenant costs each peer, by the means it has for it: how long until it is in
//! effect, the CPU time it takes, and the memory at its peak.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::rounds::{Rounds, interleaved, stop};
use crate::{
    error::BenchError,
    http1::{Connection, HttpError},
    lab::Lab,
    load::request,
    peer::{Kind, Peer, Setup},
    procfs::CpuTime,
    upstream::ENDPOINT,
};

const PEERS: [Kind; 5] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];
/// The tenant that moves.
const TENANT: u32 = 0;
/// Between two looks, each by a new connection: those of before may be served on by the old.
const PAUSE: Duration = Duration::from_millis(2);
/// After a change, for what goes on behind it.
const SETTLE: Duration = Duration::from_secs(3);
/// For a change to be seen at all.
const LIMIT: Duration = Duration::from_mins(1);
const WHOM: &str = "a tenant's request";

/// How much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) tenants: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        tenants: 10_000,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        tenants: 20,
    };
}

/// What one change took.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Until a request was answered by the new endpoint.
    pub(crate) effect: Duration,
    /// CPU time from telling until everything had settled; our own looks cost some of it, less
    /// than a tenth of a millisecond each.
    pub(crate) cpu: Option<Duration>,
    /// The most that was held meanwhile, in KiB.
    pub(crate) peak: Option<u64>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Vec<Rounds<Seen>>, BenchError> {
    let mut peers = Vec::new();
    for kind in PEERS {
        let setup = Setup::dedicated(lab, kind, extent.tenants);
        peers.push(Peer::start(lab, kind, &setup).await?);
    }
    let mut at_home = [true; PEERS.len()];
    let seen = interleaved("a change", &mut peers, extent.rounds, async |peer| {
        let own = PEERS.iter().position(|kind| *kind == peer.kind);
        let home = own.and_then(|own| at_home.get_mut(own));
        let to = match home {
            Some(home) if *home => {
                *home = false;
                lab.moved(peer.kind, TENANT)
            }
            Some(home) => {
                *home = true;
                lab.home(peer.kind, TENANT)
            }
            None => lab.home(peer.kind, TENANT),
        };
        change(lab, peer, to).await
    });
    let seen = seen.await?;
    stop(peers).await?;
    Ok(seen)
}

async fn change(lab: &Lab, peer: &mut Peer, to: SocketAddr) -> Result<Seen, BenchError> {
    let before = peer.cpu_time()?;
    peer.reset_peak()?;
    let began = Instant::now();
    peer.change(lab, TENANT, vec![to]).await?;
    let expected = to.ip().to_string();
    while endpoint(peer).await? != expected {
        if began.elapsed() > LIMIT {
            let what = format!("a change to have effect on {}", peer.kind.name());
            return Err(BenchError::TooLate { what, limit: LIMIT });
        }
        sleep(PAUSE).await;
    }
    let effect = began.elapsed();
    let mut peak = peer
        .memory()?
        .map(|memory| memory.resident.max(memory.peak));
    let settled = Instant::now() + SETTLE;
    while Instant::now() < settled {
        let now = peer
            .memory()?
            .map(|memory| memory.resident.max(memory.peak));
        peak = peak.max(now);
        sleep(PAUSE * 25).await;
    }
    let cpu = before
        .zip(peer.cpu_time()?)
        .map(|(before, after): (CpuTime, CpuTime)| after.since(&before));
    Ok(Seen { effect, cpu, peak })
}

/// The address of the endpoint that answers a new connection now.
async fn endpoint(peer: &Peer) -> Result<String, BenchError> {
    let asking = |source: HttpError| BenchError::Http { whom: WHOM, source };
    let opened = Connection::open(peer.address).await;
    let mut connection = opened.map_err(|error| asking(error.into()))?;
    let text = request(peer.address, peer.kind.identity(), TENANT);
    let reply = connection.exchange(text.as_bytes()).await.map_err(asking)?;
    match reply.header(ENDPOINT) {
        Some(endpoint) if reply.status == 200 => Ok(endpoint.to_owned()),
        _ => Err(BenchError::Refused {
            whom: WHOM,
            status: reply.status,
            body: String::from_utf8_lossy(reply.body).into_owned(),
        }),
    }
}
