//! What a worker counts of connections, whoever's they are.

use std::{marker::PhantomData, rc::Rc, sync::Arc};

use parking_lot::Mutex;

use super::count::Count;

/// All workers' counts.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<Vec<Arc<Counts>>>);

/// One worker's counts. It can't be sent to another thread.
#[derive(Debug)]
pub struct WorkerCounts {
    counts: Arc<Counts>,
    of_one_thread: PhantomData<Rc<()>>,
}

/// A client connection that rests, for as long as this is held.
#[derive(Debug)]
pub struct Resting<'a>(&'a Counts);

/// Aligned, so that no line of it is another worker's too.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counts {
    accepted: Count,
    ended: Count,
    rests_begun: Count,
    rests_ended: Count,
    upstream_opened: Count,
    upstream_reused: Count,
    retries_denied: Count,
    ejected_picks: Count,
    hedges: [Count; Hedge::ALL.len()],
}

/// All workers' counts as plain numbers.
#[derive(Debug, Default)]
pub struct Connections {
    /// Client connections open now.
    pub open: u64,
    /// Client connections that rest now.
    pub resting: u64,
    /// Client connections accepted.
    pub accepted: u64,
    /// Connections opened to endpoints.
    pub upstream_opened: u64,
    /// Requests sent to endpoints on a connection that was there already.
    pub upstream_reused: u64,
    /// Further attempts that the retry budget did not allow.
    pub retries_denied: u64,
    /// Requests sent to an endpoint that was ejected.
    pub ejected_picks: u64,
    /// Hedges by what became of them, in the order of [`Hedge::ALL`].
    pub hedges: [u64; Hedge::ALL.len()],
}

/// What became of the wish to ask a second endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hedge {
    /// The second one answered first.
    Won,
    /// The first one did.
    Lost,
    /// The second one failed, or answered 429 or 5xx while the first was still silent.
    Failed,
    /// The budget did not allow it.
    Denied,
}

impl Hedge {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Won, Self::Lost, Self::Failed, Self::Denied];

    /// The `result` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }
}

impl Workers {
    /// Begins the counts of one more worker. They stay when it is gone.
    pub(super) fn open(&self) -> WorkerCounts {
        let counts = Arc::new(Counts::default());
        self.0.lock().push(counts.clone());
        WorkerCounts {
            counts,
            of_one_thread: PhantomData,
        }
    }

    pub(super) fn totals(&self) -> Connections {
        let mut totals = Connections::default();
        for counts in self.0.lock().iter() {
            // Ends are read first: no connection seems to end before it began.
            let ended = counts.ended.get();
            let accepted = counts.accepted.get();
            let rests_ended = counts.rests_ended.get();
            totals.resting += counts.rests_begun.get().saturating_sub(rests_ended);
            totals.open += accepted.saturating_sub(ended);
            totals.accepted += accepted;
            totals.upstream_opened += counts.upstream_opened.get();
            totals.upstream_reused += counts.upstream_reused.get();
            totals.retries_denied += counts.retries_denied.get();
            totals.ejected_picks += counts.ejected_picks.get();
            for (total, count) in totals.hedges.iter_mut().zip(&counts.hedges) {
                *total += count.get();
            }
        }
        totals
    }
}

impl WorkerCounts {
    /// A client connection was accepted.
    pub fn accepted(&self) {
        self.counts.accepted.add(1);
    }

    /// A client connection that was accepted has ended.
    pub fn ended(&self) {
        self.counts.ended.add(1);
    }

    /// A client connection begins to rest.
    pub fn rests(&self) -> Resting<'_> {
        self.counts.rests_begun.add(1);
        Resting(&self.counts)
    }

    /// A connection was opened to an endpoint.
    pub fn opened(&self) {
        self.counts.upstream_opened.add(1);
    }

    /// A request is sent to an endpoint on a connection that was there already.
    pub fn reused(&self) {
        self.counts.upstream_reused.add(1);
    }

    /// The retry budget did not allow a further attempt.
    pub fn retry_denied(&self) {
        self.counts.retries_denied.add(1);
    }

    /// An endpoint was picked although it is ejected.
    pub fn picked_ejected(&self) {
        self.counts.ejected_picks.add(1);
    }

    /// This became of a hedge.
    pub fn hedged(&self, result: Hedge) {
        self.counts.hedges[result as usize].add(1);
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.rests_ended.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_and_stay_when_they_are_gone() {
        let workers = Workers::default();
        let (one, other) = (workers.open(), workers.open());
        one.accepted();
        other.accepted();
        other.accepted();
        other.ended();
        drop(other.rests());
        drop(other);
        one.reused();
        let resting = one.rests();
        assert_eq!(workers.totals().resting, 1);
        drop(resting);
        let totals = workers.totals();
        assert_eq!((totals.open, totals.accepted, totals.resting), (2, 3, 0));
        assert_eq!((totals.upstream_reused, totals.upstream_opened), (1, 0));
    }
}
