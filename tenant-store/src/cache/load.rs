//! Reading one tenant from the store, once however many wait for it.
//!
//! A load runs as a task of its own: it outlives a caller who goes away, and its caller may live
//! on any runtime.

use std::{mem, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout},
};

use super::{
    TenantCache,
    entry::Entry,
    merge::{Held, Word},
};
use crate::{model::TenantId, repository::RepositoryError};

/// Loads that may wait for the store or run at one time, so that a hanging store and a flood of
/// ids together can't fill the memory.
const FLIGHTS_MAX: usize = 10_000;

/// What a load asks of the store, in its errors.
const ACTION: &str = "read a tenant";

/// Why a tenant could not be looked up. Says nothing on whether it exists.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The store failed or did not answer in time.
    #[error("tenant {id} could not be looked up: {source}")]
    Store {
        /// Which tenant.
        id: TenantId,
        /// What the store said.
        #[source]
        source: Arc<RepositoryError>,
    },
    /// The load ended without an answer: the process is stopping, or a bug ended the task.
    #[error("the look-up of tenant {id} was broken off; try again")]
    Interrupted {
        /// Which tenant.
        id: TenantId,
    },
    /// Too many ids are being looked up already.
    #[error("tenant {id} was not looked up: {waiting} look-ups wait for the store already")]
    Overloaded {
        /// Which tenant.
        id: TenantId,
        /// How many wait.
        waiting: usize,
    },
}

type Answer<R> = Result<Option<Arc<Entry<R>>>, LookupError>;
type Sender<R> = watch::Sender<Option<Answer<R>>>;

/// An answer that is on its way.
pub(super) type Awaited<R> = watch::Receiver<Option<Answer<R>>>;

/// A load that has not landed yet.
pub(super) struct Flight<R> {
    answer: Awaited<R>,
    /// Set if somebody needs a read that begins after now.
    again: Option<Sender<R>>,
    /// Whether something was announced since the current read began.
    pub(super) overtaken: bool,
}

impl<R: Send + Sync + 'static> TenantCache<R> {
    /// Joins the load in flight for `id` or starts one; answers at once if it has just landed.
    pub(super) fn join(self: &Arc<Self>, id: &TenantId) -> Result<Awaited<R>, LookupError> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get(id) {
            return Ok(flight.answer.clone());
        }
        // A flight is removed after its answer is taken in, so whoever missed both was between.
        if let Some(answer) = self.peek(id) {
            return Ok(watch::channel(Some(Ok(answer))).1);
        }
        let waiting = flights.len();
        if waiting >= FLIGHTS_MAX {
            let id = id.clone();
            return Err(LookupError::Overloaded { id, waiting });
        }
        let (answer, awaited) = take_off(&mut flights, id);
        drop(flights);
        self.launch(id, answer, None);
        Ok(awaited)
    }

    /// Reads `id` anew: what is in flight already may have read too early. Keeps `turn` until then.
    pub(super) fn reload(
        self: &Arc<Self>,
        id: &TenantId,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Result<Awaited<R>, LookupError> {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.get_mut(id) {
            let again = flight.again.get_or_insert_with(|| watch::channel(None).0);
            return Ok(again.subscribe());
        }
        let waiting = flights.len();
        if waiting >= FLIGHTS_MAX {
            let id = id.clone();
            return Err(LookupError::Overloaded { id, waiting });
        }
        let (answer, awaited) = take_off(&mut flights, id);
        drop(flights);
        self.launch(id, answer, turn);
        Ok(awaited)
    }

    /// Spawned without the lock: a runtime that is shutting down drops the task on the spot, and
    /// with it the guard, which takes the lock.
    fn launch(
        self: &Arc<Self>,
        id: &TenantId,
        answer: Sender<R>,
        turn: Option<OwnedSemaphorePermit>,
    ) {
        let flight = InFlight {
            cache: Arc::clone(self),
            id: id.clone(),
            answer,
            _turn: turn,
        };
        self.runtime.spawn(flight.fly());
    }

    async fn load(&self, id: &TenantId) -> Answer<R> {
        let limit = self.config.load_timeout;
        let deadline = Instant::now() + limit;
        match self.bounded(ACTION, limit, self.read(id, deadline)).await {
            Ok(held) => {
                self.counters.load_succeeded();
                Ok(held)
            }
            Err(source) => {
                self.counters.load_failed(&source);
                let id = id.clone();
                let source = Arc::new(source);
                Err(LookupError::Store { id, source })
            }
        }
    }

    async fn read(
        &self,
        id: &TenantId,
        deadline: Instant,
    ) -> Result<Option<Arc<Entry<R>>>, RepositoryError> {
        let _permit = self.loads.acquire().await;
        // Whoever's turn comes when it is too late leaves a struggling store alone.
        if Instant::now() >= deadline {
            return Err(self.no_answer(ACTION, self.config.load_timeout));
        }
        loop {
            if let Some(flight) = self.flights.lock().get_mut(id) {
                flight.overtaken = false;
            }
            let read_at = self.clock.now();
            let record = self.repository.get(id).await?;
            match self.merge(id, Word::Loaded(record.as_ref()), read_at) {
                Held::Tenant(entry) => return Ok(Some(entry)),
                Held::NoSuchTenant => return Ok(None),
                Held::Overtaken => {}
            }
        }
    }

    /// `call`, or `Unavailable` after `limit`.
    pub(super) async fn bounded<T>(
        &self,
        action: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        match timeout(limit, call).await {
            Ok(result) => result,
            Err(_elapsed) => Err(self.no_answer(action, limit)),
        }
    }

    fn no_answer(&self, action: &'static str, limit: Duration) -> RepositoryError {
        RepositoryError::Unavailable {
            kind: self.repository.kind(),
            action,
            source: format!("no answer within {limit:?}").into(),
        }
    }
}

