//! Health in words, as somebody on call would say it.

use health::NameSnapshot;
use jiff::{Timestamp, tz::TimeZone};
use tenant_store::model::{Maintenance, Signal};

use super::{
    condition::{Condition, EndpointCondition},
    view::{EndpointView, TenantHealth},
};
use crate::proxy::route::RequestKind;

/// Endpoints named in one sentence at most.
const NAMED: usize = 3;

/// How a tenant is that is switched off.
const SUSPENDED: &str = "suspended: its requests are refused until it is activated";

/// How a tenant is that is still being set up.
const PROVISIONING: &str = "being provisioned: its requests are refused until it is activated";

/// What is the matter with an endpoint, its name first; `None` if nothing is.
pub(super) fn of_endpoint(endpoint: &EndpointView, now: Timestamp) -> Option<String> {
    let name = &endpoint.health.endpoint;
    let since = || moment(endpoint.health.since, now);
    match endpoint.condition {
        EndpointCondition::Healthy | EndpointCondition::Unknown => None,
        EndpointCondition::Draining => Some(format!("{name} is being drained")),
        EndpointCondition::Ejected | EndpointCondition::Unhealthy => {
            Some(format!("{name} {} since {}", deed(endpoint), since()))
        }
        EndpointCondition::Degraded => {
            let mut phrases: Vec<String> = endpoint
                .findings
                .iter()
                .map(|finding| finding.phrase().to_owned())
                .collect();
            let count = endpoint.health.consecutive_request_failures;
            if let Some(failure) = endpoint.health.last_failure.filter(|_| count > 1) {
                phrases.push(format!("{} {count} times in a row", failure.phrase()));
            }
            if phrases.is_empty() {
                // It has done better between being judged and being asked for why.
                phrases.push("failed requests a moment ago".into());
            }
            Some(format!("{name} {}", phrases.join(" and ")))
        }
    }
}

/// What the endpoint did that put it out of use. A live request that could not connect doesn't
/// know why; the probe after it does.
fn deed(endpoint: &EndpointView) -> String {
    let health = &endpoint.health;
    let probe = health.last_probe.as_ref();
    let error = probe.and_then(|probe| probe.error.as_deref());
    let refused = error.is_some_and(|error| error.contains("refused"));
    if health.why.cause() == health::Cause::Connect && refused {
        "refused connections".into()
    } else {
        health.why.phrase()
    }
}

/// What is the matter with a name; `None` if nothing is.
pub(super) fn of_name(known: &NameSnapshot, now: Timestamp) -> Option<String> {
    let NameSnapshot {
        name,
        addresses,
        left_out,
        ..
    } = known;
    if let (Some(since), Some(error)) = (known.failing_since, &known.error) {
        let since = moment(since, now);
        let kept = match addresses {
            0 => String::new(),
            1 => ", the address it had is used".into(),
            many => format!(", the {many} addresses it had are used"),
        };
        return Some(format!(
            "{name} can't be resolved since {since}: {error}{kept}"
        ));
    }
    let too_many =
        || format!("{name} has more addresses than can be used, {left_out} are left out");
    (*left_out > 0).then(too_many)
}

/// How a deployment is.
pub(super) fn of_deployment(
    signal: Signal,
    condition: Condition,
    fault: Option<&str>,
    endpoints: &[EndpointView],
    served_by: &[String],
    left_out: Option<RequestKind>,
) -> String {
    let signal = signal.as_str();
    if let Some(fault) = fault {
        return format!("{signal} {condition}: {fault}");
    }
    match condition {
        Condition::Unknown => {
            let names: Vec<&str> = endpoints.iter().map(|e| &*e.health.endpoint).collect();
            format!("{signal} unknown: nothing heard yet from {}", list(&names))
        }
        Condition::Healthy
        | Condition::Maintenance
        | Condition::Suspended
        | Condition::Provisioning => {
            format!("{signal} healthy: served by {}", list(served_by))
        }
        Condition::Degraded => {
            let told = troubles(endpoints);
            let names = list(served_by);
            let lost = |endpoint: &EndpointView| !endpoint.condition.serves();
            let needed = |endpoint: &EndpointView| {
                let name = &*endpoint.health.endpoint;
                endpoint.condition == EndpointCondition::Ejected
                    && served_by.iter().any(|serving| serving == name)
            };
            if endpoints.iter().any(needed) {
                format!(
                    "{signal} degraded: {told}, reads and writes served by {names}, \
                     ejected ones too, as too many are out"
                )
            } else if endpoints.iter().any(lost) {
                format!("{signal} degraded: {told}, reads and writes served by {names}")
            } else {
                format!("{signal} degraded: {told}")
            }
        }
        Condition::Unhealthy => {
            let told = troubles(endpoints);
            let left = nothing_left(endpoints, served_by, left_out);
            format!("{signal} unhealthy: {told}, {left}")
        }
    }
}

