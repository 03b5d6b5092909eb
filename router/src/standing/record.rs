//! What was last told of a tenant that is not simply well, and what is new against it.
//!
//! Pure: a view goes in, news come out.

use std::{sync::Arc, time::Duration};

use health::Finding;
use jiff::Timestamp;
use tenant_store::model::{Maintenance, Revision, Signal};
use tokio::time::Instant;

use super::{
    condition::{Condition, EndpointCondition},
    event::{Cause, Kind, News},
    sentence,
    sight::Sight,
    view::{DeploymentHealth, EndpointView, TenantHealth},
};
use crate::proxy::route::TenantRoute;

/// What was last told of a tenant.
#[derive(Debug)]
pub(super) struct Record {
    /// The tenant as it was told; while it is in maintenance, as it was before.
    pub(super) revision: Revision,
    pub(super) condition: Condition,
    pub(super) since: Option<Timestamp>,
    deployments: Vec<KeptDeployment>,
    /// What is being done to it, and since when.
    pub(super) maintenance: Option<(Maintenance, Timestamp)>,
    pub(super) reread: Option<Reread>,
    /// The look at all tenants that found it last.
    pub(super) seen_in: u64,
}

#[derive(Debug)]
struct KeptDeployment {
    signal: Signal,
    condition: Condition,
    has_fault: bool,
    served_by: Vec<String>,
    endpoints: Vec<KeptEndpoint>,
}

#[derive(Debug, Clone)]
struct KeptEndpoint {
    name: Arc<str>,
    condition: EndpointCondition,
    findings: Vec<Finding>,
}

impl Record {
    /// What is held of a tenant nobody told anything of: that it is as it should be.
    pub(super) fn ideal(route: &TenantRoute, revision: Revision) -> Self {
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
            condition: match deployments.is_empty() {
                true => Condition::Unknown,
                false => Condition::Healthy,
            },
            since: None,
            deployments,
            maintenance: None,
            reread: None,
            seen_in: 0,
        }
    }

    /// Whether nothing has changed since it was told. Atomic loads only.
    pub(super) fn still_holds(
        &self,
        route: &TenantRoute,
        revision: Revision,
        maintenance: Option<&Maintenance>,
    ) -> bool {
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
                            EndpointCondition::of(health, now.is_draining()) == then.condition
                                && health.findings().iter().eq(then.findings.iter().copied())
                        })
                })
            })
    }

    /// Takes in how the tenant is now, and answers what is new about it.
    pub(super) fn renew(&mut self, health: &TenantHealth, now: Timestamp) -> Vec<News> {
        let mut news = Teller {
            health,
            now,
            news: Vec::new(),
        };
        if !self.renew_maintenance(&mut news) {
            return news.news; // what happens meanwhile is told at its end, if it lasts
        }
        let same_document = self.revision == health.revision;
        let mut worst: Option<(Condition, Cause)> = None;
        for (signal, deployment) in &health.deployments {
            let told = news.deployment(*signal, deployment, self.of(*signal), same_document);
            let found = told.map(|cause| (deployment.condition, cause));
            let is_worse = |(condition, _)| worst.is_none_or(|(worst, _)| condition > worst);
            worst = found.filter(|found| is_worse(*found)).or(worst);
        }
        if is_worth_telling(self.condition, health.condition) {
            news.tenant(
                Kind::Tenant,
                self.condition.as_str(),
                health.condition.as_str(),
                worst.map_or(Cause::CONFIG, |(_, cause)| cause),
                health.sentence.clone(),
            );
        }
        if self.condition != health.condition {
            self.since = Some(now);
        }
        self.condition = health.condition;
        self.revision = health.revision;
        self.deployments = health.deployments.iter().map(kept).collect();
        news.news
    }

    /// Tells the begin and end of maintenance; false while it goes on.
    fn renew_maintenance(&mut self, news: &mut Teller<'_>) -> bool {
        let health = news.health;
        match (&self.maintenance, &health.maintenance) {
            (None, None) => true,
            (None, Some(begun)) => {
                news.tenant(
                    Kind::Maintenance,
                    self.condition.as_str(),
                    Condition::Maintenance.as_str(),
                    Cause::MAINTENANCE,
                    health.sentence.clone(),
                );
                self.maintenance = Some((begun.clone(), news.now));
                false
            }
            (Some((_, since)), Some(changed)) => {
                self.maintenance = Some((changed.clone(), *since));
                false
            }
            (Some((ended, _)), None) => {
                let sentence = format!("maintenance is over: {}", ended.reason);
                news.tenant(
                    Kind::Maintenance,
                    Condition::Maintenance.as_str(),
                    health.condition.as_str(),
                    Cause::MAINTENANCE,
                    sentence,
                );
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
        served_by: deployment.served_by.clone(),
        endpoints: deployment.endpoints.iter().map(kept).collect(),
    }
}

/// That a tenant is well and that nothing is known of it is the same to whoever listens.
fn is_worth_telling(from: Condition, to: Condition) -> bool {
    from != to && from.max(to) > Condition::Healthy
}

/// Puts what is new about a tenant into events.
struct Teller<'h> {
    health: &'h TenantHealth,
    now: Timestamp,
    news: Vec<News>,
}

