//! One name as everybody shares it: what was last answered, and when it is asked again.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    FIRST_PAUSE, Resolver,
    answer::{Answer, Known, Place},
    lookup::LookupFailure,
    question::Question,
    stats::Standing,
};
use crate::{jitter::noise, schedule::Slot};

/// A name that is looked up for as long as somebody holds it.
pub struct WatchedName {
    question: Question,
    resolver: Arc<Resolver>,
    me: Weak<Self>,
    /// As in the core, for those who only want to know whether they are behind.
    version: AtomicU64,
    core: Mutex<Core>,
}

/// A name's addresses at one moment, for people.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameSnapshot {
    /// The name; that of a service begins with `srv+`.
    pub name: String,
    /// How many addresses are known.
    pub addresses: usize,
    /// How many more there are than can be used.
    pub left_out: usize,
    /// When it was last answered; not there before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<String>, format = DateTime, nullable = false)
    )]
    pub resolved_at: Option<Timestamp>,
    /// Since when it is not answered, if it isn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<String>, format = DateTime, nullable = false)
    )]
    pub failing_since: Option<Timestamp>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub error: Option<String>,
}

#[derive(Debug)]
struct Core {
    version: u64,
    places: Arc<[Place]>,
    left_out: usize,
    resolved_at: Option<Timestamp>,
    /// Boxed, as most names are answered.
    failing: Option<Box<Failing>>,
    plan: Plan,
    /// Until it is asked again after the next answer, unless that says otherwise.
    pause: Duration,
    asked_at: Option<Instant>,
}

#[derive(Debug)]
struct Failing {
    since: Timestamp,
    failure: LookupFailure,
}

/// Where a name stands with the schedule; it is never in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Scheduled(Slot),
    /// Due, or being asked for.
    Asking,
}

impl WatchedName {
    /// What is asked for.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Another number after each change of its addresses. One atomic load.
    pub fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// What was last answered.
    pub fn known(&self) -> Known {
        let core = self.core.lock();
        Known {
            version: core.version,
            places: Arc::clone(&core.places),
            left_out: core.left_out,
        }
    }

    /// For people: how it is, and since when.
    pub fn snapshot(&self) -> NameSnapshot {
        let core = self.core.lock();
        let failing = core.failing.as_deref();
        NameSnapshot {
            name: self.question.to_string(),
            addresses: core.places.len(),
            left_out: core.left_out,
            resolved_at: core.resolved_at,
            failing_since: failing.map(|failing| failing.since),
            error: failing.map(|failing| failing.failure.to_string()),
        }
    }

    /// Something at one of its addresses has failed: it is looked up now, but at most once a
    /// second, and again a little later, as names follow what happens with a delay.
    pub fn doubt(&self) {
        let mut core = self.core.lock();
        core.pause = FIRST_PAUSE;
        if let Plan::Scheduled(slot) = core.plan {
            let now = Instant::now();
            let allowed = core.asked_at.map_or(now, |at| (at + FIRST_PAUSE).max(now));
            self.resolver.cancel(slot);
            core.plan = Plan::Scheduled(self.resolver.plan(allowed, Weak::clone(&self.me)));
        }
    }

    pub(super) fn new(resolver: Arc<Resolver>, question: Question) -> Arc<Self> {
        let core = Core {
            version: 0,
            places: [].into(),
            left_out: 0,
            resolved_at: None,
            failing: None,
            plan: Plan::Asking,
            pause: FIRST_PAUSE,
            asked_at: None,
        };
        Arc::new_cyclic(|me| Self {
            question,
            resolver,
            me: Weak::clone(me),
            version: AtomicU64::new(0),
            core: Mutex::new(core),
        })
    }

    /// Plans the first lookup.
    pub(super) fn begin(&self) {
        // Locked first: once planned, it may be due.
        let mut core = self.core.lock();
        let slot = self.resolver.plan(Instant::now(), Weak::clone(&self.me));
        core.plan = Plan::Scheduled(slot);
    }

