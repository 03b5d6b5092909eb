//! What a router holds with ten times more tenants in its store than it keeps, when far more are
//! asked than fit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::probed::Probes;
use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, Setup, Volume, mirador},
    procfs::Memory,
    progress,
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Tenants in the store.
    pub(crate) stored: u32,
    /// `cache.capacity`.
    pub(crate) capacity: u32,
    /// Tenants that are asked in the last load.
    pub(crate) asked: u32,
    /// Loads, each of as many tenants more.
    pub(crate) looks: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        stored: 1_000_000,
        capacity: 100_000,
        asked: 400_000,
        looks: 4,
    };
    pub(crate) const QUICK: Self = Self {
        stored: 400,
        capacity: 40,
        asked: 160,
        looks: 2,
    };
}

/// What was seen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Beyond {
    /// How long a new router took to write them all into a new store and be ready.
    pub(crate) filling: Duration,
    /// After a start on that store, when each endpoint it knows has been probed.
    pub(crate) known: Memory,
    /// As more and more tenants have been asked.
    pub(crate) asked: Vec<Asked>,
}

/// What was seen at one look.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Tenants that were asked, once each.
    pub(crate) tenants: u32,
    /// Then.
    pub(crate) memory: Memory,
    /// CPU time per request of the load that asked them all, in µs.
    pub(crate) cpu_us: Option<f64>,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Beyond, BenchError> {
    progress(&format!("beyond: {} tenants", extent.stored));
    let mut setup = Setup::dedicated(lab, Kind::Mirador, extent.stored);
    setup.capacity = extent.capacity;
    let store = mirador::fill(lab, &setup).await?;
    let probes = Probes::expect(lab, extent.capacity).await?;
    let mut peer = mirador::start_on(lab, &store, &setup).await?;
    probes.wait(lab).await?;
    let known = peer.held()?;
    let mut asked = Vec::new();
    for look in 1..=extent.looks {
        let tenants = extent.asked / extent.looks * look;
        progress(&format!("beyond: up to tenant {tenants}"));
        // Those of the looks before are asked again, as each load begins with the first; most of
        // them have been dropped since.
        let each_once = Volume {
            connections: 16,
            requests: tenants,
            warm_up: 0,
            tenants,
        };
        let measured = peer.measure(lab, each_once).await?;
        asked.push(Asked {
            tenants,
            memory: peer.held()?,
            cpu_us: measured.cpu_us,
        });
    }
    peer.stop().await?;
    Ok(Beyond {
        filling: store.filling,
        known,
        asked,
    })
}
