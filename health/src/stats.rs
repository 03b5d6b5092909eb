//! What the monitor counted, as plain numbers; whoever exports metrics names them.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    cause::Cause,
    probe::ProbeFailure,
    transition::{Availability, Transition},
};

/// The monitor's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonitorStats {
    /// Distinct endpoints somebody holds.
    pub endpoints: usize,
    /// Finished probes by their result.
    pub probes: ProbeCounts,
    /// What all finished probes took together; their number is [`ProbeCounts::total`].
    pub probe_time: Duration,
    /// Changes of availability announced so far.
    pub transitions: u64,
    /// How often an endpoint went out of use, by the cause's place in [`Cause::ALL`].
    pub ejections: [u64; Cause::ALL.len()],
}

impl MonitorStats {
    /// How often endpoints went out of use, by cause; only causes that occurred.
    pub fn ejections_by_cause(&self) -> impl Iterator<Item = (Cause, u64)> {
        let counts = Cause::ALL.into_iter().zip(self.ejections);
        counts.filter(|(_, count)| *count > 0)
    }
}

/// Finished probes by their result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeCounts {
    /// A healthy answer in time.
    pub ok: u64,
    /// A status as expected, with a body that isn't.
    pub body: u64,
    /// A connection without an HTTP answer.
    pub broken: u64,
    /// No connection.
    pub connect: u64,
    /// A status that isn't expected, redirects included.
    pub status: u64,
    /// No answer in time.
    pub timeout: u64,
    /// A connection, and no agreement on TLS.
    pub tls: u64,
}

impl ProbeCounts {
    /// The counts with the label each goes by in metrics.
    pub const fn by_result(&self) -> [(&'static str, u64); 7] {
        [
            ("ok", self.ok),
            ("body", self.body),
            ("broken", self.broken),
            ("connect", self.connect),
            ("status", self.status),
            ("timeout", self.timeout),
            ("tls", self.tls),
        ]
    }

    /// All finished probes.
    pub const fn total(&self) -> u64 {
        self.ok + self.body + self.broken + self.connect + self.status + self.timeout + self.tls
    }
}

/// The live counters behind [`MonitorStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    ok: AtomicU64,
    body: AtomicU64,
    broken: AtomicU64,
    connect: AtomicU64,
    status: AtomicU64,
    timeout: AtomicU64,
    tls: AtomicU64,
    probe_nanos: AtomicU64,
    transitions: AtomicU64,
    ejections: [AtomicU64; Cause::ALL.len()],
}

impl Counters {
    pub(crate) fn count_probe(&self, result: &Result<(), ProbeFailure>, took: Duration) {
        let counter = match result {
            Ok(()) => &self.ok,
            Err(ProbeFailure::Body(_)) => &self.body,
            Err(ProbeFailure::Broken(_)) => &self.broken,
            Err(ProbeFailure::Connect(_)) => &self.connect,
            Err(ProbeFailure::Redirected | ProbeFailure::Status(_)) => &self.status,
            Err(ProbeFailure::Timeout(_)) => &self.timeout,
            Err(ProbeFailure::Tls(_)) => &self.tls,
        };
        counter.fetch_add(1, Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.probe_nanos.fetch_add(nanos, Relaxed);
    }

    pub(crate) fn count(&self, transition: &Transition) {
        self.transitions.fetch_add(1, Relaxed);
        let was_in_use = matches!(transition.from, Availability::Up | Availability::HalfOpen);
        let is_in_use = matches!(transition.to, Availability::Up | Availability::HalfOpen);
        if !was_in_use || is_in_use {
            return;
        }
        let cause = transition.reason.cause();
        if let Some(place) = Cause::ALL.iter().position(|one| *one == cause) {
            self.ejections[place].fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn read(&self, endpoints: usize) -> MonitorStats {
        MonitorStats {
            endpoints,
            probes: ProbeCounts {
                ok: self.ok.load(Relaxed),
                body: self.body.load(Relaxed),
                broken: self.broken.load(Relaxed),
                connect: self.connect.load(Relaxed),
                status: self.status.load(Relaxed),
                timeout: self.timeout.load(Relaxed),
                tls: self.tls.load(Relaxed),
            },
            probe_time: Duration::from_nanos(self.probe_nanos.load(Relaxed)),
            transitions: self.transitions.load(Relaxed),
            ejections: self.ejections.each_ref().map(|count| count.load(Relaxed)),
        }
    }
}
