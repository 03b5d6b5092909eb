//! What live requests report, and the way back from it.

use super::*;
use crate::cause::Cause;

/// Many waiting requests raise one suspicion, and one failed probe confirms it: an hour before
/// the next regular one.
#[tokio::test]
async fn a_suspicion_is_probed_at_once() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config_without_retries());
    let mut transitions = monitor.transitions();
    let timeout = Duration::from_millis(500);
    let health = monitor.watch(target(server.address, Some(ProbeSpec { timeout, ..RARE })));
    eventually("the first probe", || monitor.stats().probes.ok == 1).await;
    server.behave(Conduct::Hang);
    for _ in 0..100 {
        health.suspect();
    }
    let down = next(&mut transitions).await;
    assert_eq!(down.to, Availability::Down);
    assert_eq!(
        down.reason,
        Reason::ProbeFailed(ProbeFailure::Timeout(timeout))
    );
    assert_eq!(server.requests().len(), 2);
}

/// Nothing is known of an endpoint until something is heard from it; requests that fail in a row make
/// it doubtful before they eject it; and what ejects it is counted by cause.
#[tokio::test]
async fn what_is_heard_is_noted() {
    let monitor = Monitor::new(config());
    let health = monitor.watch(target(refusing().1, None));
    assert!(!health.is_seen());
    health.report_success();
    assert!(health.is_seen());
    let threshold = config().ejection.consecutive_failures;
    let doubtful = threshold.div_ceil(2).max(2);
    for failures in 1..threshold {
        health.report_failure(Failure::Reset);
        assert_eq!(health.is_failing(), failures >= doubtful, "{failures}");
    }
    assert_eq!(health.snapshot().last_failure, Some(Failure::Reset));
    health.report_success();
    assert!(!health.is_failing());
    let ejections = || monitor.stats().ejections_by_cause().collect::<Vec<_>>();
    assert_eq!(ejections(), []);
    for _ in 0..threshold {
        health.report_failure(Failure::Reset);
    }
    assert_eq!(ejections(), [(Cause::Reset, 1)]);
    // Going from one way of being out to another is not going out.
    health.report_failure(Failure::Connect);
    assert_eq!(health.availability(), Availability::Down);
    assert_eq!(ejections(), [(Cause::Reset, 1)]);
}

/// However many requests wait, suspicions cost a probe a second at most.
#[tokio::test(start_paused = true)]
async fn suspicions_are_limited() {
    let monitor = Monitor::new(config());
    let health = monitor.watch(target(refusing().1, Some(RARE)));
    let planned_in = || monitor.schedule.lock().next_at().unwrap() - Instant::now();
    let probe = || {
        let (slot, _) = monitor.schedule.lock().pop_due(Instant::now()).unwrap();
        assert_ne!(health.on_due(slot), Due::Nothing);
        drop(health.start_probe(None));
        assert_eq!(planned_in(), RARE.interval);
    };
    probe();
    health.suspect();
    assert_eq!(planned_in(), Duration::ZERO);
    probe();
    time::advance(Duration::from_millis(999)).await;
    health.suspect();
    assert!(planned_in() > Duration::from_mins(1));
    time::advance(Duration::from_millis(1)).await;
    health.suspect();
    assert_eq!(planned_in(), Duration::ZERO);
}

/// Answers of 503 alone leave an endpoint in use whose probe is content, and take it down with
/// one failed probe where it isn't.
#[tokio::test]
async fn overload_is_settled_by_a_probe() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config_without_retries());
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(server.address, Some(RARE)));
    eventually("the first probe", || monitor.stats().probes.ok == 1).await;
    for _ in 0..20 {
        health.report_failure(Failure::Unavailable);
    }
    eventually("the second opinion", || monitor.stats().probes.ok == 2).await;
    assert_eq!(health.availability(), Availability::Up);
    assert!(transitions.try_recv().is_err());

    server.behave(Conduct::status("503 Service Unavailable"));
    eventually("being down", || {
        health.report_failure(Failure::Unavailable);
        health.availability() == Availability::Down
    })
    .await;
    assert_eq!(health.snapshot().consecutive_probe_failures, 1);
    assert_eq!(health.snapshot().ejections, 0);
}

/// A live connect failure takes the endpoint down at once; one good probe brings it back when
/// the back-off is over, an hour before the regular one.
#[tokio::test]
async fn an_ejected_endpoint_returns_by_a_probe() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(server.address, Some(RARE)));
    eventually("the first probe", || monitor.stats().probes.ok == 1).await;
    health.report_failure(Failure::Connect);
    assert_eq!(health.availability(), Availability::Down);
    assert_eq!(
        next(&mut transitions).await.reason,
        Reason::RequestFailed(Failure::Connect)
    );
    assert_eq!(next(&mut transitions).await.reason, Reason::ProbesSucceeded);
    assert_eq!(health.availability(), Availability::Up);
    assert_eq!(server.requests().len(), 2);
}

/// Without probing: half-open after the back-off, one trial at a time, a lost trial frees its
/// place, a failed one waits longer, a good one returns.
#[tokio::test(start_paused = true)]
async fn half_open_admits_one_trial_at_a_time() {
    let (monitor, _task) = start(MonitorConfig {
        jitter: 0.0,
        ..MonitorConfig::default()
    });
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(refusing().1, None));
    assert!(!health.try_trial(), "an endpoint that is up needs none");

    let ejected_at = Instant::now();
    health.report_failure(Failure::Connect);
    assert_eq!(next(&mut transitions).await.to, Availability::Down);
    assert!(!health.try_trial());
    assert_eq!(next(&mut transitions).await.to, Availability::HalfOpen);
    assert_eq!(ejected_at.elapsed().as_secs(), 1);
    let admitted = (0..100).filter(|_| health.try_trial()).count();
    assert_eq!(admitted, 1);

    time::advance(Duration::from_secs(9)).await;
    assert!(!health.try_trial());
    time::advance(Duration::from_secs(1)).await;
    assert!(health.try_trial(), "nobody reported on the first one");

    let failed_at = Instant::now();
    health.report_failure(Failure::Timeout);
    assert_eq!(next(&mut transitions).await.to, Availability::Ejected);
    assert_eq!(next(&mut transitions).await.to, Availability::HalfOpen);
    assert_eq!(failed_at.elapsed().as_secs(), 2);
    assert!(health.try_trial(), "a new round, a new trial");
    health.report_success();
    assert_eq!(next(&mut transitions).await.reason, Reason::TrialSucceeded);
    assert_eq!(health.availability(), Availability::Up);
}

/// Guards count while they live, over all holders of the endpoint.
#[tokio::test]
async fn requests_in_flight_are_counted() {
    let monitor = Monitor::new(config());
    let target = target(refusing().1, None);
    let (one, two) = (monitor.watch(target.clone()), monitor.watch(target));
    let first = one.count_request();
    let second = two.count_request();
    assert_eq!(one.in_flight(), 2);
    drop(first);
    assert_eq!(two.snapshot().in_flight, 1);
    drop(second);
    assert_eq!(one.in_flight(), 0);
}
