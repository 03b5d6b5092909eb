//! What one endpoint's machine has in common with nearly all others: kept once, not with each.

use std::{sync::Arc, time::Duration};

use crate::{ejection::EjectionPolicy, jitter::Jitter, target::ProbeSpec};

/// How an endpoint is judged.
#[derive(Debug)]
pub(crate) struct Rules {
    /// How it is probed, if it is.
    pub(crate) probing: Option<ProbeSpec>,
    /// So many failed requests in a row eject, at least one.
    pub(crate) threshold: u32,
    /// The first back-off.
    pub(crate) base: Duration,
    /// The longest back-off, no shorter than the first.
    pub(crate) max: Duration,
    pub(crate) jitter: Jitter,
}

impl Rules {
    /// Brings the policy into range.
    pub(crate) fn new(
        policy: EjectionPolicy,
        jitter: Jitter,
        probing: Option<ProbeSpec>,
    ) -> Arc<Self> {
        let base = policy.base.clamp(BASE_MIN, MAX_MAX);
        Arc::new(Self {
            probing,
            threshold: policy.consecutive_failures.max(1),
            base,
            max: policy.max.clamp(base, MAX_MAX),
            jitter,
        })
    }
}

/// Keeps a zero back-off from spinning the scheduler.
pub(crate) const BASE_MIN: Duration = Duration::from_millis(10);
/// Keeps `Instant + Duration` far from overflow.
const MAX_MAX: Duration = Duration::from_hours(24);