/// The answer, once it is there.
pub(super) async fn landed<R>(id: &TenantId, mut awaited: Awaited<R>) -> Answer<R> {
    let interrupted = || LookupError::Interrupted { id: id.clone() };
    match awaited.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or_else(|| Err(interrupted())),
        Err(_closed) => Err(interrupted()),
    }
}

fn take_off<R>(flights: &mut super::Flights<R>, id: &TenantId) -> (Sender<R>, Awaited<R>) {
    let (answer, awaited) = watch::channel(None);
    let flight = Flight {
        answer: awaited.clone(),
        again: None,
        overtaken: false,
    };
    flights.insert(id.clone(), flight);
    (answer, awaited)
}

/// Clears the way for the next load, however this one ends.
struct InFlight<R: Send + Sync + 'static> {
    cache: Arc<TenantCache<R>>,
    id: TenantId,
    answer: Sender<R>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl<R: Send + Sync + 'static> InFlight<R> {
    async fn fly(mut self) {
        loop {
            let answer = self.cache.load(&self.id).await;
            let Some(next) = self.land() else {
                self.answer.send_replace(Some(answer));
                return;
            };
            mem::replace(&mut self.answer, next).send_replace(Some(answer));
        }
    }

    /// Ends the flight, or begins its next round if somebody needs one.
    fn land(&self) -> Option<Sender<R>> {
        let mut flights = self.cache.flights.lock();
        let flight = flights.get_mut(&self.id)?;
        let again = flight.again.take();
        match &again {
            Some(next) => flight.answer = next.subscribe(),
            None => {
                flights.remove(&self.id);
            }
        }
        again
    }
}

impl<R: Send + Sync + 'static> Drop for InFlight<R> {
    fn drop(&mut self) {
        // After landing, another flight may have begun already. What is still ours was left by a
        // panic or a runtime that stopped; those who wait for it see its channel close.
        let mut flights = self.cache.flights.lock();
        let own = self.answer.subscribe();
        if flights
            .get(&self.id)
            .is_some_and(|flight| flight.answer.same_channel(&own))
        {
            flights.remove(&self.id);
        }
    }
}
