//! What was last told of a tenant that is not simply well.

use std::sync::Arc;

use health::Finding;
use jiff::Timestamp;
use tenant_store::model::{Maintenance, Revision, Signal};

use super::{
    condition::{Condition, EndpointCondition},
    event::{Cause, News},
    news::{Teller, is_worth_telling, served},
    reread::Reread,
    sight::{self, Sight},
    view::{DeploymentHealth, EndpointView, TenantHealth},
};
use crate::proxy::route::TenantRoute;

/// What was last told of a tenant.
#[derive(Debug)]
pub(super) struct Record {
    /// The tenant as it was told; while it is in maintenance, as it was before; nothing of it while it
    /// is out of use.
    pub(super) revision: Revision,
    pub(super) condition: Condition,
    pub(super) since: Option<Timestamp>,
    deployments: Vec<KeptDeployment>,
    /// What is being done to it, and since when.
    pub(super) maintenance: Option<(Maintenance, Timestamp)>,
    /// What it is if it is out of use: since `since`, if that was seen.
    pub(super) out_of_use: Option<Condition>,
    pub(super) reread: Option<Reread>,
    /// The look at all tenants that found it last.
    pub(super) seen_in: u64,
}

#[derive(Debug)]
pub(super) struct KeptDeployment {
    signal: Signal,
    pub(super) condition: Condition,
    has_fault: bool,
    /// Nobody, if it is unhealthy.
    pub(super) served_by: Vec<String>,
    pub(super) endpoints: Vec<KeptEndpoint>,
}

#[derive(Debug, Clone)]
pub(super) struct KeptEndpoint {
    pub(super) name: Arc<str>,
    pub(super) condition: EndpointCondition,
    pub(super) findings: Vec<Finding>,
}

impl Record {
    /// What is held of a tenant nobody told anything of: that it is as it should be; or that it is out
    /// of use, if it was before this router knew it. Of many that nobody uses a start tells nothing.
    pub(super) fn new(route: &TenantRoute, revision: Revision) -> Self {
        let mut record = Self::ideal(route, revision);
        if let Some(condition) = sight::out_of_use(route)
            && !route.was_withdrawn_here()
        {
            record.hush(condition, None);
        }
        record
    }

    fn ideal(route: &TenantRoute, revision: Revision) -> Self {
        let deployments: Vec<_> = route
            .deployments()
            .map(|deployment| {
                let names = Sight::ideal(deployment).serving.names(deployment);
                let well = |name: &str| KeptEndpoint {
                    name: name.into(),
                    condition: EndpointCondition::Healthy,
                    findings: Vec::new(),
                };
                let endpoints = deployment.endpoints().iter();
                KeptDeployment {
                    signal: deployment.signal(),
                    condition: Condition::Healthy,
                    has_fault: false,
                    served_by: names.into_iter().map(Into::into).collect(),
                    endpoints: endpoints.map(|endpoint| well(endpoint.name())).collect(),
                }
            })
            .collect();
        Self {
            revision,
            condition: if deployments.is_empty() {
                Condition::Unknown
            } else {
                Condition::Healthy
            },
            since: None,
            deployments,
            maintenance: None,
            out_of_use: None,
            reread: None,
            seen_in: 0,
        }
    }

    /// Forgets what was told: nothing is until it is activated, and then all that is not well.
    fn hush(&mut self, condition: Condition, since: Option<Timestamp>) {
        self.out_of_use = Some(condition);
        self.since = since;
        self.maintenance = None;
        self.deployments = Vec::new();
    }

    /// What was last told of the tenant as a whole.
    pub(super) fn told(&self) -> Condition {
        match (self.out_of_use, &self.maintenance) {
            (Some(condition), _) => condition,
            (None, Some(_)) => Condition::Maintenance,
            (None, None) => self.condition,
        }
    }

