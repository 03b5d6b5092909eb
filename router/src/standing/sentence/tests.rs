use health::{Availability, Failure, Finding, HealthSnapshot, ProbeSnapshot, Reason};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn now() -> Timestamp {
    at("2026-11-28T12:30:00Z")
}

/// An endpoint as a snapshot tells of it, not judged yet.
fn endpoint(name: &str, condition: EndpointCondition, why: Reason) -> EndpointView {
    EndpointView {
        from: None,
        address: None,
        zone: None,
        priority: 0,
        condition,
        cause: None,
        sentence: None,
        findings: Vec::new(),
        health: HealthSnapshot {
            endpoint: name.into(),
            state: Availability::Up,
            since: at("2026-11-28T12:03:10Z"),
            reason: why.to_string(),
            why,
            findings: health::Findings::default(),
            last_failure: None,
            probing: true,
            last_probe: None,
            deep: None,
            consecutive_probe_successes: 0,
            consecutive_probe_failures: 0,
            consecutive_request_failures: 0,
            ejections: 0,
            back_off_remaining_ms: None,
            latency_ms: None,
            in_flight: 0,
        },
    }
}

fn judged(mut endpoint: EndpointView) -> EndpointView {
    endpoint.sentence = of_endpoint(&endpoint, now());
    endpoint
}

/// A live request only knows that it could not connect; with the probe after it the sentence says
/// what an operator wants to hear.
#[test]
fn a_refusing_endpoint_and_who_serves_instead() {
    let mut dead = endpoint(
        "vm-acme-2:8428",
        EndpointCondition::Unhealthy,
        Reason::RequestFailed(Failure::Connect),
    );
    let told = of_endpoint(&dead, now()).expect("a sentence");
    assert_eq!(
        told,
        "vm-acme-2:8428 could not be connected to since 12:03 UTC"
    );
    dead.health.last_probe = Some(ProbeSnapshot {
        at: now(),
        ok: false,
        error: Some("can't connect: Connection refused (os error 111)".into()),
        latency_ms: 0.3,
        shared: false,
    });
    let well = endpoint(
        "vm-acme-1:8428",
        EndpointCondition::Healthy,
        Reason::ProbesSucceeded,
    );
    let endpoints = [judged(well), judged(dead)];
    let served_by = ["vm-acme-1:8428".to_owned()];
    let told = of_deployment(
        Signal::Metrics,
        Condition::Degraded,
        None,
        &endpoints,
        &served_by,
        None,
    );
    assert_eq!(
        told,
        "metrics degraded: vm-acme-2:8428 refused connections since 12:03 UTC, \
         reads and writes served by vm-acme-1:8428"
    );
    let told = of_deployment(
        Signal::Metrics,
        Condition::Unhealthy,
        None,
        &endpoints[1..],
        &[],
        Some(RequestKind::Any),
    );
    assert_eq!(
        told,
        "metrics unhealthy: vm-acme-2:8428 refused connections since 12:03 UTC, \
         no endpoint is left"
    );
}

/// Those that are used though they are ejected are named, with the reason.
#[test]
fn ejected_ones_that_serve_are_told_of() {
    let failed = || Reason::RequestFailed(Failure::Unavailable);
    let out = |name| judged(endpoint(name, EndpointCondition::Ejected, failed()));
    let well = endpoint("c:1", EndpointCondition::Healthy, Reason::ProbesSucceeded);
    let endpoints = [out("a:1"), out("b:1"), judged(well)];
    let told = |condition, endpoints, served_by: &[&str]| {
        let served_by: Vec<String> = served_by.iter().map(|name| (*name).to_owned()).collect();
        of_deployment(Signal::Logs, condition, None, endpoints, &served_by, None)
    };
    let [a, b] = [&endpoints[0], &endpoints[1]].map(|one| one.sentence.as_deref().expect("one"));
    assert_eq!(
        told(Condition::Degraded, &endpoints, &["a:1", "b:1", "c:1"]),
        format!(
            "logs degraded: {a}, {b}, reads and writes served by a:1, b:1, c:1, \
             ejected ones too, as too many are out"
        )
    );
    assert_eq!(
        told(Condition::Degraded, &endpoints, &["c:1"]),
        format!("logs degraded: {a}, {b}, reads and writes served by c:1")
    );
    assert_eq!(
        told(Condition::Unhealthy, &endpoints[..1], &["a:1"]),
        format!(
            "logs unhealthy: {a}, no endpoint is left but ejected ones: requests are tried at a:1"
        )
    );
}

