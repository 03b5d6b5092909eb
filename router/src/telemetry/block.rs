//! What one worker has counted for one tenant's one signal, and what many such blocks add up to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    codes::{CodeCounts, CodeTotals},
    count::Count,
    histogram::{Histogram, HistogramTotals},
    ledger::Join,
    served::Served,
};

/// One worker's counts. The allocator gives each worker pages of its own (ADR 0018), which is what
/// keeps them off the lines that others write.
#[derive(Debug, Default)]
pub(super) struct Block {
    served: Served,
    request_bytes: Count,
    response_bytes: Count,
    failovers: Count,
    codes: CodeCounts,
    duration: Histogram,
    first_byte: Histogram,
    answers: Box<[(Arc<str>, CodeCounts)]>,
}

/// A request that has come to its end.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// The status it was answered with.
    pub code: u16,
    /// From its head to the last byte of its answer.
    pub took: Duration,
    /// From its head to the first byte of an endpoint's answer, if one answered.
    pub first_byte: Option<Duration>,
    /// Whether another endpoint answered than the first one tried.
    pub moved_on: bool,
    /// What it says of the service.
    pub service: Service,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Bytes of its answer's body.
    pub response_bytes: u64,
}

/// What a request says of the service that its tenant gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It was served.
    Served,
    /// It was not, and not for the client's reasons.
    Unserved,
    /// Nothing: it was refused for what it was, or the client lost interest.
    Silent,
}

/// Counts as plain numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) begun: u64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) failovers: u64,
    pub(super) codes: CodeTotals,
    /// Time from the request's head to the last byte of its answer.
    pub(super) duration: HistogramTotals,
    /// Time from the request's head to the first byte of its answer.
    pub(super) first_byte: HistogramTotals,
    /// By the endpoint's `host:port`.
    pub(super) answers: BTreeMap<Arc<str>, CodeTotals>,
}

impl Block {
    /// A block for requests to endpoints of these names.
    pub(super) fn new(endpoints: impl Iterator<Item = Arc<str>>) -> Self {
        let answers = endpoints.map(|name| (name, CodeCounts::default()));
        Self {
            answers: answers.collect(),
            ..Self::default()
        }
    }

    /// Whether it is for endpoints of these names.
    pub(super) fn is_for(&self, endpoints: &[Arc<str>]) -> bool {
        self.names().eq(endpoints)
    }

    /// The endpoint at this position answers. Those beyond the last share its counts.
    pub(super) fn answered(&self, position: usize, code: u16) {
        if let Some((_, codes)) = self.answers.get(position).or(self.answers.last()) {
            codes.count(code);
        }
    }

    /// The code comes last: who sees a request there sees all else of it.
    pub(super) fn finish(&self, request: &Finished) {
        self.duration.observe(request.took);
        if let Some(first_byte) = request.first_byte {
            self.first_byte.observe(first_byte);
        }
        self.request_bytes.add(request.request_bytes);
        self.response_bytes.add(request.response_bytes);
        if request.moved_on {
            self.failovers.add(1);
        }
        self.served.finish(request.service);
        self.codes.count(request.code);
    }

    /// Counts a request of which nothing else is told.
    pub(super) fn code(&self, code: u16) {
        self.codes.count(code);
    }

    /// Requests answered, whatever with.
    pub(super) fn codes_counted(&self) -> u64 {
        self.codes.sum()
    }

    /// Requests that began, and were served.
    pub(super) fn served(&self) -> &Served {
        &self.served
    }

    fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.answers.iter().map(|(name, _)| name)
    }

    /// Adds what another one counted, which had the same endpoints or fewer.
    fn take_in(&self, other: &Self) {
        self.served.take_in(&other.served);
        self.request_bytes.add(other.request_bytes.get());
        self.response_bytes.add(other.response_bytes.get());
        self.failovers.add(other.failovers.get());
        self.codes.take_in(&other.codes);
        self.duration.take_in(&other.duration);
        self.first_byte.take_in(&other.first_byte);
        for (name, codes) in &other.answers {
            if let Some((_, same)) = self.answers.iter().find(|(known, _)| known == name) {
                same.take_in(codes);
            }
        }
    }
}

impl Join for Block {
    fn joined_by(self: Arc<Self>, other: &Self) -> Arc<Self> {
        if other.names().all(|name| self.names().any(|n| n == name)) {
            self.take_in(other);
            return self;
        }
        let names: BTreeSet<_> = self.names().chain(other.names()).cloned().collect();
        let joined = Self::new(names.into_iter());
        joined.take_in(&self);
        joined.take_in(other);
        Arc::new(joined)
    }
}

impl Totals {
    /// The codes are read first, so that no request seems to have ended before it began.
    pub(super) fn take_in(&mut self, block: &Block) {
        self.codes.take_in(&block.codes);
        self.begun += block.served.begun();
        self.request_bytes += block.request_bytes.get();
        self.response_bytes += block.response_bytes.get();
        self.failovers += block.failovers.get();
        self.duration.take_in(&block.duration);
        self.first_byte.take_in(&block.first_byte);
        for (name, codes) in &block.answers {
            self.answers.entry(name.clone()).or_default().take_in(codes);
        }
    }

    /// Requests that have begun and not ended.
    pub(super) fn in_flight(&self) -> u64 {
        self.begun.saturating_sub(self.codes.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_small() {
        let bytes = size_of::<Block>() + size_of::<(Arc<str>, CodeCounts)>();
        assert!(bytes <= 416, "{bytes} bytes with one endpoint");
    }

    #[test]
    fn endpoints_of_one_name_are_one() {
        let names: [Arc<str>; 3] = ["a:1", "a:1", "b:1"].map(Into::into);
        let block = Block::new(names.into_iter());
        for position in 0..4 {
            block.answered(position, 200);
        }
        let mut totals = Totals::default();
        totals.take_in(&block);
        let sums: Vec<_> = totals.answers.values().map(CodeTotals::sum).collect();
        assert_eq!(sums, [2, 2], "the fourth shares the third's");
    }
}
