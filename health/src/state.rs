//! What the request path reads and writes without a lock.
//!
//! The truth is the `machine` behind the endpoint's lock; this is its shadow, stored while that
//! lock is held and read by every worker. Deadlines are milliseconds on the monitor's clock.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU8, AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use crate::{finding::Findings, transition::Availability};

/// The lock-free face of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Availability, and whether a success is worth reporting, in one byte: both are asked for
    /// on every request.
    verdict: AtomicU8,
    /// Whether anything was heard, and whether live requests fail: for those who ask how it is, not
    /// for the request path.
    notes: AtomicU8,
    /// What deep checks found.
    findings: AtomicU8,
    /// The trial of a half-open endpoint is taken until then; 0 if free.
    trial_until: AtomicU64,
    /// No suspicion is accepted before then.
    suspect_again: AtomicU64,
    /// Made when first counted, which few policies need: it takes as much memory as all the rest.
    in_flight: OnceLock<Box<OwnCacheLine<AtomicUsize>>>,
}

impl Published {
    pub(crate) fn publish(&self, availability: Availability, success_matters: bool) {
        let flag = if success_matters { SUCCESS_MATTERS } else { 0 };
        self.verdict.store(availability as u8 | flag, Release);
    }

    pub(crate) fn availability(&self) -> Availability {
        match self.verdict.load(Acquire) & !SUCCESS_MATTERS {
            0 => Availability::Up,
            1 => Availability::HalfOpen,
            2 => Availability::Ejected,
            _ => Availability::Down,
        }
    }

    pub(crate) fn note(&self, seen: bool, failing: bool) {
        let notes = if seen { SEEN } else { 0 } | if failing { FAILING } else { 0 };
        self.notes.store(notes, Release);
    }

    pub(crate) fn is_seen(&self) -> bool {
        self.notes.load(Acquire) & SEEN != 0
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.notes.load(Acquire) & FAILING != 0
    }

    pub(crate) fn findings(&self) -> Findings {
        Findings::from_bits(self.findings.load(Acquire))
    }

    /// Answers what was there before.
    pub(crate) fn find(&self, findings: Findings) -> Findings {
        Findings::from_bits(self.findings.swap(findings.bits(), AcqRel))
    }

    pub(crate) fn success_matters(&self) -> bool {
        self.verdict.load(Acquire) & SUCCESS_MATTERS != 0
    }

    /// Takes the trial if it is free or its holder let `until` pass.
    pub(crate) fn claim_trial(&self, now: u64, until: u64) -> bool {
        claim(&self.trial_until, now, until)
    }

    pub(crate) fn free_trial(&self) {
        self.trial_until.store(0, Release);
    }

    /// Admits one suspicion per window.
    pub(crate) fn claim_suspicion(&self, now: u64, until: u64) -> bool {
        claim(&self.suspect_again, now, until)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
            .get()
            .map_or(0, |in_flight| in_flight.0.load(Relaxed))
    }

    pub(crate) fn enter(&self) {
        let in_flight = self.in_flight.get_or_init(Box::default);
        in_flight.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        if let Some(in_flight) = self.in_flight.get() {
            in_flight.0.fetch_sub(1, Relaxed);
        }
    }
}

/// Of all callers before `until` exactly one succeeds.
fn claim(deadline: &AtomicU64, now: u64, until: u64) -> bool {
    let taken_until = deadline.load(Acquire);
    taken_until <= now
        && deadline
            .compare_exchange(taken_until, until, AcqRel, Relaxed)
            .is_ok()
}

const SUCCESS_MATTERS: u8 = 0b1000_0000;
const SEEN: u8 = 0b01;
const FAILING: u8 = 0b10;

/// Every request that is counted writes here; the verdict is only read, and would otherwise move
/// between the cores with each of these writes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct OwnCacheLine<T>(T);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Both halves of the byte survive each other.
    #[test]
    fn verdict_and_flag_do_not_mix() {
        let published = Published::default();
        assert_eq!(
            (published.availability(), published.success_matters()),
            (Availability::Up, false)
        );
        for availability in [
            Availability::Up,
            Availability::HalfOpen,
            Availability::Ejected,
            Availability::Down,
        ] {
            for flag in [false, true] {
                published.publish(availability, flag);
                assert_eq!(published.availability(), availability);
                assert_eq!(published.success_matters(), flag);
            }
        }
    }

    /// Many workers ask at once; one is let through until the deadline, then one more.
    #[test]
    fn trial_admits_one_of_many_threads() {
        let published = Published::default();
        let claims_at = |now: u64| {
            thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| usize::from(published.claim_trial(now, now + 10))))
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .sum::<usize>()
            })
        };
        assert_eq!(claims_at(5), 1);
        assert_eq!(claims_at(14), 0);
        assert_eq!(claims_at(15), 1);
        published.free_trial();
        assert_eq!(claims_at(16), 1);
    }
}