impl Teller<'_> {
    /// Tells what is new in a deployment; answers why its condition changed, if it did.
    fn deployment(
        &mut self,
        signal: Signal,
        deployment: &DeploymentHealth,
        then: Option<&KeptDeployment>,
        same_document: bool,
    ) -> Option<Cause> {
        let mut changed: Option<(EndpointCondition, Cause, String)> = None;
        for (position, endpoint) in deployment.endpoints.iter().enumerate() {
            let before = before(then, position, endpoint);
            let Some(told) = self.endpoint(signal, endpoint, before) else {
                continue;
            };
            // What has become worst is what explains the rest.
            if changed
                .as_ref()
                .is_none_or(|(worst, ..)| endpoint.condition > *worst)
            {
                changed = Some((endpoint.condition, told.0, told.1));
            }
        }
        let cause = changed
            .as_ref()
            .map_or(Cause::CONFIG, |(_, cause, _)| *cause);
        if let Some(then) = then
            && same_document
        {
            let why = changed.map(|(.., why)| why);
            self.failover(signal, deployment, then, cause, why);
        }
        let from = then.map_or(Condition::Healthy, |then| then.condition);
        if !is_worth_telling(from, deployment.condition) {
            return None;
        }
        let (from, to) = (from.as_str().to_owned(), deployment.condition.as_str());
        let sentence = deployment.sentence.clone();
        self.tell(
            Kind::Deployment,
            Some(signal),
            None,
            from,
            to,
            cause,
            sentence,
        );
        Some(cause)
    }

    /// Tells what is new about an endpoint; answers why, in a word and in words.
    fn endpoint(
        &mut self,
        signal: Signal,
        endpoint: &EndpointView,
        then: KeptEndpoint,
    ) -> Option<(Cause, String)> {
        let name = &endpoint.health.endpoint;
        let mut told = None;
        let quiet = then.condition.is_calm() && endpoint.condition.is_calm();
        if then.condition != endpoint.condition && !quiet {
            let (cause, sentence) = why(endpoint, &then);
            told = Some((cause, sentence.clone()));
            self.tell(
                Kind::Endpoint,
                Some(signal),
                Some(name.to_string()),
                then.condition.as_str().into(),
                endpoint.condition.as_str(),
                cause,
                format!("{signal}: {sentence}", signal = signal.as_str()),
            );
        }
        if then.findings != endpoint.findings {
            let sentence = match endpoint.findings.as_slice() {
                [] => format!("{name} has nothing found wrong with it any more"),
                found => {
                    let phrases: Vec<_> = found.iter().map(|finding| finding.phrase()).collect();
                    format!("{name} {}", phrases.join(" and "))
                }
            };
            self.tell(
                Kind::Findings,
                Some(signal),
                Some(name.to_string()),
                names(&then.findings),
                &names(&endpoint.findings),
                health::Cause::Findings.into(),
                format!("{}: {sentence}", signal.as_str()),
            );
        }
        told
    }

    /// Tells that other endpoints serve than before. That none is left is not that: it is told of
    /// the deployment.
    fn failover(
        &mut self,
        signal: Signal,
        deployment: &DeploymentHealth,
        then: &KeptDeployment,
        cause: Cause,
        why: Option<String>,
    ) {
        let (before, after) = (&then.served_by, &deployment.served_by);
        if before == after || before.is_empty() || after.is_empty() {
            return;
        }
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        let sentence = format!(
            "{} served by {}, before by {}{why}",
            signal.as_str(),
            sentence::list(after),
            sentence::list(before),
        );
        let (from, to) = (before.join(","), after.join(","));
        self.tell(
            Kind::Failover,
            Some(signal),
            None,
            from,
            &to,
            cause,
            sentence,
        );
    }

    fn tenant(&mut self, kind: Kind, from: &str, to: &str, cause: Cause, sentence: String) {
        self.tell(kind, None, None, from.into(), to, cause, sentence);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of an event, put together in one place"
    )]
    fn tell(
        &mut self,
        kind: Kind,
        signal: Option<Signal>,
        endpoint: Option<String>,
        from: String,
        to: &str,
        cause: Cause,
        sentence: String,
    ) {
        self.news.push(News {
            kind,
            tenant: self.health.tenant.clone(),
            signal,
            endpoint,
            from,
            to: to.to_owned(),
            cause,
            sentence,
        });
    }
}

