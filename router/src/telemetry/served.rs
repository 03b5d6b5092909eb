//! What is counted of each tenant, label or not: how many requests began, and were served.

use std::sync::Arc;

use tenant_store::{
    history::Tally,
    model::{Signal, TenantId},
};

use super::{
    block::Service,
    count::Count,
    ledger::{Join, Ledger},
    taken::TakenTally,
};

/// Of one tenant's one signal that has no label in metrics, whichever worker counted.
#[derive(Debug)]
pub(super) struct SignalServed {
    pub(super) tenant: TenantId,
    pub(super) signal: Signal,
    ledger: Ledger<Served>,
    /// What history has of them.
    pub(super) recorded: TakenTally,
}

/// One worker's numbers.
#[derive(Debug, Default)]
pub(super) struct Served {
    begun: Count,
    good: Count,
    bad: Count,
}

impl SignalServed {
    pub(super) fn new(tenant: TenantId, signal: Signal) -> Self {
        Self {
            tenant,
            signal,
            ledger: Ledger::default(),
            recorded: TakenTally::default(),
        }
    }

    pub(super) fn open(&self) -> Arc<Served> {
        self.ledger.open(|_| true, Served::default)
    }

    pub(super) fn close(&self, block: &Arc<Served>) {
        self.ledger.close(block);
    }

    /// Requests that have begun, ever.
    pub(super) fn begun(&self) -> u64 {
        let mut begun = 0;
        self.ledger.each(|block| begun += block.begun());
        begun
    }

    /// Requests that were served, and that were not, ever.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.ledger.each(|block| tally += block.tally());
        tally
    }
}

impl Served {
    pub(super) fn begin(&self) {
        self.begun.add(1);
    }

    pub(super) fn finish(&self, service: Service) {
        match service {
            Service::Served => self.good.add(1),
            Service::Unserved => self.bad.add(1),
            Service::Silent => {}
        }
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// Requests that were served, and that were not.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            good: self.good.get(),
            bad: self.bad.get(),
        }
    }

    /// Adds what another one counted.
    pub(super) fn take_in(&self, other: &Self) {
        self.begun.add(other.begun.get());
        self.good.add(other.good.get());
        self.bad.add(other.bad.get());
    }
}

impl Join for Served {
    fn joined_by(self: Arc<Self>, other: &Self) -> Arc<Self> {
        self.take_in(other);
        self
    }
}
