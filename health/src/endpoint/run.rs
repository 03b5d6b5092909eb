//! One probe of an endpoint while it runs, whatever becomes of either.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;
use tracing::debug;

use super::EndpointHealth;
use crate::{monitor::TurnHeld, probe, target::Target};

/// A probe under way. Dropped unfinished, it hands the endpoint back to the schedule.
#[derive(Debug)]
pub(crate) struct ProbeRun {
    pub(super) health: Weak<EndpointHealth>,
    pub(super) target: Arc<Target>,
    pub(super) timeout: Duration,
    pub(super) finished: bool,
    /// Its turn at a port that others share; over when the probe is.
    pub(super) turn: Option<TurnHeld>,
}

impl ProbeRun {
    pub(crate) async fn run(mut self) {
        let started = Instant::now();
        let result = probe::probe(&self.target, self.timeout).await;
        let took = started.elapsed();
        debug!(endpoint = %self.target.name, ok = result.is_ok(), ?took, "probed");
        self.finished = true;
        if let Some(health) = self.health.upgrade() {
            let snapshot = health.finish_probe(&result, took);
            if let Some(turn) = &self.turn {
                turn.site().share(&health, &result, &snapshot);
            }
        }
    }
}

impl Drop for ProbeRun {
    fn drop(&mut self) {
        if let (false, Some(health)) = (self.finished, self.health.upgrade()) {
            health.abandon_probe();
        }
    }
}