/// Where gRPC has endpoints of its own, it is said which requests are not served, and by whom the others.
#[test]
fn a_kind_of_request_that_is_not_served_is_named() {
    let failed = |condition| {
        judged(endpoint(
            "a:1",
            condition,
            Reason::RequestFailed(Failure::Connect),
        ))
    };
    let well = || endpoint("b:2", EndpointCondition::Healthy, Reason::ProbesSucceeded);
    let told = |condition, served_by: &[&str], left_out| {
        let endpoints = [failed(condition), well()];
        let served_by: Vec<String> = served_by.iter().map(|name| (*name).to_owned()).collect();
        let (signal, unhealthy) = (Signal::Traces, Condition::Unhealthy);
        of_deployment(signal, unhealthy, None, &endpoints, &served_by, left_out)
    };
    assert_eq!(
        told(
            EndpointCondition::Unhealthy,
            &["b:2"],
            Some(RequestKind::Other)
        ),
        "traces unhealthy: a:1 could not be connected to since 12:03 UTC, \
         no endpoint is left for anything but gRPC; gRPC is served by b:2"
    );
    assert_eq!(
        told(
            EndpointCondition::Unhealthy,
            &["b:2"],
            Some(RequestKind::Grpc)
        ),
        "traces unhealthy: a:1 could not be connected to since 12:03 UTC, \
         no endpoint is left for gRPC; all else is served by b:2"
    );
    assert_eq!(
        told(
            EndpointCondition::Ejected,
            &["a:1", "b:2"],
            Some(RequestKind::Grpc)
        ),
        "traces unhealthy: a:1 could not be connected to since 12:03 UTC, \
         no endpoint is left for gRPC but ejected ones: requests are tried at a:1; \
         all else is served by b:2"
    );
}

/// An endpoint that serves but is not well says why, and nobody is said to have taken over.
#[test]
fn findings_and_failures_are_told() {
    let mut ill = endpoint("a:1", EndpointCondition::Degraded, Reason::ProbesSucceeded);
    ill.findings = vec![Finding::DiskLow];
    ill.health.consecutive_request_failures = 3;
    ill.health.last_failure = Some(Failure::Unavailable);
    let told = of_deployment(
        Signal::Logs,
        Condition::Degraded,
        None,
        &[judged(ill)],
        &["a:1".into()],
        None,
    );
    assert_eq!(
        told,
        "logs degraded: a:1 is short of disk space and answered 503 3 times in a row"
    );
}

/// One failure is no row, and what is over by the time it is looked at leaves no sentence half said.
#[test]
fn a_single_failure_is_not_counted() {
    let mut ill = endpoint("a:1", EndpointCondition::Degraded, Reason::ProbesSucceeded);
    ill.health.consecutive_request_failures = 1;
    ill.health.last_failure = Some(Failure::Unavailable);
    ill.findings = vec![Finding::DiskLow];
    let told = of_endpoint(&ill, now()).expect("a sentence");
    assert_eq!(told, "a:1 is short of disk space");
    ill.findings.clear();
    let told = of_endpoint(&ill, now()).expect("a sentence");
    assert_eq!(told, "a:1 failed requests a moment ago");
}

#[test]
fn lists_and_times_stay_short() {
    assert_eq!(list(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    assert_eq!(list(&["a"]), "a");
    assert_eq!(moment(at("2026-11-28T00:00:59Z"), now()), "00:00 UTC");
    assert_eq!(
        moment(at("2026-11-27T23:59:00Z"), now()),
        "2026-11-27 23:59 UTC"
    );
    let maintenance = Maintenance {
        reason: "new disks".into(),
        until: Some(at("2026-11-28T14:00:00Z")),
    };
    assert_eq!(
        of_maintenance(&maintenance, now()),
        "in maintenance until 14:00 UTC: new disks"
    );
}
