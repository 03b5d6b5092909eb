//! What a change of one tenant costs each peer, by the means it has for it: how long until it is in
//! effect, the CPU time it takes, the memory at its peak, and what other tenants see of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    bystanders::{self, Bystanders},
    probed::Probes,
    rounds::{Rounds, interleaved, stop},
};
use crate::{
    error::BenchError,
    http1::{Connection, HttpError},
    lab::Lab,
    load::request,
    peer::{Kind, Peer, Setup},
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
const SETTLE: Duration = Duration::from_secs(2);
/// How long all are let alone, to see what they use anyway.
const REST: Duration = Duration::from_secs(5);
/// For a change to be seen at all.
const LIMIT: Duration = Duration::from_mins(1);
const WHOM: &str = "a tenant's request";

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) tenants: u32,
    pub(crate) bystanders: bystanders::Extent,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        tenants: 10_000,
        bystanders: bystanders::Extent::FULL,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        tenants: 20,
        bystanders: bystanders::Extent::QUICK,
    };
}

/// With all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reload {
    pub(crate) changes: Vec<Rounds<Seen>>,
    pub(crate) bystanders: Vec<Rounds<Bystanders>>,
}

/// What one change took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Until a request was answered by the new endpoint, in milliseconds.
    pub(crate) effect_ms: f64,
    /// CPU time from telling until everything had settled, in milliseconds, above what it uses in
    /// such a time when nobody asks anything of it, so that little may come out below nothing; our
    /// own looks cost some of it, less than a tenth of a millisecond each.
    pub(crate) cpu_ms: Option<f64>,
    /// The most that was held meanwhile, in KiB.
    pub(crate) peak: Option<u64>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Reload, BenchError> {
    let probes = Probes::expect(lab, extent.tenants).await?;
    let mut peers = Vec::new();
    for kind in PEERS {
        let setup = Setup::dedicated(lab, kind, extent.tenants);
        peers.push(Peer::start(lab, kind, &setup).await?);
    }
    probes.wait(lab).await?;
    let idle = rest(&peers).await?;
    let mut moves = Moves::default();
    let changes = interleaved("a change", &mut peers, extent.rounds, async |peer| {
        let to = moves.next(lab, peer.kind);
        let idle = idle.get(&peer.kind).copied();
        change(peer, to, idle.unwrap_or_default()).await
    });
    let changes = changes.await?;
    let (what, rounds) = ("others during a change", extent.bystanders.rounds);
    let bystanders = interleaved(what, &mut peers, rounds, async |peer| {
        let slowest = slowest(&changes, peer.kind);
        let to = moves.next(lab, peer.kind);
        bystanders::watch(lab, peer, extent.bystanders, (TENANT, to), slowest).await
    });
    let bystanders = bystanders.await?;
    stop(peers).await?;
    Ok(Reload {
        changes,
        bystanders,
    })
}

/// To where the tenant moves next, by peer: to and fro.
#[derive(Debug, Default)]
struct Moves {
    away: BTreeSet<Kind>,
}

impl Moves {
    fn next(&mut self, lab: &Lab, kind: Kind) -> SocketAddr {
        if self.away.remove(&kind) {
            lab.home(kind, TENANT)
        } else {
            self.away.insert(kind);
            lab.moved(kind, TENANT)
        }
    }
}

/// The share of a processor that each uses when nobody asks anything of it.
async fn rest(peers: &[Peer]) -> Result<BTreeMap<Kind, f64>, BenchError> {
    let (began, mut before) = (Instant::now(), Vec::new());
    for peer in peers {
        before.push(peer.cpu_time()?);
    }
    sleep(REST).await;
    let mut shares = BTreeMap::new();
    for (peer, before) in peers.iter().zip(before) {
        if let Some((before, after)) = before.zip(peer.cpu_time()?) {
            let used = after.since(&before).as_secs_f64();
            shares.insert(peer.kind, used / began.elapsed().as_secs_f64());
        }
    }
    Ok(shares)
}

/// The longest that a change took to be in effect.
fn slowest(changes: &[Rounds<Seen>], kind: Kind) -> Duration {
    let own = changes.iter().filter(|rounds| rounds.peer == kind);
    let took = own.flat_map(|rounds| rounds.rounds.iter().map(|seen| seen.effect_ms));
    Duration::from_secs_f64(took.fold(0.0, f64::max) / 1e3)
}

async fn change(peer: &mut Peer, to: SocketAddr, idle: f64) -> Result<Seen, BenchError> {
    peer.prepare_change(TENANT, vec![to])?;
    let before = peer.cpu_time()?;
    peer.reset_peak()?;
    let began = Instant::now();
    peer.tell_change(TENANT).await?;
    let expected = to.ip().to_string();
    while endpoint(peer).await? != expected {
        if began.elapsed() > LIMIT {
            let what = format!("a change to have effect on {}", peer.kind.name());
            return Err(BenchError::TooLate { what, limit: LIMIT });
        }
        sleep(PAUSE).await;
    }
    let effect_ms = began.elapsed().as_secs_f64() * 1e3;
    let mut peak = peak(peer)?;
    let settled = Instant::now() + SETTLE;
    while Instant::now() < settled {
        peak = peak.max(self::peak(peer)?);
        sleep(PAUSE * 25).await;
    }
    let took = began.elapsed();
    let cpu_ms = before.zip(peer.cpu_time()?).map(|(before, after)| {
        (after.since(&before).as_secs_f64() - idle * took.as_secs_f64()) * 1e3
    });
    Ok(Seen {
        effect_ms,
        cpu_ms,
        peak,
    })
}

fn peak(peer: &Peer) -> Result<Option<u64>, BenchError> {
    let memory = peer.memory()?;
    Ok(memory.map(|memory| memory.resident.max(memory.peak)))
}

/// The address of the endpoint that answers a new connection now.
async fn endpoint(peer: &Peer) -> Result<String, BenchError> {
    let asking = |source: HttpError| BenchError::Http { whom: WHOM, source };
    let opened = Connection::open(peer.address).await;
    let mut connection = opened.map_err(|error| asking(error.into()))?;
    let text = request(peer.address, peer.kind.identity(), TENANT);
    let reply = connection.ask(text.as_bytes()).await.map_err(asking)?;
    match reply.header(ENDPOINT) {
        Some(endpoint) if reply.status == 200 => Ok(endpoint.to_owned()),
        _ => Err(BenchError::Refused {
            whom: WHOM,
            status: reply.status,
            body: String::from_utf8_lossy(reply.body).into_owned(),
        }),
    }
}
