//! Tells Alertmanager and webhooks of tenants that are not well, and when they are again.
//!
//! What counts is how tenants are, not what happened to them: an event only says whom to look at.
//! So nothing is missed when events are, a change that is undone at once is not told, and a
//! receiver that was away is told how things are when it is back. Decides nothing about health.

mod alert;
mod alertmanager;
mod ledger;
mod post;
mod webhook;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tenant_store::model::{Status, TenantId};
use tokio::{
    sync::{broadcast, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use self::{
    alert::{Alert, Firing},
    ledger::Ledger,
};
use crate::{
    config::{NotableCondition, NotifySettings, ReceiverConfig},
    control::Control,
    standing::{
        Condition, DeploymentHealth, EndpointCondition, Filter, HealthEvent, Standing, TenantHealth,
    },
    telemetry::NotificationCounts,
};

/// How often all tenants are looked at, whatever events say.
const ROUND: Duration = Duration::from_mins(1);
/// How soon changed settings are noticed.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Tenants asked for at a time.
const PAGE: usize = 1000;

/// Tells receivers, for good, under whatever settings are in force.
pub async fn run(control: Arc<Control>) {
    loop {
        let settings = control.settings();
        if settings.notify.receivers.is_empty() {
            tokio::time::sleep(LOOK_AROUND).await;
            continue;
        }
        let mut notifier = Notifier::new(
            control.standing().clone(),
            control.telemetry().notifications.clone(),
            settings.notify.clone(),
        );
        loop {
            notifier.wait().await;
            // Before anybody is told: what woke it may have happened under newer settings.
            let fresh = control.settings();
            if fresh.notify.receivers.is_empty() {
                break;
            }
            notifier.take_in(&fresh.notify);
            notifier.look();
        }
    }
}

/// Watches tenants, and keeps a task for each receiver.
struct Notifier {
    standing: Arc<Standing>,
    counts: NotificationCounts,
    settings: NotifySettings,
    feed: broadcast::Receiver<Arc<HealthEvent>>,
    /// Who is to be looked at, and when.
    pending: BTreeMap<TenantId, Instant>,
    next_round: Instant,
    ledger: Ledger,
    firing: watch::Sender<Arc<Firing>>,
    receivers: Vec<Told>,
}

/// A receiver and the task that tells it.
struct Told {
    config: ReceiverConfig,
    task: JoinHandle<()>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Notifier {
    fn new(standing: Arc<Standing>, counts: NotificationCounts, settings: NotifySettings) -> Self {
        let mut notifier = Self {
            feed: standing.feed(),
            standing,
            counts,
            pending: BTreeMap::new(),
            next_round: Instant::now(),
            ledger: Ledger::default(),
            firing: watch::Sender::default(),
            receivers: Vec::new(),
            settings,
        };
        notifier.attend();
        notifier
    }

    /// Takes in changed settings. Receivers that stay keep in mind what they were told.
    fn take_in(&mut self, settings: &NotifySettings) {
        if self.settings == *settings {
            return;
        }
        self.settings = settings.clone();
        self.attend();
        self.next_round = Instant::now();
    }

    /// Has a task for each receiver there is to be.
    fn attend(&mut self) {
        let NotifySettings {
            receivers,
            interval,
            repeat,
            page_url,
            ..
        } = &self.settings;
        self.receivers.retain(|told| {
            let stays = receivers.contains(&told.config);
            stays && !told.task.is_finished()
        });
        for config in receivers {
            if self.receivers.iter().any(|told| told.config == *config) {
                continue;
            }
            let pace = post::Pace {
                interval: *interval,
                repeat: *repeat,
            };
            let task = tokio::spawn(post::tell(
                config.clone(),
                pace,
                page_url.clone(),
                self.firing.subscribe(),
                self.counts.clone(),
            ));
            self.receivers.push(Told {
                config: config.clone(),
                task,
            });
        }
    }

    /// Waits for something to look at, a moment at most.
    async fn wait(&mut self) {
        let now = Instant::now();
        let due = self.pending.values().copied().min();
        let wake = due.unwrap_or(self.next_round).min(self.next_round);
        tokio::select! {
            event = self.feed.recv() => match event {
                Ok(event) => self.note(event.tenant.clone()),
                Err(broadcast::error::RecvError::Lagged(_)) => self.next_round = now,
                // The router ends, and this task with it.
                Err(broadcast::error::RecvError::Closed) => sleep_until(now + LOOK_AROUND).await,
            },
            () = sleep_until(wake.min(now + LOOK_AROUND)) => {}
        }
    }

    /// Has a tenant looked at when it has had its time to recover.
    fn note(&mut self, tenant: TenantId) {
        let due = Instant::now() + self.settings.wait;
        self.pending.entry(tenant).or_insert(due);
    }

    /// Has everybody looked at who is not well, or was not.
    fn begin_round(&mut self, now: Instant) {
        self.next_round = now + ROUND;
        for tenant in self.ledger.tenants() {
            self.pending.entry(tenant.clone()).or_insert(now);
        }
        let mut filter = Filter {
            conditions: vec![Condition::Unhealthy, Condition::Degraded],
            limit: PAGE,
            ..Filter::default()
        };
        loop {
            let page = self.standing.overview(&filter);
            for summary in page.tenants {
                self.note(summary.tenant);
            }
            filter.after = page.next.and_then(|next| next.parse().ok());
            if filter.after.is_none() {
                return;
            }
        }
    }

    /// Looks at those whose time has come, and tells receivers of what is different.
    fn look(&mut self) {
        let now = Instant::now();
        if now >= self.next_round {
            self.begin_round(now);
        }
        let due: Vec<TenantId> = self
            .pending
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(tenant, _)| tenant.clone())
            .collect();
        let mut changed = false;
        for tenant in due {
            self.pending.remove(&tenant);
            let health = self.standing.tenant(&tenant);
            let alerts = health.map_or_else(Vec::new, |health| alerts(&health, &self.settings));
            changed |= self.ledger.set(tenant, alerts);
        }
        if changed {
            self.firing
                .send_replace(Arc::new(self.ledger.firing().clone()));
        }
    }
}

/// What of a tenant's health is to be told.
fn alerts(health: &TenantHealth, settings: &NotifySettings) -> Vec<Alert> {
    let is_told_of = settings.tiers.is_empty() || settings.tiers.contains(&health.tier);
    if health.status != Status::Active || health.maintenance.is_some() || !is_told_of {
        return Vec::new();
    }
    let notable = |condition| {
        settings.conditions.iter().any(|notable| match notable {
            NotableCondition::Unhealthy => condition == Condition::Unhealthy,
            NotableCondition::Degraded => condition == Condition::Degraded,
        })
    };
    let ill = health.deployments.iter();
    ill.filter(|(_, deployment)| notable(deployment.condition) && !is_as_wanted(deployment))
        .map(|(signal, deployment)| Alert::of(health, *signal, deployment, settings))
        .collect()
}

/// Whether all that is the matter is that an operator has drained endpoints: whoever did it knows.
fn is_as_wanted(deployment: &DeploymentHealth) -> bool {
    let mut endpoints = deployment.endpoints.iter();
    deployment.condition == Condition::Degraded
        && endpoints.all(|endpoint| {
            endpoint.condition.is_calm() || endpoint.condition == EndpointCondition::Draining
        })
}
