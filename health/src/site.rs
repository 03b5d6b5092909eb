//! Endpoints that share a port: who of them is probed next, when at the earliest, and what the
//! probe of one tells about the others.
//!
//! However many tenants share a backend, it is asked no more often than one of them asks. So one
//! probe goes to a port at a time, the endpoints there take turns, and what concerns them all is
//! told to all:
//!
//! * a good answer, except to those whose own probe failed otherwise than by a refused connection:
//!   only their own can settle that;
//! * a refused connection;
//! * silence, or an answer that isn't HTTP, once a second endpoint met with it.
//!
//! An unexpected status or body and a failed TLS handshake concern only the endpoint itself.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    deep::{DeepCheck, DeepReport},
    endpoint::EndpointHealth,
    probe::ProbeFailure,
    schedule::Slot,
    snapshot::ProbeSnapshot,
    target::ByIdentity,
};

/// The endpoints on one port, if there are several.
#[derive(Debug, Default)]
pub(crate) struct Site {
    members: Mutex<HashMap<ByIdentity, Weak<EndpointHealth>>>,
    turns: Mutex<Turns<Weak<EndpointHealth>>>,
    looked: Mutex<Vec<Looked>>,
}

/// The last deep check of those who expect the same.
#[derive(Debug)]
struct Looked {
    check: Arc<DeepCheck>,
    at: Instant,
    report: Option<DeepReport>,
}

/// Who is to look more closely.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// Whoever asked.
    Yours,
    /// A neighbour did, or is at it; what was found last, if anything was.
    Settled(Option<DeepReport>),
}

impl Site {
    pub(crate) fn get(&self, key: &ByIdentity) -> Option<Arc<EndpointHealth>> {
        self.members.lock().get(key).and_then(Weak::upgrade)
    }

    /// Whose it is to look more closely now: nobody's if somebody who expects the same did within
    /// the last interval.
    pub(crate) fn claim_look(&self, check: &Arc<DeepCheck>, now: Instant) -> Claim {
        let mut looked = self.looked.lock();
        looked.retain(|last| now < last.at + last.check.interval() * 2);
        let same = looked.iter_mut().find(|last| last.check.expects_as(check));
        match same {
            Some(last) if now < last.at + check.interval() => Claim::Settled(last.report.clone()),
            Some(last) => {
                last.at = now;
                Claim::Yours
            }
            None => {
                looked.push(Looked {
                    check: Arc::clone(check),
                    at: now,
                    report: None,
                });
                Claim::Yours
            }
        }
    }

    pub(crate) fn looked(&self, check: &DeepCheck, report: &DeepReport) {
        let mut looked = self.looked.lock();
        let same = looked.iter_mut().find(|last| last.check.expects_as(check));
        if let Some(last) = same {
            last.report = Some(report.clone());
        }
    }

    /// Takes in an endpoint; tells whether it replaces an equal one, which nobody holds any more.
    pub(crate) fn join(&self, key: ByIdentity, health: &Arc<EndpointHealth>) -> bool {
        let mut members = self.members.lock();
        // The entry's key is that of the target before, and would stay.
        let replaced = members.remove(&key).is_some();
        members.insert(key, Arc::downgrade(health));
        replaced
    }

    /// Removes an endpoint that nobody holds; tells whether it was there, and whether any is left.
    pub(crate) fn leave(&self, key: &ByIdentity) -> (bool, bool) {
        let mut members = self.members.lock();
        let unheld = members
            .get(key)
            .is_some_and(|health| health.strong_count() == 0);
        if unheld {
            members.remove(key);
        }
        (unheld, !members.is_empty())
    }

    pub(crate) fn members(&self) -> Vec<Arc<EndpointHealth>> {
        let members = self.members.lock();
        members.values().filter_map(Weak::upgrade).collect()
    }

    /// The latest good answer, if nothing worse followed.
    pub(crate) fn last_good(&self) -> Option<ProbeSnapshot> {
        self.turns.lock().last_good.clone()
    }

    /// Tells everybody but `from` what its probe says about them.
    pub(crate) fn share(
        &self,
        from: &EndpointHealth,
        result: &Result<(), ProbeFailure>,
        snapshot: &ProbeSnapshot,
    ) {
        let told = self.turns.lock().learn(id(from), result, snapshot);
        let Some(told) = told else { return };
        for member in self.members() {
            if !std::ptr::eq(&raw const *member, from) {
                member.hear(&told, snapshot);
            }
        }
    }

    /// Begins with what is known of the endpoint that was alone until now: its last probe, and
    /// whether one is under way.
    pub(crate) fn begin(&self, (last_probe, under_way): (Option<ProbeSnapshot>, bool)) {
        let mut turns = self.turns.lock();
        let asked = under_way || last_probe.is_some();
        turns.last_start = asked.then(Instant::now);
        turns.last_good = last_probe.filter(|probe| probe.ok);
    }

