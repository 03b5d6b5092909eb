//! What is counted by tenant and signal.
//!
//! A worker opens a block when it first serves a tenant's signal, writes to it alone, and closes it
//! when it has not served it for a while; only then, and for scrapes, is anything locked.
//!
//! Labels in metrics are bounded. The tenants beyond share one block per worker; how many of their
//! requests were served is counted of each nevertheless, as that is what their availability is.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, btree_map::Entry},
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
    ledger::Ledger,
    served::{Served, SignalServed},
    taken::{Taken, TakenTally},
};

/// Tenants' signals without a label of which it is known nevertheless how many requests were served:
/// some 250 bytes each.
const UNLABELLED: usize = 100_000;

/// The counts under one label of one signal, whose revision and whichever worker counted.
#[derive(Debug)]
pub struct SignalCounts {
    pub(super) tenant: Label,
    pub(super) signal: Signal,
    /// Whether there ever was a deployment. Until then requests by code are all there is to tell.
    is_deployed: AtomicBool,
    ledger: Ledger<Block>,
    /// What history has of how they were served.
    pub(super) recorded: TakenTally,
    /// What trends have of how many were answered.
    pub(super) followed: Taken,
}

/// Where one tenant's one signal is counted.
#[derive(Debug)]
pub struct TenantCounts {
    /// Its own, or what all share that have no label.
    counts: Arc<SignalCounts>,
    /// What is known of it alone, if it shares those.
    served: Option<Arc<SignalServed>>,
}

/// One worker's counts of one tenant's one signal. It can't be sent to another thread.
#[derive(Debug)]
pub struct LocalCounts {
    block: Arc<Block>,
    owner: Owner,
}

/// What the tenants without a label share on one worker, of one signal.
pub type Overflow = OnceCell<Rc<LocalCounts>>;

/// Whose block it is.
#[derive(Debug)]
enum Owner {
    /// Theirs alone, and closed with the local counts.
    Alone(Arc<SignalCounts>),
    /// All's that have no label.
    Shared(Box<Shared>),
}

#[derive(Debug)]
struct Shared {
    /// Keeps the block open.
    _all: Rc<LocalCounts>,
    own: Option<(Arc<SignalServed>, Arc<Served>)>,
}

/// All that is counted by tenant.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) labels: TenantLabels,
    counts: Mutex<BTreeMap<(Label, Signal), Arc<SignalCounts>>>,
    unlabelled: Mutex<BTreeMap<(TenantId, Signal), Arc<SignalServed>>>,
}

impl SignalCounts {
    /// Opens this worker's block for requests to endpoints of these names.
    pub fn open<'e>(
        self: &Arc<Self>,
        endpoints: impl Iterator<Item = &'e Arc<str>>,
    ) -> LocalCounts {
        let names: SmallVec<[Arc<str>; 4]> = if self.is_overflow() {
            smallvec![OVERFLOW_TENANT.into()]
        } else {
            endpoints.cloned().collect()
        };
        let block = self.ledger.open(
            |closed| closed.is_for(&names),
            || Block::new(names.iter().cloned()),
        );
        LocalCounts {
            block,
            owner: Owner::Alone(self.clone()),
        }
    }

    /// Whether there is more to tell than requests by code.
    pub(super) fn is_deployed(&self) -> bool {
        self.is_deployed.load(Relaxed)
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.ledger.each(|block| totals.take_in(block));
        totals
    }

    fn new(tenant: Label, signal: Signal) -> Self {
        Self {
            tenant,
            signal,
            is_deployed: AtomicBool::new(false),
            ledger: Ledger::default(),
            recorded: TakenTally::default(),
            followed: Taken::default(),
        }
    }

    fn is_overflow(&self) -> bool {
        self.tenant == Label::Overflow
    }

    /// Requests answered, whatever with.
    pub(super) fn answered(&self) -> u64 {
        let mut answered = 0;
        self.ledger.each(|block| answered += block.codes_counted());
        answered
    }

    fn begun(&self) -> u64 {
        let mut begun = 0;
        self.ledger.each(|block| begun += block.served().begun());
        begun
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.ledger.each(|block| tally += block.served().tally());
        tally
    }
}

impl TenantCounts {
    /// Requests that have begun, ever. Takes a lock: for requests that failed.
    pub fn begun(&self) -> u64 {
        match &self.served {
            Some(served) => served.begun(),
            None => self.counts.begun(),
        }
    }

