//! One deep check of an endpoint, and what becomes of its findings.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::EndpointHealth;
use crate::{
    deep::{self, DeepCheck, DeepReport},
    site::Claim,
    target::Target,
    transition::Availability,
};

/// A deep check that is to be made.
#[derive(Debug)]
pub(crate) struct Look {
    health: Weak<EndpointHealth>,
    target: Arc<Target>,
    check: Arc<DeepCheck>,
}

impl Look {
    pub(crate) async fn run(self) {
        let report = deep::look(&self.target, &self.check).await;
        let Some(health) = self.health.upgrade() else {
            return;
        };
        if let Some(report) = report {
            if let Some(site) = health.site() {
                site.looked(&self.check, &report);
            }
            health.take_in(report);
        }
        health.plan_next_look(&self.check);
    }
}

impl EndpointHealth {
    /// Not amid the start of everything, and spread out where there are many.
    pub(crate) fn plan_first_look(&self) {
        if let Some(check) = self.deep_check() {
            let after = check.interval().min(FIRST_LOOK);
            let spread = self.monitor.within(check.interval().saturating_sub(after));
            self.plan_look(after + spread);
        }
    }

    /// What is to be looked at, if it isn't known from a neighbour, and if there is any answer to
    /// be expected.
    pub(crate) fn start_look(&self) -> Option<Look> {
        let check = Arc::clone(self.deep_check()?);
        if self.availability() == Availability::Down {
            self.plan_next_look(&check);
            return None;
        }
        let claim = self
            .site()
            .map(|site| site.claim_look(&check, Instant::now()));
        if let Some(Claim::Settled(report)) = claim {
            if let Some(report) = report {
                let before = self.core.lock().deep.clone();
                self.take_in(report.for_neighbour(before.as_deref()));
            }
            self.plan_next_look(&check);
            return None;
        }
        Some(Look {
            health: Weak::clone(&self.me),
            target: Arc::clone(&self.target),
            check,
        })
    }

    fn plan_next_look(&self, check: &DeepCheck) {
        self.plan_look(check.interval());
    }

    /// In place of one that is planned already.
    fn plan_look(&self, after: Duration) {
        let mut core = self.core.lock();
        if let Some(slot) = core.look.take() {
            self.monitor.cancel(slot);
        }
        core.look = Some(self.monitor.plan_look(Weak::clone(&self.me), after));
    }

    fn deep_check(&self) -> Option<&Arc<DeepCheck>> {
        self.target.deep.as_ref().filter(|_| self.is_probed())
    }

    fn take_in(&self, report: DeepReport) {
        let mut core = self.core.lock();
        let report = report.following(core.deep.as_deref());
        let to = report.findings();
        let from = self.published.find(to);
        let details: Vec<_> = report.found.iter().map(|found| &*found.detail).collect();
        let detail = details.join("; ");
        core.deep = Some(Box::new(report));
        drop(core);
        if from == to {
            return;
        }
        let endpoint = &self.target.name;
        if to.is_empty() {
            info!(%endpoint, %from, "nothing is found any more");
        } else {
            warn!(%endpoint, %from, %to, detail, "endpoint findings changed");
        }
    }
}

/// After a start everything is busy, and many requests come that wait.
const FIRST_LOOK: Duration = Duration::from_secs(30);
