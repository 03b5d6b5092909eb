//! What is counted by tenant and signal: where the workers' blocks are found to be added up.
//!
//! A worker opens a block when it first serves a tenant's signal, writes to it alone, and closes it
//! when it has not served it for a while; only then, and for scrapes, is anything locked.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};
use tenant_store::{
    history::Tally,
    model::{Signal, TenantId},
};

use super::{
    OVERFLOW_TENANT,
    block::{Block, Finished, Totals},
    labels::{Label, TenantLabels},
};

/// The counts of one tenant's one signal, whose revision and whichever worker counted.
#[derive(Debug)]
pub struct SignalCounts {
    pub(super) tenant: Label,
    pub(super) signal: Signal,
    /// Whether there ever was a deployment. Until then requests by code are all there is to tell.
    is_deployed: AtomicBool,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    open: Vec<Arc<Block>>,
    /// What closed blocks came to: the next worker goes on from there.
    closed: Option<Arc<Block>>,
}

/// One worker's counts of one tenant's one signal. It can't be sent to another thread.
#[derive(Debug)]
pub struct LocalCounts {
    shared: Arc<SignalCounts>,
    block: Arc<Block>,
    of_one_thread: PhantomData<Rc<()>>,
}

/// All that is counted by tenant.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) labels: TenantLabels,
    counts: Mutex<BTreeMap<(Label, Signal), Arc<SignalCounts>>>,
}

impl SignalCounts {
    /// Whether all tenants without a label of their own count here.
    pub fn is_overflow(&self) -> bool {
        self.tenant == Label::Overflow
    }

    /// Requests that have begun, ever. Takes a lock: for requests that failed.
    pub fn begun(&self) -> u64 {
        let ledger = self.ledger.lock();
        ledger.blocks().map(|block| block.begun()).sum()
    }

    /// Opens this worker's block for requests to endpoints of these names.
    pub fn open<'e>(
        self: &Arc<Self>,
        endpoints: impl Iterator<Item = &'e Arc<str>>,
    ) -> LocalCounts {
        let mut names: SmallVec<[Arc<str>; 4]> = if self.is_overflow() {
            smallvec![OVERFLOW_TENANT.into()]
        } else {
            endpoints.cloned().collect()
        };
        let mut ledger = self.ledger.lock();
        let closed = ledger.closed.take_if(|closed| closed.is_for(&names));
        let block = closed.unwrap_or_else(|| Arc::new(Block::new(names.drain(..))));
        // Most tenants are one worker's.
        ledger.open.reserve_exact(1);
        ledger.open.push(block.clone());
        LocalCounts {
            shared: self.clone(),
            block,
            of_one_thread: PhantomData,
        }
    }

    /// Whether there is more to tell than requests by code.
    pub(super) fn is_deployed(&self) -> bool {
        self.is_deployed.load(Relaxed)
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for block in self.ledger.lock().blocks() {
            totals.take_in(block);
        }
        totals
    }

    /// Requests that were served, and that were not, ever.
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for block in self.ledger.lock().blocks() {
            tally += block.tally();
        }
        tally
    }

    fn new(tenant: Label, signal: Signal) -> Self {
        Self {
            tenant,
            signal,
            is_deployed: AtomicBool::new(false),
            ledger: Mutex::default(),
        }
    }

    fn close(&self, block: &Arc<Block>) {
        let mut ledger = self.ledger.lock();
        ledger.open.retain(|open| !Arc::ptr_eq(open, block));
        ledger.closed = Some(match ledger.closed.take() {
            None => block.clone(),
            Some(closed) => closed.joined_by(block),
        });
    }
}

impl Ledger {
    fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        self.open.iter().chain(&self.closed)
    }
}

impl LocalCounts {
    /// A request begins.
    pub fn begin(&self) {
        self.block.begin();
    }

    /// The endpoint at this position of its deployment answers.
    pub fn answered(&self, position: usize, code: u16) {
        self.block.answered(position, code);
    }

    /// A request that began has ended.
    pub fn finish(&self, request: &Finished) {
        self.block.finish(request);
    }

    /// A request that reached no deployment was answered.
    pub fn refused(&self, code: u16) {
        self.block.code(code);
    }
}

impl Drop for LocalCounts {
    fn drop(&mut self) {
        self.shared.close(&self.block);
    }
}

impl Book {
    /// A book in which at most `most` tenants get labels of their own.
    pub(super) fn new(most: usize) -> Self {
        Self {
            labels: TenantLabels::new(most),
            counts: Mutex::default(),
        }
    }

    /// The counts of a tenant's signal that there is a deployment for.
    pub(super) fn deployed(&self, tenant: &TenantId, signal: Signal) -> Arc<SignalCounts> {
        let counts = self.signal(self.labels.label(tenant), signal);
        counts.is_deployed.store(true, Relaxed);
        counts
    }

    /// The counts of requests that name no known tenant.
    pub(super) fn unknown(&self, signal: Signal) -> Arc<SignalCounts> {
        self.signal(Label::Unknown, signal)
    }

