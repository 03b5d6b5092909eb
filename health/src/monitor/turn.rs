//! Turns on a port that several endpoints share: planned like probes, held while one runs.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::Monitor;
use crate::{
    endpoint::EndpointHealth,
    site::{Site, Turn},
};

/// What the schedule has in store.
#[derive(Debug)]
pub(super) enum Planned {
    /// An endpoint is due.
    Endpoint(Weak<EndpointHealth>),
    /// An endpoint is due to be looked at more closely.
    Look(Weak<EndpointHealth>),
    /// One of those on a port may be probed.
    Turn(Weak<Site>),
}

/// An endpoint that may be probed as soon as there is room.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) health: Weak<EndpointHealth>,
    pub(super) turn: Option<TurnHeld>,
}

impl Ready {
    /// One that shares its port with nobody.
    pub(super) fn alone(health: Weak<EndpointHealth>) -> Self {
        Self { health, turn: None }
    }
}

/// Holds the turn on a port; dropped, it is the next one's.
#[derive(Debug)]
pub(crate) struct TurnHeld {
    monitor: Arc<Monitor>,
    site: Arc<Site>,
}

impl TurnHeld {
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }
}

impl Drop for TurnHeld {
    fn drop(&mut self) {
        self.site.turns().lock().end();
        self.monitor.plan_turn(&self.site, Instant::now());
    }
}

impl Monitor {
    /// Has an endpoint that is due wait for its turn.
    pub(crate) fn enqueue(&self, site: &Arc<Site>, health: Weak<EndpointHealth>, urgent: bool) {
        let mut turns = site.turns().lock();
        turns.enqueue(health, urgent);
        // The next turn is planned for whoever comes first, which the urgent may do.
        let replan = urgent || turns.planned.is_none();
        drop(turns);
        if replan {
            self.plan_turn(site, Instant::now());
        }
    }

    /// Who may be probed now; otherwise it is seen to that the next is looked for in time.
    pub(super) fn next_turn(self: &Arc<Self>, site: &Arc<Site>, now: Instant) -> Option<Ready> {
        let mut turns = site.turns().lock();
        turns.planned = None;
        let pace = |health: &Weak<EndpointHealth>| health.upgrade()?.turn_pace();
        let turn = turns.next(now, pace);
        drop(turns);
        match turn {
            Turn::Nobody => None,
            Turn::Not(at) => {
                self.plan_turn(site, at);
                None
            }
            Turn::Of(health) => Some(Ready {
                health,
                turn: Some(TurnHeld {
                    monitor: Arc::clone(self),
                    site: Arc::clone(site),
                }),
            }),
        }
    }

    fn plan_turn(&self, site: &Arc<Site>, at: Instant) {
        let mut turns = site.turns().lock();
        if turns.is_taken() {
            return; // its end plans the next
        }
        if let Some(slot) = turns.planned.take() {
            self.cancel(slot);
        }
        turns.planned = Some(self.plan(at, Planned::Turn(Arc::downgrade(site))));
    }
}
