//! What is new about a tenant: a view beside what was told before goes in, news come out.
//!
//! Pure.

use health::Finding;
use jiff::Timestamp;
use tenant_store::model::Signal;

use super::{
    condition::{Condition, EndpointCondition},
    event::{Cause, Kind, News},
    record::{KeptDeployment, KeptEndpoint},
    sentence,
    view::{DeploymentHealth, EndpointView, TenantHealth},
};

/// Puts what is new about a tenant into events.
pub(super) struct Teller<'h> {
    pub(super) health: &'h TenantHealth,
    pub(super) now: Timestamp,
    pub(super) news: Vec<News>,
}

impl Teller<'_> {
    /// Tells what is new in a deployment; answers why its condition changed, if it did.
    pub(super) fn deployment(
        &mut self,
        signal: Signal,
        deployment: &DeploymentHealth,
        then: Option<&KeptDeployment>,
        same_document: bool,
    ) -> Option<Cause> {
        let mut changed: Option<(EndpointCondition, Cause, String)> = None;
        for (position, endpoint) in deployment.endpoints.iter().enumerate() {
            let before = before(then, position, endpoint);
            let Some(told) = self.endpoint(signal, endpoint, &before) else {
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
            && has_same_endpoints(then, deployment)
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
        then: &KeptEndpoint,
    ) -> Option<(Cause, String)> {
        let name = &endpoint.health.endpoint;
        let mut told = None;
        let quiet = then.condition.is_calm() && endpoint.condition.is_calm();
        if then.condition != endpoint.condition && !quiet {
            let (cause, sentence) = why(endpoint, then);
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
        let (before, after) = (&*then.served_by, served(deployment));
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

    /// Tells how the tenant as a whole is, of which `told` was told before.
    pub(super) fn whole(&mut self, told: Condition, cause: Cause) {
        let TenantHealth {
            condition,
            sentence,
            ..
        } = self.health;
        let from = told.as_str().to_owned();
        self.tell(
            Kind::Tenant,
            None,
            None,
            from,
            condition.as_str(),
            cause,
            sentence.clone(),
        );
    }

    /// Tells that maintenance begins, or is over.
    pub(super) fn maintenance(&mut self, told: Condition, sentence: String) {
        let to = self.health.condition.as_str();
        let from = told.as_str().to_owned();
        let cause = Cause::MAINTENANCE;
        self.tell(Kind::Maintenance, None, None, from, to, cause, sentence);
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

/// Those that serve a deployment, but for ejected ones that requests are tried at for want of any
/// other: then none is left.
pub(super) fn served(deployment: &DeploymentHealth) -> &[String] {
    match deployment.condition {
        Condition::Unhealthy => &[],
        _ => &deployment.served_by,
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

/// Whether there are the same endpoints as before: a name with other addresses is no failover.
fn has_same_endpoints(then: &KeptDeployment, now: &DeploymentHealth) -> bool {
    let before = then.endpoints.iter().map(|endpoint| &endpoint.name);
    before.eq(now
        .endpoints
        .iter()
        .map(|endpoint| &endpoint.health.endpoint))
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
            let cause = if then.findings.is_empty() {
                health::Cause::None
            } else {
                health::Cause::Findings
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

/// That a tenant is well and that nothing is known of it is the same to whoever listens.
pub(super) fn is_worth_telling(from: Condition, to: Condition) -> bool {
    from != to && from.max(to) > Condition::Healthy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_named() {
        assert_eq!(names(&[]), "none");
        assert_eq!(
            names(&[Finding::DiskLow, Finding::ReadOnly]),
            "disk_low,read_only"
        );
    }
}
