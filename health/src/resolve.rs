//! The addresses behind names: looked up in the background, kept when there is no answer.
//!
//! A name is looked up for as long as somebody holds it: at once, then every
//! [`refresh`](ResolverConfig::refresh), and sooner when an endpoint at one of its addresses fails.
//! What is known is never taken back by a lookup that fails: an empty answer, a server that is gone
//! and one that is confused all leave the list before.
//!
//! Knows names and addresses: no tenants, and not what is done with them.

mod answer;
mod lookup;
mod name;
mod question;
mod stats;

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{Instant, timeout},
};

use self::{answer::Answer, lookup::Dns, stats::Counters};
pub use self::{
    answer::{Known, MOST_PLACES, Place, ServiceTarget},
    lookup::{Family, LookupFailure},
    name::{NameSnapshot, WatchedName},
    question::Question,
    stats::{LookupCounts, NameStats},
};
use crate::{
    jitter::Jitter,
    monitor::sleep_until,
    schedule::{Schedule, Slot},
};

/// How names are looked up, the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverConfig {
    /// Time between two lookups of a name while nothing is in doubt. Kept within 1 s to 1 day.
    pub refresh: Duration,
    /// A lookup without an answer by then has failed, whatever servers and search domains it has
    /// been through. Kept within 10 ms to 1 minute.
    pub timeout: Duration,
    /// Which addresses count.
    pub family: Family,
    /// The servers to ask; without any, those of the system.
    pub servers: Vec<SocketAddr>,
}

impl Default for ResolverConfig {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            family: Family::default(),
            servers: Vec::new(),
        }
    }
}

impl ResolverConfig {
    fn clamped(mut self) -> Self {
        self.refresh = self.refresh.clamp(FIRST_PAUSE, Duration::from_hours(24));
        self.timeout = self
            .timeout
            .clamp(Duration::from_millis(10), Duration::from_mins(1));
        self
    }
}

/// Looks names up, and tells when their addresses change.
pub struct Resolver {
    refresh: Duration,
    timeout: Duration,
    jitter: Jitter,
    ask: Box<Ask>,
    names: Mutex<HashMap<Question, Weak<WatchedName>>>,
    schedule: Mutex<Schedule<Weak<WatchedName>>>,
    /// The schedule has an earlier beginning than the task in [`run`](Self::run) knows of.
    wake: Notify,
    /// How often the addresses of any name have changed.
    changes: watch::Sender<u64>,
    counters: Counters,
}

type Ask = dyn Fn(Question) -> Asked + Send + Sync;
type Asked = Pin<Box<dyn Future<Output = Result<Answer, LookupFailure>> + Send>>;

impl Resolver {
    /// A resolver that knows no names yet. Reads the system's files when it is first asked.
    pub fn new(config: ResolverConfig) -> Arc<Self> {
        let config = config.clamped();
        let (refresh, timeout) = (config.refresh, config.timeout);
        let dns = Arc::new(Dns::new(config));
        let ask = move |question: Question| -> Asked {
            let dns = Arc::clone(&dns);
            Box::pin(async move { dns.ask(&question).await })
        };
        Self::asking(refresh, timeout, ask)
    }

    fn asking(
        refresh: Duration,
        timeout: Duration,
        ask: impl Fn(Question) -> Asked + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            refresh,
            timeout,
            jitter: Jitter::new(0.1),
            ask: Box::new(ask),
            names: Mutex::default(),
            schedule: Mutex::new(Schedule::new()),
            wake: Notify::new(),
            changes: watch::Sender::new(0),
            counters: Counters::default(),
        })
    }

    /// The record of a name, kept current from now on for as long as the answer is held. Asks
    /// nobody and waits for nobody.
    pub fn watch(self: &Arc<Self>, question: &Question) -> Arc<WatchedName> {
        let mut names = self.names.lock();
        if let Some(known) = names.get(question).and_then(Weak::upgrade) {
            return known;
        }
        let name = WatchedName::new(Arc::clone(self), question.clone());
        names.insert(question.clone(), Arc::downgrade(&name));
        drop(names);
        self.counters.began();
        name.begin();
        name
    }

    /// Looks a name up once, now, for somebody who does not want to be told of changes.
    ///
    /// # Errors
    /// There is no answer, or nothing in it.
    pub async fn lookup(&self, question: &Question) -> Result<Arc<[Place]>, LookupFailure> {
        let answer = self.asked(question.clone()).await?;
        Ok(answer.places)
    }

    /// Looks names up when they are due. Endless: spawn it once, on any runtime with time and I/O;
    /// lookups under way end with it.
    pub async fn run(self: Arc<Self>) {
        let mut due = VecDeque::new();
        let mut lookups = JoinSet::new();
        loop {
            self.collect_due(&mut due);
            while lookups.try_join_next().is_some() {}
            while lookups.len() < LOOKUPS_AT_ONCE
                && let Some(name) = due.pop_front()
            {
                self.begin_lookup(&name, &mut lookups);
            }
            let next = self.schedule.lock().next_at();
            tokio::select! {
                () = self.wake.notified() => {}
                Some(_) = lookups.join_next() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// How often the addresses of any name have changed, and word of the next time.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Time between two lookups of a name.
    pub fn refresh(&self) -> Duration {
        self.refresh
    }

    /// What has been counted so far.
    pub fn stats(&self) -> NameStats {
        self.counters.read()
    }

    fn collect_due(&self, due: &mut VecDeque<Weak<WatchedName>>) {
        let now = Instant::now();
        loop {
            // The guard must be gone before the name's lock is taken.
            let popped = self.schedule.lock().pop_due(now);
            let Some((slot, name)) = popped else { return };
            if name.upgrade().is_some_and(|name| name.is_due(slot)) {
                due.push_back(name);
            }
        }
    }

    fn begin_lookup(self: &Arc<Self>, name: &Weak<WatchedName>, lookups: &mut JoinSet<()>) {
        let Some(question) = name.upgrade().map(|name| name.start()) else {
            return;
        };
        let (me, name) = (Arc::clone(self), Weak::clone(name));
        lookups.spawn(async move {
            let answer = me.asked(question).await;
            if let Some(name) = name.upgrade() {
                name.take_in(answer);
            }
        });
    }

    async fn asked(&self, question: Question) -> Result<Answer, LookupFailure> {
        let answer = timeout(self.timeout, (self.ask)(question)).await;
        let answer = answer.unwrap_or(Err(LookupFailure::Timeout(self.timeout)));
        self.counters.asked(&answer);
        answer
    }

    fn plan(&self, at: Instant, name: Weak<WatchedName>) -> Slot {
        let mut schedule = self.schedule.lock();
        let slot = schedule.insert(at, name);
        if schedule.next_at() == Some(at) {
            self.wake.notify_one();
        }
        slot
    }

    fn cancel(&self, slot: Slot) {
        self.schedule.lock().cancel(slot);
    }

    fn announce(&self) {
        self.counters.changed();
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Removes a name that nobody holds, unless it is being watched anew already.
    fn forget(&self, question: &Question) {
        let mut names = self.names.lock();
        if names
            .get(question)
            .is_some_and(|name| name.strong_count() == 0)
        {
            names.remove(question);
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("refresh", &self.refresh)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A server of names has others to answer, and ten thousand names are asked for at a start.
const LOOKUPS_AT_ONCE: usize = 32;
/// Until a name is looked up again that is in doubt; doubling up to the ordinary pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
