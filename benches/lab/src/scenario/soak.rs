//! Whether a router's memory grows without end: over waves of all that it is asked, of changes, and of
//! rest. What allocators are compared by.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::probed::Probes;
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Peer, Setup, mirador},
    procfs::Memory,
    progress,
    train::{Amount, long_bodies, small_requests},
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) waves: u32,
    pub(crate) tenants: u32,
    /// Small requests of a kind in each wave.
    pub(crate) requests: u32,
    /// Connections for one request each.
    pub(crate) connections: u32,
    /// Of a long body.
    pub(crate) bytes: u64,
    /// Tenants that are moved to another endpoint in each wave.
    pub(crate) changes: u32,
    /// Longer than idle connections are kept.
    pub(crate) rest: Duration,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        waves: 5,
        tenants: 10_000,
        requests: 60_000,
        connections: 4_000,
        bytes: 256 << 20,
        changes: 300,
        rest: Duration::from_secs(55),
    };
    pub(crate) const QUICK: Self = Self {
        waves: 2,
        tenants: 20,
        requests: 400,
        connections: 80,
        bytes: 4 << 20,
        changes: 5,
        rest: Duration::from_secs(1),
    };
}

/// What was held.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Soak {
    /// When each endpoint has been probed, before any request.
    pub(crate) known: Memory,
    pub(crate) waves: Vec<Wave>,
}

/// In one wave.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wave {
    /// After the small requests.
    pub(crate) asked: Memory,
    /// After the long bodies.
    pub(crate) streamed: Memory,
    /// After the changes.
    pub(crate) changed: Memory,
    /// After the rest.
    pub(crate) rested: Memory,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Soak, BenchError> {
    let setup = Setup::dedicated(lab, Kind::Mirador, extent.tenants);
    let store = mirador::fill(lab, &setup).await?;
    let probes = Probes::expect(lab, extent.tenants).await?;
    let mut router = mirador::start_on(lab, &store, &setup).await?;
    probes.wait(lab).await?;
    let known = router.held()?;
    let amount = Amount {
        tenants: extent.tenants,
        requests: extent.requests,
        connections: extent.connections,
        bytes: extent.bytes,
    };
    let mut waves = Vec::new();
    for number in 1..=extent.waves {
        progress(&format!("soak: wave {number} of {}", extent.waves));
        small_requests(lab, &mut router, amount).await?;
        let asked = router.held()?;
        long_bodies(lab, &mut router, amount).await?;
        let streamed = router.held()?;
        change(lab, &mut router, extent.changes, number).await?;
        let changed = router.held()?;
        sleep(extent.rest).await;
        waves.push(Wave {
            asked,
            streamed,
            changed,
            rested: router.held()?,
        });
    }
    router.stop().await?;
    Ok(Soak { known, waves })
}

/// Moves tenants away in odd waves, and back in even ones.
async fn change(lab: &Lab, router: &mut Peer, changes: u32, wave: u32) -> Result<(), BenchError> {
    for tenant in 0..changes {
        let to = if wave.is_multiple_of(2) {
            lab.home(Kind::Mirador, tenant)
        } else {
            lab.moved(Kind::Mirador, tenant)
        };
        router.prepare_change(tenant, vec![to])?;
        router.tell_change(tenant).await?;
    }
    Ok(())
}
