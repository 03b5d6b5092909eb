//! What tenants cost a router that serves them: resident memory, and the CPU time of watching
//! over their endpoints and of finding their routes.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Size;
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Peer, Setup, Volume, mirador},
    process::until,
    procfs::Memory,
    progress,
    stats::Spread,
};

/// First probes are spread over one interval of health checks, which is 30 s by default.
const PROBES_LIMIT: Duration = Duration::from_mins(2);

/// What was seen at one number of tenants.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) tenants: u32,
    /// How long a new router took to write them all into a new store and be ready.
    pub(crate) filling: Duration,
    /// After a start on that store, when each endpoint has been probed.
    pub(crate) known: Memory,
    /// What follows when tenants are asked; `None` without any.
    pub(crate) asked: Option<Asked>,
}

/// What was seen when requests came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// After one request to each tenant.
    pub(crate) once: Memory,
    /// After a rest in which idle connections were closed.
    pub(crate) rested: Memory,
    /// CPU time used in that rest, in milliseconds per second.
    pub(crate) resting_cpu_ms: f64,
    /// CPU time per request in µs, when requests go to all tenants in turn.
    pub(crate) cpu_us: Option<Spread>,
    /// After that load.
    pub(crate) loaded: Memory,
}

/// Looks at all levels, each with a router of its own.
pub(crate) async fn measure(lab: &Lab, size: &Size) -> Result<Vec<Level>, BenchError> {
    let mut levels = Vec::new();
    for &tenants in size.tenants {
        progress(&format!("memory: {tenants} tenants"));
        levels.push(level(lab, size, tenants).await?);
    }
    Ok(levels)
}

async fn level(lab: &Lab, size: &Size, tenants: u32) -> Result<Level, BenchError> {
    let setup = Setup::dedicated(lab, Kind::Mirador, tenants);
    let store = mirador::fill(lab, &setup).await?;
    let expected = lab.counts(Kind::Mirador).await?.probes + u64::from(tenants);
    let mut peer = mirador::start_on(lab, &store, &setup).await?;
    let what = format!("{tenants} endpoints to be probed");
    until(&what, PROBES_LIMIT, async || {
        Ok(lab.counts(Kind::Mirador).await?.probes >= expected)
    })
    .await?;
    let known = memory(&peer)?;
    let asked = match tenants {
        0 => None,
        _ => Some(ask(lab, size, tenants, &mut peer).await?),
    };
    peer.stop().await?;
    Ok(Level {
        tenants,
        filling: store.filling,
        known,
        asked,
    })
}

async fn ask(lab: &Lab, size: &Size, tenants: u32, peer: &mut Peer) -> Result<Asked, BenchError> {
    let connections = size.connections.min(tenants);
    let each_once = Volume {
        connections,
        requests: tenants,
        warm_up: 0,
        tenants,
    };
    peer.measure(lab, each_once).await?;
    let once = memory(peer)?;
    let resting_cpu_ms = rest(peer, size.rest).await?;
    let rested = memory(peer)?;
    let in_turn = Volume {
        tenants,
        ..size.many()
    };
    let mut used = Vec::new();
    for _ in 0..size.rounds {
        used.extend(peer.measure(lab, in_turn).await?.cpu_us);
    }
    let cpu_us = Spread::of(used);
    Ok(Asked {
        once,
        rested,
        resting_cpu_ms,
        cpu_us,
        loaded: memory(peer)?,
    })
}

/// Lets it rest, and tells the CPU time it uses meanwhile, in milliseconds per second.
async fn rest(peer: &Peer, duration: Duration) -> Result<f64, BenchError> {
    let (began, before) = (Instant::now(), peer.cpu_time()?);
    sleep(duration).await;
    let (took, after) = (began.elapsed(), peer.cpu_time()?);
    let used = before
        .zip(after)
        .map(|(before, after)| after.since(&before));
    Ok(used.unwrap_or_default().as_secs_f64() * 1e3 / took.as_secs_f64())
}

fn memory(peer: &Peer) -> Result<Memory, BenchError> {
    peer.memory()?.ok_or_else(|| BenchError::Unexpected {
        what: "whose memory to look at",
        text: peer.kind.name().into(),
    })
}