    pub(crate) fn turns(&self) -> &Mutex<Turns<Weak<EndpointHealth>>> {
        &self.turns
    }
}

fn id(health: &EndpointHealth) -> usize {
    std::ptr::from_ref(health).addr()
}

/// What the probe of one endpoint says about another on the same port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The port answers.
    Alive {
        /// And it didn't before.
        recovered: bool,
    },
    /// Nobody gets an answer there.
    Dead(ProbeFailure),
}

/// Whose turn it is, and what is known. Times are the caller's.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    urgent: VecDeque<T>,
    waiting: VecDeque<T>,
    /// When the next turn was planned for.
    pub(crate) planned: Option<Slot>,
    taken: bool,
    last_start: Option<Instant>,
    /// Who met with silence, if nobody has confirmed it yet.
    doubted_by: Option<usize>,
    dead: bool,
    last_good: Option<ProbeSnapshot>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            urgent: VecDeque::new(),
            waiting: VecDeque::new(),
            planned: None,
            taken: false,
            last_start: None,
            doubted_by: None,
            dead: false,
            last_good: None,
        }
    }
}

/// What one who waits for its turn says when asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Time from the last probe to its own, in its present state.
    pub(crate) now: Duration,
    /// The same where there is a doubt.
    pub(crate) in_doubt: Duration,
    /// Which endpoint it is.
    pub(crate) id: usize,
}

/// What a turn comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn<T> {
    /// Nobody waits, or somebody is at it, after which there will be another turn.
    Nobody,
    /// It is too early.
    Not(Instant),
    /// This one is to be probed.
    Of(T),
}

impl<T> Turns<T> {
    pub(crate) fn enqueue(&mut self, item: T, urgent: bool) {
        if urgent {
            self.urgent.push_back(item);
        } else {
            self.waiting.push_back(item);
        }
    }

    /// Gives the turn to whoever has waited longest, the urgent first. `pace` tells nothing of
    /// those who don't wait any more.
    pub(crate) fn next(&mut self, now: Instant, pace: impl Fn(&T) -> Option<Pace>) -> Turn<T> {
        if self.taken {
            return Turn::Nobody;
        }
        let doubter = self.doubted_by;
        // Another opinion is worth more than the same one again, if there is one.
        let found = self.take(&pace, doubter).or_else(|| self.take(&pace, None));
        let Some((item, told, urgent)) = found else {
            return Turn::Nobody;
        };
        let gap = if doubter.is_some() {
            told.in_doubt
        } else {
            told.now
        };
        match self.last_start.map(|last| last + gap) {
            Some(at) if at > now => {
                let queue = if urgent {
                    &mut self.urgent
                } else {
                    &mut self.waiting
                };
                queue.push_front(item);
                Turn::Not(at)
            }
            _ => {
                self.taken = true;
                Turn::Of(item)
            }
        }
    }

    /// The first that waits and isn't `skipped`, its pace, and whether it is urgent.
    fn take(
        &mut self,
        pace: &impl Fn(&T) -> Option<Pace>,
        skipped: Option<usize>,
    ) -> Option<(T, Pace, bool)> {
        for (queue, urgent) in [(&mut self.urgent, true), (&mut self.waiting, false)] {
            let mut position = 0;
            while let Some(item) = queue.get(position) {
                match pace(item) {
                    None => drop(queue.remove(position)),
                    Some(told) if Some(told.id) == skipped => position += 1,
                    Some(told) => return Some((queue.remove(position)?, told, urgent)),
                }
            }
        }
        None
    }

    /// Whether whoever has the turn is still at it.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    /// The probe of whoever has the turn begins.
    pub(crate) fn start(&mut self, now: Instant) {
        self.last_start = Some(now);
    }

    /// The turn is over.
    pub(crate) fn end(&mut self) {
        self.taken = false;
    }

    fn learn(
        &mut self,
        from: usize,
        result: &Result<(), ProbeFailure>,
        snapshot: &ProbeSnapshot,
    ) -> Option<Told> {
        let doubted_by = self.doubted_by.take();
        self.last_good = result.is_ok().then(|| snapshot.clone());
        match result {
            Ok(()) => {
                let recovered = std::mem::take(&mut self.dead);
                Some(Told::Alive { recovered })
            }
            Err(failure @ ProbeFailure::Connect(_)) => {
                self.dead = true;
                Some(Told::Dead(failure.clone()))
            }
            Err(failure @ (ProbeFailure::Timeout(_) | ProbeFailure::Broken(_))) => {
                if self.dead || doubted_by.is_some_and(|id| id != from) {
                    self.dead = true;
                    return Some(Told::Dead(failure.clone()));
                }
                self.doubted_by = Some(from);
                None
            }
            Err(
                ProbeFailure::Body(_)
                | ProbeFailure::Redirected
                | ProbeFailure::Status(_)
                | ProbeFailure::Tls(_),
            ) => None,
        }
    }
}

#[cfg(test)]
mod tests;