    /// Opens this worker's block for requests to endpoints of these names, or joins in `overflow`.
    pub fn open<'e>(
        &self,
        endpoints: impl Iterator<Item = &'e Arc<str>>,
        overflow: &Overflow,
    ) -> LocalCounts {
        if !self.counts.is_overflow() {
            return self.counts.open(endpoints);
        }
        let all = overflow.get_or_init(|| Rc::new(self.counts.open(endpoints)));
        let own = self.served.as_ref();
        LocalCounts {
            block: all.block.clone(),
            owner: Owner::Shared(Box::new(Shared {
                _all: all.clone(),
                own: own.map(|served| (served.clone(), served.open())),
            })),
        }
    }
}

impl LocalCounts {
    /// A request begins.
    pub fn begin(&self) {
        self.block.served().begin();
        if let Some(own) = self.own() {
            own.begin();
        }
    }

    /// The endpoint at this position of its deployment answers.
    pub fn answered(&self, position: usize, code: u16) {
        self.block.answered(position, code);
    }

    /// A request that began has ended.
    pub fn finish(&self, request: &Finished) {
        // First, as whoever sees the request among the codes sees all else of it.
        if let Some(own) = self.own() {
            own.finish(request.service);
        }
        self.block.finish(request);
    }

    /// A request that reached no deployment was answered.
    pub fn refused(&self, code: u16) {
        self.block.code(code);
    }

    /// The tenant's own numbers, if it shares the others.
    fn own(&self) -> Option<&Served> {
        match &self.owner {
            Owner::Alone(_) => None,
            Owner::Shared(shared) => shared.own.as_ref().map(|(_, own)| &**own),
        }
    }
}

impl Drop for LocalCounts {
    fn drop(&mut self) {
        match &self.owner {
            Owner::Alone(counts) => counts.ledger.close(&self.block),
            Owner::Shared(shared) => {
                if let Some((served, own)) = &shared.own {
                    served.close(own);
                }
            }
        }
    }
}

impl Book {
    /// A book in which at most `most` tenants get labels of their own.
    pub(super) fn new(most: usize) -> Self {
        Self {
            labels: TenantLabels::new(most),
            counts: Mutex::default(),
            unlabelled: Mutex::default(),
        }
    }

    /// The counts of a tenant's signal that there is a deployment for.
    pub(super) fn deployed(&self, tenant: &TenantId, signal: Signal) -> TenantCounts {
        let counts = self.signal(self.labels.label(tenant), signal);
        counts.is_deployed.store(true, Relaxed);
        let served = counts.is_overflow().then(|| self.served(tenant, signal));
        TenantCounts {
            counts,
            served: served.flatten(),
        }
    }

    /// The counts of requests that name no known tenant.
    pub(super) fn unknown(&self, signal: Signal) -> Arc<SignalCounts> {
        self.signal(Label::Unknown, signal)
    }

    /// Counts a request of a known tenant that reached no deployment.
    pub(super) fn unrouted(&self, tenant: &TenantId, signal: Signal, code: u16) {
        let counts = self.signal(self.labels.label(tenant), signal);
        counts.ledger.count(|block| {
            block.served().begin();
            block.code(code);
        });
    }

    /// Everything in the book, by label and signal.
    pub(super) fn all(&self) -> Vec<Arc<SignalCounts>> {
        self.counts.lock().values().cloned().collect()
    }

    /// Requests that were served, and that were not, since this was last asked: of each tenant's
    /// signal that has a deployment and had some, label or not.
    pub(super) fn fresh_service(&self) -> Vec<(TenantId, Signal, Tally)> {
        let all = self.all();
        let labelled = all.iter().filter_map(|counts| match &counts.tenant {
            Label::Own(tenant) if counts.is_deployed() => {
                let fresh = counts.recorded.fresh(counts.tally());
                Some((tenant.clone(), counts.signal, fresh))
            }
            _ => None,
        });
        let others: Vec<_> = self.unlabelled.lock().values().cloned().collect();
        let others = others.iter().map(|served| {
            let fresh = served.recorded.fresh(served.tally());
            (served.tenant.clone(), served.signal, fresh)
        });
        let all = labelled.chain(others);
        all.filter(|(_, _, fresh)| !fresh.is_empty()).collect()
    }

    fn signal(&self, label: Label, signal: Signal) -> Arc<SignalCounts> {
        let mut counts = self.counts.lock();
        let known = counts.entry((label.clone(), signal));
        known
            .or_insert_with(|| Arc::new(SignalCounts::new(label, signal)))
            .clone()
    }