    /// The schedule says that its time has come; whether that is still so.
    pub(super) fn is_due(&self, slot: Slot) -> bool {
        let mut core = self.core.lock();
        let is_due = core.plan == Plan::Scheduled(slot);
        if is_due {
            core.plan = Plan::Asking;
        }
        is_due
    }

    /// It is being asked for from now on.
    pub(super) fn start(&self) -> Question {
        self.core.lock().asked_at = Some(Instant::now());
        self.question.clone()
    }

    /// Takes in what was answered, and plans the next lookup.
    pub(super) fn take_in(&self, answer: Result<Answer, LookupFailure>) {
        let mut core = self.core.lock();
        let before = core.standing();
        let changed = match answer {
            Ok(answer) => self.answered(&mut core, answer),
            Err(failure) => {
                self.failed(&mut core, failure);
                false
            }
        };
        self.resolver.counters.moved(before, core.standing());
        let refresh = self.resolver.refresh;
        let jitter = self.resolver.jitter;
        // The first time anywhere within, so that what was asked together is not asked together
        // again.
        let first = changed && core.version == 1;
        let pause = if first {
            jitter.within(refresh, noise()).max(FIRST_PAUSE)
        } else {
            jitter.around(core.pause, noise())
        };
        core.pause = (core.pause * 2).min(refresh);
        let at = Instant::now() + pause;
        core.plan = Plan::Scheduled(self.resolver.plan(at, Weak::clone(&self.me)));
        drop(core);
        if changed {
            self.resolver.announce();
        }
    }

    /// Whether it says something new.
    fn answered(&self, core: &mut Core, answer: Answer) -> bool {
        let name = &self.question;
        core.resolved_at = Some(Timestamp::now());
        if let Some(failing) = core.failing.take() {
            core.pause = self.resolver.refresh;
            let since = failing.since;
            info!(%name, failing_since = %since, "name is resolved again");
        } else if core.version == 0 {
            core.pause = self.resolver.refresh;
        }
        if core.left_out != answer.left_out && answer.left_out > 0 {
            let (used, left_out) = (answer.places.len(), answer.left_out);
            warn!(%name, used, left_out, "name has more addresses than are used");
        }
        core.left_out = answer.left_out;
        if core.places == answer.places {
            return false;
        }
        let (from, to) = (listed(&core.places), listed(&answer.places));
        if core.version > 0 {
            info!(%name, from, to, "name has other addresses");
        } else {
            tracing::debug!(%name, to, "name is resolved");
        }
        core.places = answer.places;
        core.version += 1;
        self.version.store(core.version, Release);
        true
    }

    fn failed(&self, core: &mut Core, failure: LookupFailure) {
        if let Some(failing) = &mut core.failing {
            failing.failure = failure;
            return;
        }
        let (name, kept) = (&self.question, core.places.len());
        warn!(%name, error = %failure, kept, "name can't be resolved, what is known of it stays");
        core.pause = FIRST_PAUSE;
        core.failing = Some(Box::new(Failing {
            since: Timestamp::now(),
            failure,
        }));
    }
}

impl Core {
    fn standing(&self) -> Standing {
        match (&self.failing, self.version) {
            (_, 0) => Standing::Unresolved,
            (Some(_), _) => Standing::Kept,
            (None, _) => Standing::Resolved,
        }
    }
}

impl Drop for WatchedName {
    fn drop(&mut self) {
        let core = self.core.get_mut();
        if let Plan::Scheduled(slot) = core.plan {
            self.resolver.cancel(slot);
        }
        self.resolver.counters.ended(core.standing());
        self.resolver.forget(&self.question);
    }
}

impl fmt::Debug for WatchedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedName")
            .field("question", &self.question)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

/// The first few, and how many there are.
fn listed(places: &[Place]) -> String {
    let shown = places
        .iter()
        .take(LISTED)
        .map(|place| match &place.service {
            Some(target) => format!("{}:{} at {}", target.host, target.port, place.address),
            None => place.address.to_string(),
        });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

const LISTED: usize = 8;