    /// Counts a request of a known tenant that reached no deployment.
    pub(super) fn unrouted(&self, tenant: &TenantId, signal: Signal, code: u16) {
        let counts = self.signal(self.labels.label(tenant), signal);
        let mut ledger = counts.ledger.lock();
        // Under the lock, it has no other writer.
        let closed = ledger.closed.get_or_insert_default();
        closed.begin();
        closed.code(code);
    }

    /// Everything in the book, by label and signal.
    pub(super) fn all(&self) -> Vec<Arc<SignalCounts>> {
        self.counts.lock().values().cloned().collect()
    }

    /// Requests that were served, and that were not, of each tenant's signal that has counts of its
    /// own and a deployment.
    pub(super) fn service(&self) -> Vec<(TenantId, Signal, Tally)> {
        let all = self.all();
        let own = all.iter().filter_map(|counts| match &counts.tenant {
            Label::Own(tenant) if counts.is_deployed() => {
                Some((tenant.clone(), counts.signal, counts.tally()))
            }
            _ => None,
        });
        own.collect()
    }

    fn signal(&self, label: Label, signal: Signal) -> Arc<SignalCounts> {
        let mut counts = self.counts.lock();
        let known = counts.entry((label.clone(), signal));
        known
            .or_insert_with(|| Arc::new(SignalCounts::new(label, signal)))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::block::Service, *};

    fn tenant(id: &str) -> TenantId {
        id.parse().expect("a tenant id")
    }

    fn finished(code: u16) -> Finished {
        Finished {
            code,
            took: Duration::from_millis(3),
            first_byte: None,
            moved_on: false,
            service: if code < 500 {
                Service::Served
            } else {
                Service::Unserved
            },
            request_bytes: 1,
            response_bytes: 2,
        }
    }

    #[test]
    fn what_workers_count_adds_up_and_stays_when_they_close() {
        let book = Book::new(10);
        let counts = book.deployed(&tenant("acme"), Signal::Metrics);
        let endpoints: [Arc<str>; 1] = ["vm:1".into()];
        let (one, other) = (counts.open(endpoints.iter()), counts.open(endpoints.iter()));
        for local in [&one, &other, &one] {
            local.begin();
            local.answered(0, 200);
        }
        one.finish(&finished(200));
        other.finish(&finished(503));
        let told = || {
            let totals = counts.totals();
            let codes: Vec<_> = totals.codes.occurred().collect();
            let answers = totals.answers["vm:1"].sum();
            (codes, totals.in_flight(), totals.response_bytes, answers)
        };
        let expected = (vec![("200", 1), ("503", 1)], 1, 4, 3);
        assert_eq!(told(), expected);
        drop(other);
        assert_eq!(told(), expected);
        let service = || book.service()[0].2;
        assert_eq!(service(), Tally { good: 1, bad: 1 });
        one.finish(&finished(200));
        one.finish(&Finished {
            service: Service::Silent,
            ..finished(400)
        });
        drop(one);
        assert_eq!(service(), Tally { good: 2, bad: 1 });
        let codes = vec![("200", 2), ("400", 1), ("503", 1)];
        assert_eq!(told(), (codes.clone(), 0, 8, 3));
        assert_eq!(counts.begun(), 3);
        assert!(counts.ledger.lock().open.is_empty());
        let again = counts.open(endpoints.iter());
        assert!(
            counts.ledger.lock().closed.is_none(),
            "it goes on from there"
        );
        again.begin();
        again.answered(0, 204);
        assert_eq!(told(), (codes, 0, 8, 4));
    }

    #[test]
    fn what_endpoints_answered_that_are_gone_is_not_forgotten() {
        let book = Book::new(10);
        let counts = book.deployed(&tenant("acme"), Signal::Metrics);
        let [before, after]: [Arc<str>; 2] = ["vm:1", "vm:2"].map(Into::into);
        for (name, answers) in [(&before, 1), (&after, 2), (&before, 4)] {
            let local = counts.open([name].into_iter());
            for _ in 0..answers {
                local.answered(0, 200);
            }
        }
        let totals = counts.totals();
        let told: Vec<_> = totals
            .answers
            .iter()
            .map(|(name, codes)| (&**name, codes.sum()))
            .collect();
        assert_eq!(told, [("vm:1", 5), ("vm:2", 2)]);
    }

    #[test]
    fn tenants_beyond_the_limit_are_one() {
        let book = Book::new(1);
        let [first, second, third] = ["t1", "t2", "t3"].map(tenant);
        assert!(!book.deployed(&first, Signal::Logs).is_overflow());
        let shared = book.deployed(&second, Signal::Logs);
        assert!(Arc::ptr_eq(&shared, &book.deployed(&third, Signal::Logs)));
        let endpoints: [Arc<str>; 2] = ["vm:1".into(), "vm:2".into()];
        let local = shared.open(endpoints.iter());
        local.answered(1, 200);
        let totals = shared.totals();
        let names: Vec<_> = totals.answers.keys().map(|name| &**name).collect();
        assert_eq!(names, [OVERFLOW_TENANT]);
        assert_eq!(totals.answers[OVERFLOW_TENANT].sum(), 1);
    }

    #[test]
    fn it_is_small() {
        let bytes = size_of::<SignalCounts>() + size_of::<((Label, Signal), Arc<SignalCounts>)>();
        assert!(bytes <= 160, "{bytes} bytes beside the blocks");
    }
}
