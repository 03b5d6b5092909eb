//! Who shares an endpoint, how long it is watched, and what many of them cost.

use super::{looking::looked_at, *};

/// Tenants that share an endpoint share its health and its probes; what differs in address,
/// credentials or pace doesn't.
#[tokio::test]
async fn equal_targets_are_one_endpoint() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config());
    let base = target(server.address, Some(RARE));
    let first = monitor.watch(base.clone());
    let second = monitor.watch(Target {
        client: client(),
        ..base.clone()
    });
    assert!(Arc::ptr_eq(&first, &second));
    let others = [
        Target {
            identity: 1,
            ..base.clone()
        },
        Target {
            probe: Some(QUICK),
            ..base.clone()
        },
        Target {
            url: format!("http://{}/", server.address).parse().unwrap(),
            ..base
        },
    ]
    .map(|target| monitor.watch(target));
    assert!(others.iter().all(|other| !Arc::ptr_eq(&first, other)));
    assert_eq!(
        (monitor.stats().endpoints, monitor.endpoints().len()),
        (4, 4)
    );
    eventually("news of everybody", || {
        others.iter().chain([&first]).all(was_probed)
    })
    .await;
    assert!(monitor.endpoints().iter().all(was_probed));
}

fn was_probed(health: &Arc<EndpointHealth>) -> bool {
    health.snapshot().last_probe.is_some()
}

/// Nobody holds it: no entry, no plan, and a probe under way isn't followed by another.
#[tokio::test]
async fn the_last_holder_ends_the_probing() {
    let server = Server::start(Conduct::Hang).await;
    let (monitor, _task) = start(config());
    let spec = ProbeSpec {
        timeout: Duration::from_millis(50),
        ..QUICK
    };
    let health = monitor.watch(target(server.address, Some(spec)));
    let another = Arc::clone(&health);
    eventually("a probe under way", || server.open() == 1).await;
    drop(health);
    assert_eq!(monitor.stats().endpoints, 1);
    drop(another);
    assert_eq!(monitor.stats().endpoints, 0);
    eventually("the end of that probe", || server.open() == 0).await;
    assert_eq!(monitor.schedule.lock().len(), 0);

    let waiting = Monitor::new(config());
    let looked_at = waiting.watch(looked_at(server.address));
    assert_eq!(waiting.schedule.lock().len(), 2, "a probe and a deep check");
    drop(looked_at);
    assert_eq!(
        waiting.schedule.lock().len(),
        0,
        "what is planned is given up as well"
    );
}

/// Twenty thousand endpoints, all due and all hanging: one entry each, one task for all, and no
/// more probes than permitted.
#[tokio::test]
async fn many_endpoints_cost_one_task() {
    let server = Server::start_everywhere(Conduct::Hang).await;
    let monitor = Monitor::new(MonitorConfig {
        max_concurrent_probes: 8,
        ..config()
    });
    let patient = ProbeSpec {
        timeout: Duration::from_hours(1),
        ..RARE
    };
    let base = target(server.address, Some(patient));
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let held: Vec<_> = (0..20_000)
        .map(|number| {
            monitor.watch(Target {
                url: format!("http://{}/health", server.at(number))
                    .parse()
                    .unwrap(),
                ..base.clone()
            })
        })
        .collect();
    assert_eq!(monitor.schedule.lock().len(), 20_000);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks_before);

    let _task = tokio::spawn(Arc::clone(&monitor).run());
    eventually("as many probes as permitted", || {
        server.requests().len() >= 8
    })
    .await;
    assert_eq!(
        monitor.schedule.lock().len(),
        0,
        "all others wait for their turn"
    );
    assert_eq!((server.open(), server.requests().len()), (8, 8));
    // The scheduler; a probe and its connection's driver and the server's end, eight times.
    let tasks = Handle::current().metrics().num_alive_tasks() - tasks_before;
    assert!(tasks <= 1 + 8 * 4, "{tasks} tasks");
    drop(held);
    assert_eq!(monitor.stats().endpoints, 0);
}

/// Endpoints beyond the limit aren't forgotten: each is probed as another's probe ends.
#[tokio::test]
async fn those_beyond_the_limit_get_their_turn() {
    let server = Server::start_everywhere(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(MonitorConfig {
        max_concurrent_probes: 1,
        ..config()
    });
    let held: Vec<_> = (0..10)
        .map(|number| monitor.watch(target(server.at(number), Some(RARE))))
        .collect();
    eventually("all first probes", || held.iter().all(was_probed)).await;
    assert_eq!(monitor.stats().probes.ok, 10);
}

/// A start with many tenants must not probe them all in the same instant.
#[tokio::test(start_paused = true)]
async fn first_probes_are_spread() {
    let monitor = Monitor::new(MonitorConfig::default());
    let base = target(refusing().1, Some(ProbeSpec::default()));
    let _held: Vec<_> = (0..5_000)
        .map(|identity| {
            monitor.watch(Target {
                identity,
                ..base.clone()
            })
        })
        .collect();
    let now = Instant::now();
    let mut schedule = monitor.schedule.lock();
    let mut due_within =
        |ms| std::iter::from_fn(|| schedule.pop_due(now + Duration::from_millis(ms))).count();
    assert!(due_within(1_000) < 2_500);
    assert!(due_within(10_000) > 2_500);
    assert_eq!(schedule.len(), 0, "none waits for its whole interval");
}

/// A monitor whose task ended in the middle of a probe can be run again.
#[tokio::test]
async fn an_interrupted_probe_is_planned_anew() {
    let server = Server::start(Conduct::Hang).await;
    let (monitor, task) = start(config());
    let _health = monitor.watch(target(server.address, Some(QUICK)));
    eventually("a probe under way", || server.open() == 1).await;
    task.abort();
    eventually("its end", || server.open() == 0).await;
    server.behave(Conduct::status("200 OK"));
    let _task = tokio::spawn(Arc::clone(&monitor).run());
    eventually("another probe", || monitor.stats().probes.ok > 0).await;
}

/// Nothing secret gets into a log by way of `Debug`.
#[tokio::test]
async fn debug_output_hides_credentials() {
    let monitor = Monitor::new(config());
    let target = Target {
        url: "http://user:s3cret@127.0.0.1:1/health".parse().unwrap(),
        authorization: Some(Arc::new(HeaderValue::from_static("Basic s3cret"))),
        ..target(refusing().1, None)
    };
    let health = monitor.watch(target.clone());
    let debugged = format!("{target:?} {health:?} {:?}", health.snapshot());
    assert!(!debugged.contains("s3cret"), "{debugged}");
    assert!(
        target
            .sanitized()
            .authorization
            .is_some_and(|value| value.is_sensitive())
    );
}
