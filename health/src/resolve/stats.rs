//! What the resolver counted, as plain numbers; whoever exports metrics names them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{answer::Answer, lookup::LookupFailure};

/// The resolver's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameStats {
    /// Names whose last lookup was answered.
    pub resolved: u64,
    /// Names whose last lookup failed, and whose addresses from before are kept.
    pub kept: u64,
    /// Names that have not been answered yet.
    pub unresolved: u64,
    /// Finished lookups by their result.
    pub lookups: LookupCounts,
    /// How often the addresses of a name have changed, the first answer included.
    pub changes: u64,
}

/// Finished lookups by their result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupCounts {
    /// At least one address.
    pub ok: u64,
    /// No such name, or no address.
    pub empty: u64,
    /// No answer in time.
    pub timeout: u64,
    /// An answer that is none, or no way to ask.
    pub error: u64,
}

impl LookupCounts {
    /// The counts with the label each goes by in metrics.
    pub const fn by_result(&self) -> [(&'static str, u64); 4] {
        [
            ("ok", self.ok),
            ("empty", self.empty),
            ("timeout", self.timeout),
            ("error", self.error),
        ]
    }
}

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Resolved,
    Kept,
    Unresolved,
}

/// The live counters behind [`NameStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    resolved: AtomicU64,
    kept: AtomicU64,
    unresolved: AtomicU64,
    ok: AtomicU64,
    empty: AtomicU64,
    timeout: AtomicU64,
    error: AtomicU64,
    changes: AtomicU64,
}

impl Counters {
    pub(crate) fn began(&self) {
        self.unresolved.fetch_add(1, Relaxed);
    }

    pub(crate) fn moved(&self, from: Standing, to: Standing) {
        if from != to {
            self.of(to).fetch_add(1, Relaxed);
            self.ended(from);
        }
    }

    pub(crate) fn ended(&self, from: Standing) {
        self.of(from).fetch_sub(1, Relaxed);
    }

    pub(crate) fn asked(&self, answer: &Result<Answer, LookupFailure>) {
        let counter = match answer {
            Ok(_) => &self.ok,
            Err(LookupFailure::Empty) => &self.empty,
            Err(LookupFailure::Timeout(_)) => &self.timeout,
            Err(LookupFailure::Refused(_) | LookupFailure::Unasked(_)) => &self.error,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> NameStats {
        NameStats {
            resolved: self.resolved.load(Relaxed),
            kept: self.kept.load(Relaxed),
            unresolved: self.unresolved.load(Relaxed),
            lookups: LookupCounts {
                ok: self.ok.load(Relaxed),
                empty: self.empty.load(Relaxed),
                timeout: self.timeout.load(Relaxed),
                error: self.error.load(Relaxed),
            },
            changes: self.changes.load(Relaxed),
        }
    }

    fn of(&self, standing: Standing) -> &AtomicU64 {
        match standing {
            Standing::Resolved => &self.resolved,
            Standing::Kept => &self.kept,
            Standing::Unresolved => &self.unresolved,
        }
    }
}
