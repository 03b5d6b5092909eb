//! What the request path reads and writes without a lock.
//!
//! The truth is the `machine` behind the endpoint's lock; this is its shadow, stored while that
//! lock is held and read by every worker. Deadlines are milliseconds on the monitor's clock.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU8, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use crate::{finding::Findings, load::Load, transition::Availability};

/// The lock-free face of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Availability and [`Flags`] in one byte: both are asked for on every request.
    verdict: AtomicU8,
    /// Whether anything was heard, and whether live requests fail: for those who ask how it is, not
    /// for the request path.
    notes: AtomicU8,
    /// What deep checks found.
    findings: AtomicU8,
    /// When it came back into use; means something while it is warming up.
    warm_since: AtomicU64,
    /// The trial of a half-open endpoint is taken until then; 0 if free.
    trial_until: AtomicU64,
    /// No suspicion is accepted before then.
    suspect_again: AtomicU64,
    /// Made when first counted, which few policies need: it takes as much memory as all the rest.
    load: OnceLock<Box<Load>>,
}

/// What is told besides availability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// A success would change something.
    pub(crate) success_matters: bool,
    /// Successes are counted, as there were failures lately.
    pub(crate) counting: bool,
    /// It came back a short while ago.
    pub(crate) warming: bool,
}

impl Published {
    pub(crate) fn publish(&self, availability: Availability, flags: Flags) {
        self.verdict
            .store(availability as u8 | flags.bits(), Release);
    }

    pub(crate) fn availability(&self) -> Availability {
        match self.verdict.load(Acquire) & AVAILABILITY {
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

    pub(crate) fn flags(&self) -> Flags {
        Flags::from_bits(self.verdict.load(Acquire))
    }

    /// It came back into use at `now`.
    pub(crate) fn begin_to_warm(&self, now: u64) {
        self.warm_since.store(now, Release);
    }

    /// For how long it has been warming up; `None` if it isn't. After `window` it is warm.
    pub(crate) fn warming_for(&self, now: u64, window: u64) -> Option<u64> {
        if self.verdict.load(Acquire) & WARMING == 0 {
            return None;
        }
        let since = now.saturating_sub(self.warm_since.load(Acquire));
        if since >= window {
            self.verdict.fetch_and(!WARMING, AcqRel);
            return None;
        }
        Some(since)
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

    /// Its load, if it was ever asked for.
    pub(crate) fn known_load(&self) -> Option<&Load> {
        self.load.get().map(Box::as_ref)
    }

    /// Its load, kept from now on.
    pub(crate) fn load(&self) -> &Load {
        self.load.get_or_init(Box::default)
    }
}

impl Flags {
    const fn bits(self) -> u8 {
        let Self {
            success_matters,
            counting,
            warming,
        } = self;
        let mut bits = 0;
        if success_matters {
            bits |= SUCCESS_MATTERS;
        }
        if counting {
            bits |= COUNTING;
        }
        if warming {
            bits |= WARMING;
        }
        bits
    }

    const fn from_bits(bits: u8) -> Self {
        Self {
            success_matters: bits & SUCCESS_MATTERS != 0,
            counting: bits & COUNTING != 0,
            warming: bits & WARMING != 0,
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

const AVAILABILITY: u8 = 0b0000_0011;
const WARMING: u8 = 0b0010_0000;
const COUNTING: u8 = 0b0100_0000;
const SUCCESS_MATTERS: u8 = 0b1000_0000;
const SEEN: u8 = 0b01;
const FAILING: u8 = 0b10;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// All parts of the byte survive each other.
    #[test]
    fn verdict_and_flags_do_not_mix() {
        let published = Published::default();
        assert_eq!(
            (published.availability(), published.flags()),
            (Availability::Up, Flags::default())
        );
        for availability in [
            Availability::Up,
            Availability::HalfOpen,
            Availability::Ejected,
            Availability::Down,
        ] {
            for bits in 0..8 {
                let flags = Flags {
                    success_matters: bits & 1 != 0,
                    counting: bits & 2 != 0,
                    warming: bits & 4 != 0,
                };
                published.publish(availability, flags);
                assert_eq!(published.availability(), availability);
                assert_eq!(published.flags(), flags);
            }
        }
    }

    /// After its time it is warm, and stays so.
    #[test]
    fn warming_up_ends() {
        let published = Published::default();
        assert_eq!(published.warming_for(0, 100), None);
        let warming = Flags {
            warming: true,
            ..Flags::default()
        };
        published.begin_to_warm(50);
        published.publish(Availability::Up, warming);
        assert_eq!(published.warming_for(60, 100), Some(10));
        assert_eq!(published.warming_for(149, 100), Some(99));
        assert_eq!(published.warming_for(150, 100), None);
        assert_eq!(published.warming_for(60, 100), None);
        assert_eq!(published.flags(), Flags::default());
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
