//! Endpoints that fail some of their requests, and those that have come back.

use super::*;
use crate::outlier::OutlierPolicy;

fn by_share() -> MonitorConfig {
    MonitorConfig {
        outliers: OutlierPolicy {
            window: Duration::from_secs(10),
            min_requests: 20,
            failure_ratio: 0.5,
        },
        ..config_without_retries()
    }
}

/// Every other request fails: never two in a row, and yet half of all.
#[tokio::test(start_paused = true)]
async fn every_other_failure_ejects_once_there_are_enough() {
    let monitor = Monitor::new(by_share());
    let health = monitor.watch(target(refusing().1, None));
    let mut asked = 0;
    while health.availability() == Availability::Up && asked < 100 {
        health.report_success();
        health.report_failure(Failure::BadGateway);
        asked += 2;
    }
    // The success before the first failure isn't counted.
    assert_eq!((health.availability(), asked), (Availability::Ejected, 22));
    assert_eq!(health.snapshot().reason, "11 of 21 live requests failed");
    assert_eq!(health.snapshot().ejections, 1);
}

/// One in three is what the endpoint may fail here; and what failed before the window doesn't count.
#[tokio::test(start_paused = true)]
async fn fewer_failures_or_old_ones_do_not_eject() {
    let monitor = Monitor::new(by_share());
    let health = monitor.watch(target(refusing().1, None));
    for _ in 0..100 {
        health.report_failure(Failure::Reset);
        health.report_success();
        health.report_success();
    }
    for _ in 0..4 {
        health.report_failure(Failure::Reset);
    }
    time::advance(Duration::from_secs(10)).await;
    health.report_success();
    for _ in 0..9 {
        health.report_failure(Failure::Reset);
        health.report_success();
    }
    assert_eq!(health.availability(), Availability::Up);
    assert_eq!(monitor.stats().transitions, 0);
}

/// Hedges that are lost are a share by design; only a row of them says anything.
#[tokio::test(start_paused = true)]
async fn lost_hedges_count_in_a_row_only() {
    let monitor = Monitor::new(by_share());
    let health = monitor.watch(target(refusing().1, None));
    for _ in 0..100 {
        health.report_failure(Failure::Outpaced);
        health.report_success();
    }
    assert_eq!(health.availability(), Availability::Up);
    for _ in 0..5 {
        health.report_failure(Failure::Outpaced);
    }
    assert_eq!(health.availability(), Availability::Ejected);
}

/// While nothing fails, successes are counted by nobody; nor are they for ever after one failure.
#[tokio::test(start_paused = true)]
async fn successes_are_counted_only_while_it_matters() {
    let monitor = Monitor::new(by_share());
    let health = monitor.watch(target(refusing().1, None));
    health.report_success();
    assert!(health.published.known_load().is_none());
    health.report_failure(Failure::Reset);
    assert!(health.published.flags().counting);
    time::advance(Duration::from_secs(10)).await;
    for _ in 0..1_024 {
        health.report_success();
    }
    assert!(!health.published.flags().counting);
}

/// From a tenth to all of its requests, within the time that is given; nothing where none is.
#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_more_by_and_by() {
    for (slow_start, expected) in [(20, [100, 100, 500, 950, 1000]), (0, [1000; 5])] {
        let (monitor, _task) = start(MonitorConfig {
            slow_start: Duration::from_secs(slow_start),
            ..config()
        });
        let mut transitions = monitor.transitions();
        let health = monitor.watch(target(refusing().1, None));
        assert_eq!(health.share(), 1000, "at first it gets what is its");
        health.report_failure(Failure::Connect);
        while next(&mut transitions).await.to != Availability::HalfOpen {}
        assert!(health.try_trial());
        health.report_success();
        assert_eq!(health.availability(), Availability::Up);
        let mut shares = Vec::new();
        for seconds in [0, 1, 9, 9, 1] {
            time::advance(Duration::from_secs(seconds)).await;
            // What else happens to it meanwhile doesn't matter.
            health.report_failure(Failure::Reset);
            health.report_success();
            shares.push(health.share());
        }
        assert_eq!(shares, expected, "{slow_start} s");
    }
}