/// Which requests no endpoint is left for, where they are tried all the same, and who serves the rest.
fn nothing_left(
    endpoints: &[EndpointView],
    served_by: &[String],
    left_out: Option<RequestKind>,
) -> String {
    let serves = |name: &&String| {
        let mut named = endpoints.iter().filter(|e| *e.health.endpoint == ***name);
        named.any(|endpoint| endpoint.condition.serves())
    };
    let (serving, tried): (Vec<&String>, Vec<&String>) = served_by.iter().partition(serves);
    let (kind, rest) = match left_out {
        Some(RequestKind::Grpc) => (" for gRPC", "; all else is served by "),
        Some(RequestKind::Other) => (" for anything but gRPC", "; gRPC is served by "),
        Some(RequestKind::Any) | None => ("", "; served by "),
    };
    let told = |words: &str, names: &[&String]| match names {
        [] => String::new(),
        names => format!("{words}{}", list(names)),
    };
    let tried = told(" but ejected ones: requests are tried at ", &tried);
    let rest = told(rest, &serving);
    format!("no endpoint is left{kind}{tried}{rest}")
}

fn troubles(endpoints: &[EndpointView]) -> String {
    let told: Vec<&str> = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.sentence.as_deref())
        .collect();
    list(&told)
}

/// How a tenant is.
pub(super) fn of_tenant(health: &TenantHealth, now: Timestamp) -> String {
    match health.condition {
        Condition::Suspended => return SUSPENDED.into(),
        Condition::Provisioning => return PROVISIONING.into(),
        _ => {}
    }
    if let Some(maintenance) = &health.maintenance {
        return of_maintenance(maintenance, now);
    }
    if health.deployments.is_empty() {
        return "it has no deployments".into();
    }
    let ill: Vec<&str> = health
        .deployments
        .values()
        .filter(|deployment| deployment.condition > Condition::Healthy)
        .map(|deployment| &*deployment.sentence)
        .collect();
    if !ill.is_empty() {
        return ill.join("; ");
    }
    let endpoints = || health.deployments.values().flat_map(|d| &d.endpoints);
    match (health.condition, endpoints().count()) {
        (Condition::Unknown, 1) => "nothing heard yet from its endpoint".into(),
        (Condition::Unknown, count) => format!("nothing heard yet from its {count} endpoints"),
        (_, 1) => "its endpoint is healthy".into(),
        (_, count) if endpoints().all(|e| e.condition == EndpointCondition::Healthy) => {
            format!("all {count} endpoints are healthy")
        }
        (_, count) => {
            let healthy = endpoints()
                .filter(|endpoint| endpoint.condition == EndpointCondition::Healthy)
                .count();
            format!("{healthy} of {count} endpoints are healthy, nothing heard yet from the others")
        }
    }
}

/// What is being done to a tenant.
pub(super) fn of_maintenance(maintenance: &Maintenance, now: Timestamp) -> String {
    let reason = &maintenance.reason;
    match maintenance.until {
        Some(until) => format!("in maintenance until {}: {reason}", moment(until, now)),
        None => format!("in maintenance: {reason}"),
    }
}

/// The first few, and how many more there are.
pub(super) fn list(items: &[impl AsRef<str>]) -> String {
    let named: Vec<&str> = items.iter().take(NAMED).map(AsRef::as_ref).collect();
    let named = named.join(", ");
    match items.len().saturating_sub(NAMED) {
        0 if items.is_empty() => "nothing".into(),
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A time as it is said: without the day, if that is today.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(TimeZone::UTC), now.to_zoned(TimeZone::UTC));
    let form = if at.date() == now.date() {
        "%H:%M UTC"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests;
