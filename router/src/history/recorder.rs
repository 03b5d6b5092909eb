//! Writes what is to be remembered: changes within a second or two, counts every so often.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tenant_store::{
    cache::TenantCache,
    history::{HistoryEntry, Horizon, NewEntry},
    model::TenantId,
    repository::RepositoryError,
};
use tokio::{
    sync::broadcast::error::RecvError,
    task::spawn_blocking,
    time::{self, Instant, MissedTickBehavior, interval, sleep},
};

use super::History;
use crate::{
    proxy::route::TenantRoute,
    standing::{HealthEvent, Standing},
    telemetry::Telemetry,
};

/// How often changes are written, if there are any.
const SOON: Duration = Duration::from_secs(1);

/// Between two tries, when the store fails.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// When what is too old is forgotten: a while after the start, and then how often.
const PRUNING: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// What history listens to.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Changes of health.
    pub standing: Arc<Standing>,
    /// Counts of requests.
    pub telemetry: Arc<Telemetry>,
    /// Who is in maintenance.
    pub tenants: Arc<TenantCache<TenantRoute>>,
}

impl History {
    /// Remembers for good.
    pub async fn run(self: Arc<Self>, sources: Sources) {
        tokio::join!(
            self.listen(&sources.standing),
            self.write_on(&sources),
            self.prune(),
            self.look_on(sources.tenants.clone(), sources.telemetry.clone()),
        );
    }

    /// Writes what is left, at the end. Bounded only by whoever waits for it.
    ///
    /// # Errors
    /// The store can't be written; what was left is lost.
    pub async fn finish(&self, sources: &Sources) -> Result<(), RepositoryError> {
        self.count(sources);
        self.write(true).await
    }

    /// Takes in every change since the process began.
    async fn listen(&self, standing: &Standing) {
        let mut since = standing.since_and_feed(0);
        let mut last = 0;
        loop {
            {
                let mut pending = self.pending.lock();
                for event in since.events.drain(..) {
                    if event.seq > last {
                        last = event.seq;
                        pending.change(self.entry(&event));
                    }
                }
            }
            match since.feed.recv().await {
                Ok(event) => since.events.push(event),
                Err(RecvError::Lagged(missed)) => {
                    since = standing.since_and_feed(last);
                    if !since.is_whole {
                        tracing::warn!(missed, "changes of health came too fast to be remembered");
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn entry(&self, event: &HealthEvent) -> NewEntry {
        NewEntry {
            tenant: event.tenant.clone(),
            entry: HistoryEntry {
                at: event.at,
                router: self.router.clone(),
                kind: event.kind.as_str().into(),
                signal: event.signal,
                endpoint: event.endpoint.clone(),
                from: event.from.clone(),
                to: event.to.clone(),
                cause: event.cause.as_str().into(),
                sentence: event.sentence.clone(),
            },
        }
    }

    async fn write_on(self: &Arc<Self>, sources: &Sources) {
        let mut tick = interval(SOON.min(self.config.write_interval));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counts_due = Instant::now() + self.config.write_interval;
        let mut pause = None;
        loop {
            tick.tick().await;
            let with_counts = Instant::now() >= counts_due;
            if with_counts {
                self.count_aside(sources).await;
                counts_due = Instant::now() + self.config.write_interval;
            } else if !self.pending.lock().has_changes() {
                continue;
            }
            match self.write(with_counts).await {
                Ok(()) if pause.take().is_some() => {
                    tracing::info!("history of health is written again");
                }
                Ok(()) => {}
                Err(error) => {
                    let (first, most) = PAUSES;
                    if pause.is_none() {
                        tracing::warn!(%error, "history of health waits to be written");
                    }
                    let wait = pause.map_or(first, |pause: Duration| (pause * 2).min(most));
                    pause = Some(wait);
                    self.wait_out(wait, sources).await;
                    // So that it goes on with what is due, and does not wait for it again.
                    counts_due = Instant::now();
                }
            }
        }
    }

    /// Waits, and goes on counting, so that what is counted is told by its time.
    async fn wait_out(self: &Arc<Self>, pause: Duration, sources: &Sources) {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            time::sleep_until(end.min(Instant::now() + self.config.write_interval)).await;
            self.count_aside(sources).await;
        }
    }

    /// As [`count`](Self::count), on a thread for what takes long: with a hundred thousand tenants it
    /// does, and look-ups that wait behind it here hold all of the store's connections.
    async fn count_aside(self: &Arc<Self>, sources: &Sources) {
        let (me, sources) = (Arc::clone(self), sources.clone());
        if let Err(error) = spawn_blocking(move || me.count(&sources)).await {
            tracing::error!(%error, "requests could not be counted");
        }
    }

    /// Takes in what the workers have counted, but for tenants whose backends are worked on.
    fn count(&self, sources: &Sources) {
        let fresh = sources.telemetry.fresh_service();
        let now = Timestamp::now();
        let counts = |tenant: &TenantId| {
            let entry = sources.tenants.held(tenant);
            let maintenance = entry.as_ref().and_then(|entry| entry.route().maintenance());
            !maintenance.is_some_and(|maintenance| maintenance.is_on(now))
        };
        self.pending.lock().count(fresh, now, counts);
    }

    /// Writes what waits, batch by batch.
    async fn write(&self, with_counts: bool) -> Result<(), RepositoryError> {
        let _turn = self.writing.lock().await;
        loop {
            let Some(batch) = self.pending.lock().next(self.writer, with_counts) else {
                return Ok(());
            };
            let most = self.config.max_changes_per_tenant;
            if let Err(error) = self.store.write(&batch, most).await {
                self.failed.fetch_add(1, Relaxed);
                return Err(error);
            }
            self.pending.lock().written(batch.number);
            self.written.fetch_add(1, Relaxed);
        }
    }

    async fn prune(&self) {
        let keep_for =
            SignedDuration::try_from(self.config.keep_for).unwrap_or(SignedDuration::MAX);
        let (mut pause, often) = PRUNING;
        loop {
            sleep(std::mem::replace(&mut pause, often)).await;
            loop {
                let now = Timestamp::now();
                let changes = now.saturating_sub(keep_for).unwrap_or(Timestamp::MIN);
                match self.store.prune(Horizon { changes, now }).await {
                    Ok(true) => sleep(SOON).await,
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(%error, "old history is forgotten later");
                        break;
                    }
                }
            }
        }
    }
}