/// What was told of an endpoint: at the same place, or else by its name. One that is new is taken
/// to have been well.
fn before(then: Option<&KeptDeployment>, position: usize, endpoint: &EndpointView) -> KeptEndpoint {
    let name = &endpoint.health.endpoint;
    let kept = then.map_or(&[][..], |then| &then.endpoints);
    let same = |kept: &&KeptEndpoint| kept.name == *name;
    let there = kept.get(position).filter(same);
    let found = there.or_else(|| kept.iter().find(same));
    found.cloned().unwrap_or_else(|| KeptEndpoint {
        name: name.clone(),
        condition: EndpointCondition::Healthy,
        findings: Vec::new(),
    })
}

/// Why an endpoint is other than it was.
fn why(endpoint: &EndpointView, then: &KeptEndpoint) -> (Cause, String) {
    let name = &endpoint.health.endpoint;
    if let (Some(cause), Some(sentence)) = (endpoint.cause, &endpoint.sentence) {
        return (cause, sentence.clone());
    }
    match then.condition {
        EndpointCondition::Draining => (Cause::DRAIN, format!("{name} is back in use")),
        EndpointCondition::Degraded => {
            let cause = match then.findings.is_empty() {
                true => health::Cause::None,
                false => health::Cause::Findings,
            };
            (cause.into(), format!("{name} is healthy again"))
        }
        _ => {
            let reason = &endpoint.health.why;
            let sentence = format!("{name} is healthy again: it {}", reason.phrase());
            (reason.cause().into(), sentence)
        }
    }
}

fn names(findings: &[Finding]) -> String {
    let names: Vec<_> = findings.iter().map(|finding| finding.as_str()).collect();
    match names.as_slice() {
        [] => "none".into(),
        names => names.join(","),
    }
}

/// When a tenant none of whose endpoints of a signal is left is read again: its backends may have
/// moved.
#[derive(Debug)]
pub(super) struct Reread {
    next: Instant,
    pause: Duration,
}

impl Reread {
    /// Asked whenever the tenant is looked at while none is left; true if it is to be read now.
    pub(super) fn is_due(reread: &mut Option<Self>, now: Instant) -> bool {
        match reread {
            None => {
                *reread = Some(Self {
                    next: now + FIRST_PAUSE,
                    pause: FIRST_PAUSE,
                });
                true
            }
            Some(reread) if reread.next <= now => {
                reread.pause = (reread.pause * 2).min(LONGEST_PAUSE);
                reread.next = now + reread.pause;
                true
            }
            Some(_) => false,
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// At once, then after 5 s, 10 s, 20 s, 40 s, and every minute from then on.
    #[tokio::test(start_paused = true)]
    async fn a_tenant_without_endpoints_is_read_again_less_and_less_often() {
        let begun = Instant::now();
        let mut reread = None;
        let mut read_at = Vec::new();
        for second in 0..200 {
            let now = begun + Duration::from_secs(second);
            if Reread::is_due(&mut reread, now) {
                read_at.push(second);
            }
        }
        assert_eq!(read_at, [0, 5, 15, 35, 75, 135, 195]);
    }

    #[test]
    fn what_was_found_is_named() {
        assert_eq!(names(&[]), "none");
        assert_eq!(
            names(&[Finding::DiskLow, Finding::ReadOnly]),
            "disk_low,read_only"
        );
    }
}