    /// What is known of a tenant's signal that has no label, while there is room.
    fn served(&self, tenant: &TenantId, signal: Signal) -> Option<Arc<SignalServed>> {
        let mut unlabelled = self.unlabelled.lock();
        let is_full = unlabelled.len() >= UNLABELLED;
        match unlabelled.entry((tenant.clone(), signal)) {
            Entry::Occupied(known) => Some(known.get().clone()),
            Entry::Vacant(_) if is_full => None,
            Entry::Vacant(place) => {
                let served = Arc::new(SignalServed::new(tenant.clone(), signal));
                Some(place.insert(served).clone())
            }
        }
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
        let none = Overflow::new();
        let open = || counts.open(endpoints.iter(), &none);
        let (one, other) = (open(), open());
        for local in [&one, &other, &one] {
            local.begin();
            local.answered(0, 200);
        }
        one.finish(&finished(200));
        other.finish(&finished(503));
        let told = || {
            let totals = counts.counts.totals();
            let codes: Vec<_> = totals.codes.occurred().collect();
            let answers = totals.answers["vm:1"].sum();
            (codes, totals.in_flight(), totals.response_bytes, answers)
        };
        let expected = (vec![("200", 1), ("503", 1)], 1, 4, 3);
        assert_eq!(told(), expected);
        drop(other);
        assert_eq!(told(), expected);
        let fresh = || {
            let fresh = book.fresh_service();
            fresh.iter().map(|(_, _, tally)| *tally).collect::<Vec<_>>()
        };
        assert_eq!(fresh(), [Tally { good: 1, bad: 1 }]);
        assert_eq!(fresh(), [], "it was taken in");
        one.finish(&finished(200));
        one.finish(&Finished {
            service: Service::Silent,
            ..finished(400)
        });
        drop(one);
        assert_eq!(fresh(), [Tally { good: 1, bad: 0 }]);
        assert_eq!(counts.counts.answered(), 4);
        let codes = vec![("200", 2), ("400", 1), ("503", 1)];
        assert_eq!(told(), (codes.clone(), 0, 8, 3));
        assert_eq!(counts.begun(), 3);
        let ledger = &counts.counts.ledger;
        assert!(!ledger.is_open());
        let again = open();
        assert!(!ledger.has_closed(), "it goes on from there");
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
            let local = counts.open([name].into_iter(), &Overflow::new());
            for _ in 0..answers {
                local.answered(0, 200);
            }
        }
        let totals = counts.counts.totals();
        let told: Vec<_> = totals
            .answers
            .iter()
            .map(|(name, codes)| (&**name, codes.sum()))
            .collect();
        assert_eq!(told, [("vm:1", 5), ("vm:2", 2)]);
    }

    #[test]
    fn tenants_beyond_the_limit_share_all_but_how_they_are_served() {
        let book = Book::new(1);
        let [first, second, third] = ["t1", "t2", "t3"].map(tenant);
        let [_, second, third] =
            [&first, &second, &third].map(|tenant| book.deployed(tenant, Signal::Logs));
        assert!(Arc::ptr_eq(&second.counts, &third.counts));
        let endpoints: [Arc<str>; 2] = ["vm:1".into(), "vm:2".into()];
        let worker = Overflow::new();
        let [two, three] = [&second, &third].map(|counts| counts.open(endpoints.iter(), &worker));
        assert!(Arc::ptr_eq(&two.block, &three.block), "one for each worker");
        for (local, code) in [(&two, 200), (&two, 200), (&three, 503)] {
            local.begin();
            local.answered(1, code);
            local.finish(&finished(code));
        }
        let totals = || second.counts.totals();
        let names: Vec<_> = totals().answers.into_keys().collect();
        assert_eq!(names, [OVERFLOW_TENANT.into()]);
        let told = || {
            let fresh = book.fresh_service().into_iter();
            let fresh: Vec<_> = fresh
                .map(|(t, _, tally)| (t.to_string(), tally.good, tally.bad))
                .collect();
            (fresh, totals().codes.sum(), second.begun(), third.begun())
        };
        let before = vec![("t2".to_owned(), 2, 0), ("t3".to_owned(), 0, 1)];
        assert_eq!(told(), (before, 3, 2, 1));
        drop((two, three, worker));
        assert!(!second.counts.ledger.is_open());
        assert_eq!(told(), (vec![], 3, 2, 1), "closing loses nothing");
        let elsewhere = Overflow::new();
        let again = third.open(endpoints.iter(), &elsewhere);
        again.begin();
        again.finish(&finished(200));
        let after = vec![("t3".to_owned(), 1, 0)];
        assert_eq!(told(), (after, 4, 2, 2));
    }

    #[test]
    fn it_is_small() {
        let bytes = size_of::<SignalCounts>() + size_of::<((Label, Signal), Arc<SignalCounts>)>();
        assert!(bytes <= 176, "{bytes} bytes beside the blocks");
        assert!(size_of::<LocalCounts>() <= 24);
    }
}