    /// Whether nothing has changed since it was told. Atomic loads only.
    pub(super) fn still_holds(
        &self,
        route: &TenantRoute,
        revision: Revision,
        maintenance: Option<&Maintenance>,
    ) -> bool {
        let out_of_use = sight::out_of_use(route);
        if self.out_of_use.is_some() || out_of_use.is_some() {
            return self.out_of_use == out_of_use;
        }
        if self.maintenance.as_ref().map(|(told, _)| told) != maintenance {
            return false;
        }
        if maintenance.is_some() {
            return true; // nothing else is told meanwhile
        }
        self.revision == revision
            && route.deployments().count() == self.deployments.len()
            && route.deployments().all(|deployment| {
                let kept = self.of(deployment.signal());
                kept.is_some_and(|kept| {
                    let endpoints = deployment.endpoints();
                    kept.has_fault == deployment.fault().is_some()
                        && kept.endpoints.len() == endpoints.len()
                        && endpoints.iter().zip(&kept.endpoints).all(|(now, then)| {
                            let health = now.health();
                            now.name() == &*then.name
                                && EndpointCondition::of(health, now.is_draining())
                                    == then.condition
                                && health.findings().iter().eq(then.findings.iter().copied())
                        })
                })
            })
    }

    /// Takes in how the tenant is now, and answers what is new about it.
    pub(super) fn renew(
        &mut self,
        route: &TenantRoute,
        health: &TenantHealth,
        now: Timestamp,
    ) -> Vec<News> {
        let mut news = Teller {
            health,
            now,
            news: Vec::new(),
        };
        let told = self.told();
        if let Some(condition) = sight::out_of_use(route) {
            if self.out_of_use != Some(condition) {
                news.whole(told, Cause::CONFIG);
                self.hush(condition, Some(now));
            }
            return news.news;
        }
        let is_back = self.out_of_use.is_some();
        if is_back {
            *self = Self {
                seen_in: self.seen_in,
                ..Self::ideal(route, health.revision)
            };
        }
        if !self.renew_maintenance(told, &mut news) {
            return news.news; // what happens meanwhile is told at its end, if it lasts
        }
        let same_document = self.revision == health.revision && !is_back;
        let mut worst: Option<(Condition, Cause)> = None;
        for (signal, deployment) in &health.deployments {
            let told = news.deployment(*signal, deployment, self.of(*signal), same_document);
            let found = told.map(|cause| (deployment.condition, cause));
            let is_worse = |(condition, _)| worst.is_none_or(|(worst, _)| condition > worst);
            worst = found.filter(|found| is_worse(*found)).or(worst);
        }
        if is_back || is_worth_telling(self.condition, health.condition) {
            let from = if is_back { told } else { self.condition };
            news.whole(from, worst.map_or(Cause::CONFIG, |(_, cause)| cause));
        }
        if is_back || self.condition != health.condition {
            self.since = Some(now);
        }
        self.condition = health.condition;
        self.revision = health.revision;
        self.deployments = health.deployments.iter().map(kept).collect();
        news.news
    }

    /// Tells the begin and end of maintenance of a tenant of which `told` was told; false while it
    /// goes on.
    fn renew_maintenance(&mut self, told: Condition, news: &mut Teller<'_>) -> bool {
        let health = news.health;
        match (&self.maintenance, &health.maintenance) {
            (None, None) => true,
            (None, Some(begun)) => {
                news.maintenance(told, health.sentence.clone());
                self.maintenance = Some((begun.clone(), news.now));
                false
            }
            (Some((_, since)), Some(changed)) => {
                self.maintenance = Some((changed.clone(), *since));
                false
            }
            (Some((ended, _)), None) => {
                let sentence = format!("maintenance is over: {}", ended.reason);
                news.maintenance(told, sentence);
                self.maintenance = None;
                true
            }
        }
    }

    fn of(&self, signal: Signal) -> Option<&KeptDeployment> {
        self.deployments.iter().find(|kept| kept.signal == signal)
    }
}

fn kept((signal, deployment): (&Signal, &DeploymentHealth)) -> KeptDeployment {
    let kept = |endpoint: &EndpointView| KeptEndpoint {
        name: endpoint.health.endpoint.clone(),
        condition: endpoint.condition,
        findings: endpoint.findings.clone(),
    };
    KeptDeployment {
        signal: *signal,
        condition: deployment.condition,
        has_fault: deployment.fault.is_some(),
        served_by: served(deployment).to_vec(),
        endpoints: deployment.endpoints.iter().map(kept).collect(),
    }
}
