//! The monitor against real servers, and its timing under a paused clock where no socket is
//! involved.

mod server;

use std::net::SocketAddr;

use reqwest::{Certificate, Client, ClientBuilder, header::HeaderValue, redirect};
use tokio::{runtime::Handle, task::JoinHandle};

use self::server::{Conduct, Server, refusing};
use super::*;
use crate::{
    probe::{ProbeFailure, client_builder},
    transition::{Availability, Failure, Reason},
};

/// Quick enough for a test, slow enough for a busy machine.
const QUICK: ProbeSpec = ProbeSpec {
    interval: Duration::from_millis(20),
    timeout: Duration::from_secs(5),
    healthy_after: 2,
    unhealthy_after: 3,
};
/// Probes once when watched, and then only when asked.
const RARE: ProbeSpec = ProbeSpec {
    interval: Duration::from_hours(1),
    ..QUICK
};

fn config() -> MonitorConfig {
    let ejection = EjectionPolicy {
        base: Duration::from_millis(50),
        ..EjectionPolicy::default()
    };
    MonitorConfig {
        ejection,
        jitter: 0.0,
        ..MonitorConfig::default()
    }
}

/// Once down, an endpoint isn't asked again within any test.
fn config_without_retries() -> MonitorConfig {
    let ejection = EjectionPolicy {
        base: Duration::from_hours(1),
        ..EjectionPolicy::default()
    };
    MonitorConfig {
        ejection,
        ..config()
    }
}

fn start(config: MonitorConfig) -> (Arc<Monitor>, JoinHandle<()>) {
    let monitor = Monitor::new(config);
    let task = tokio::spawn(Arc::clone(&monitor).run());
    (monitor, task)
}

fn target(address: SocketAddr, probe: Option<ProbeSpec>) -> Target {
    Target {
        url: format!("http://{address}/health").parse().unwrap(),
        name: address.to_string().into(),
        probe,
        client: client(),
        authorization: None,
        identity: 0,
    }
}

fn client() -> Client {
    builder().build().unwrap()
}

fn builder() -> ClientBuilder {
    // Every test tries; whichever comes first in this process succeeds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    client_builder()
}

async fn next(transitions: &mut broadcast::Receiver<Transition>) -> Transition {
    time::timeout(DEADLINE, transitions.recv())
        .await
        .expect("a transition in time")
        .unwrap()
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        time::timeout(DEADLINE, holds).await.is_ok(),
        "not in time: {what}"
    );
}

/// Watches a server that behaves like this from the start; tells what took it down.
async fn failure_of(conduct: Conduct, spec: ProbeSpec) -> Reason {
    let server = Server::start(conduct).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(server.address, Some(spec)));
    let transition = next(&mut transitions).await;
    assert_eq!(
        (transition.from, transition.to),
        (Availability::Up, Availability::Down)
    );
    assert_eq!(
        health.snapshot().consecutive_probe_failures,
        u32::from(spec.unhealthy_after)
    );
    assert_eq!(server.requests().len(), usize::from(spec.unhealthy_after));
    transition.reason
}

/// A healthy endpoint is probed again and again, politely, and nothing is announced.
#[tokio::test]
async fn a_healthy_endpoint_stays_up() {
    let server = Server::start(Conduct::status("204 No Content")).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let authorization = Some(HeaderValue::from_static("Bearer s3cret"));
    let health = monitor.watch(Target {
        authorization,
        ..target(server.address, Some(QUICK))
    });
    eventually("three probes", || monitor.stats().probes.ok >= 3).await;

    assert_eq!(health.availability(), Availability::Up);
    assert!(transitions.try_recv().is_err());
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: Bearer s3cret\r\n"),
        "{request}"
    );
    assert!(request.contains("user-agent: mirador-health/"), "{request}");
    let snapshot = health.snapshot();
    assert!(
        snapshot
            .last_probe
            .is_some_and(|probe| probe.ok && probe.error.is_none())
    );
    assert!(snapshot.consecutive_probe_successes >= 3);
    assert!(monitor.stats().probe_time > Duration::ZERO);
}

/// An endpoint that answers 503 is down at the threshold, and up again when it answers 200.
#[tokio::test]
async fn a_failing_endpoint_goes_down_and_returns() {
    let server = Server::start(Conduct::status("503 Service Unavailable")).await;
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let health = monitor.watch(target(server.address, Some(QUICK)));
    let down = next(&mut transitions).await;
    assert_eq!(down.reason, Reason::ProbeFailed(ProbeFailure::Status(503)));
    assert_eq!(*down.endpoint, *server.address.to_string());
    assert_eq!(health.availability(), Availability::Down);
    assert_eq!(
        health.snapshot().reason,
        "probe failed: status 503, expected 2xx"
    );

    server.behave(Conduct::status("200 OK"));
    let up = next(&mut transitions).await;
    assert_eq!((up.from, up.to), (Availability::Down, Availability::Up));
    assert_eq!(up.reason, Reason::ProbesSucceeded);
    assert_eq!(health.availability(), Availability::Up);
    assert_eq!(monitor.stats().transitions, 2);
}

/// Nothing listens: down by refused connects. Something listens again: up.
#[tokio::test]
async fn a_refusing_endpoint_goes_down_and_returns() {
    let (socket, address) = refusing();
    let (monitor, _task) = start(config());
    let mut transitions = monitor.transitions();
    let _health = monitor.watch(target(address, Some(QUICK)));
    let Reason::ProbeFailed(ProbeFailure::Connect(cause)) = next(&mut transitions).await.reason
    else {
        panic!("expected a failed connect");
    };
    assert!(cause.contains("refused"), "{cause}");
    let _server = Server::listen(socket.listen(8).unwrap(), Conduct::status("200 OK"));
    assert_eq!(next(&mut transitions).await.to, Availability::Up);
    assert!(monitor.stats().probes.connect >= 3);
}

/// Accepting connections isn't being alive.
#[tokio::test]
async fn a_hung_endpoint_goes_down_by_timeout() {
    let timeout = Duration::from_millis(50);
    let reason = failure_of(Conduct::Hang, ProbeSpec { timeout, ..QUICK }).await;
    assert_eq!(reason, Reason::ProbeFailed(ProbeFailure::Timeout(timeout)));
}

/// Neither is talking without making sense, or hanging up.
#[tokio::test]
async fn a_broken_endpoint_goes_down() {
    for conduct in [
        Conduct::Reset,
        Conduct::Answer("SSH-2.0-OpenSSH_9.2\r\n".into()),
    ] {
        let reason = failure_of(conduct, QUICK).await;
        assert!(
            matches!(&reason, Reason::ProbeFailed(ProbeFailure::Broken(_))),
            "{reason}"
        );
    }
}

/// An HTTPS endpoint is probed by TLS, on its own port, and only a certificate that the client
/// trusts makes it healthy.
#[tokio::test]
async fn https_is_probed_with_verification() {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let root = Certificate::from_der(issued.cert.der()).unwrap();
    let server = Server::start_tls(Conduct::status("200 OK"), &issued).await;
    let https = Target {
        url: format!("https://{}/health", server.address)
            .parse()
            .unwrap(),
        client: builder().tls_certs_only([root]).build().unwrap(),
        ..target(server.address, None)
    };
    assert_eq!(crate::probe::probe(&https, DEADLINE).await, Ok(()));

    let trusting_nobody = Target {
        client: builder().tls_certs_only([]).build().unwrap(),
        ..https
    };
    let Err(ProbeFailure::Connect(cause)) = crate::probe::probe(&trusting_nobody, DEADLINE).await
    else {
        panic!("expected a failed handshake");
    };
    assert!(cause.contains("certificate"), "{cause}");
}

/// A redirect says nothing about who answers behind it, so it isn't followed.
#[tokio::test]
async fn redirects_are_failures() {
    let elsewhere = Server::start(Conduct::status("200 OK")).await;
    let redirect = Conduct::Answer(format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.address
    ));
    let reason = failure_of(redirect.clone(), QUICK).await;
    assert_eq!(reason, Reason::ProbeFailed(ProbeFailure::Status(302)));
    assert!(elsewhere.requests().is_empty());

    let server = Server::start(redirect).await;
    let following = builder()
        .redirect(redirect::Policy::limited(3))
        .build()
        .unwrap();
    let target = Target {
        client: following,
        ..target(server.address, None)
    };
    let result = crate::probe::probe(&target, DEADLINE).await;
    assert_eq!(
        result,
        Err(ProbeFailure::Redirected),
        "even by a client that follows them"
    );
}

/// Slow is not dead.
#[tokio::test]
async fn a_slow_endpoint_stays_up() {
    let server = Server::start(Conduct::Slow(Duration::from_millis(30))).await;
    let (monitor, _task) = start(config());
    let health = monitor.watch(target(server.address, Some(QUICK)));
    eventually("three probes", || monitor.stats().probes.ok >= 3).await;
    assert_eq!(health.availability(), Availability::Up);
    assert_eq!(monitor.stats().probes.total(), monitor.stats().probes.ok);
    assert!(health.snapshot().last_probe.unwrap().latency_ms >= 30.0);
}

/// Many waiting requests raise one suspicion, and one failed probe confirms it: an hour before
/// the next regular one.
#[tokio::test]
async fn a_suspicion_is_probed_at_once() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config_without_retries());
    let mut transitions = monitor.transitions();
    let timeout = Duration::from_millis(50);
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
    eventually("everybody's first probe", || {
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
    drop(waiting.watch(target(server.address, Some(spec))));
    assert_eq!(
        waiting.schedule.lock().len(),
        0,
        "a planned probe is given up as well"
    );
}

/// Twenty thousand endpoints, all due and all hanging: one entry each, one task for all, and no
/// more probes than permitted.
#[tokio::test]
async fn many_endpoints_cost_one_task() {
    let server = Server::start(Conduct::Hang).await;
    let monitor = Monitor::new(MonitorConfig {
        max_concurrent_probes: 8,
        ..config()
    });
    let base = target(server.address, Some(RARE));
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let held: Vec<_> = (0..20_000)
        .map(|identity| {
            monitor.watch(Target {
                identity,
                ..base.clone()
            })
        })
        .collect();
    assert_eq!(monitor.schedule.lock().len(), 20_000);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks_before);

    let _task = tokio::spawn(Arc::clone(&monitor).run());
    eventually("as many probes as permitted", || server.open() == 8).await;
    assert_eq!(
        monitor.schedule.lock().len(),
        0,
        "all others wait for their turn"
    );
    assert_eq!(server.requests().len(), 8);
    // The scheduler; a probe and its connection's driver and the server's end, eight times.
    let tasks = Handle::current().metrics().num_alive_tasks() - tasks_before;
    assert!(tasks <= 1 + 8 * 4, "{tasks} tasks");
    drop(held);
    assert_eq!(monitor.stats().endpoints, 0);
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

/// Nothing secret gets into a log by way of `Debug`.
#[tokio::test]
async fn debug_output_hides_credentials() {
    let monitor = Monitor::new(config());
    let target = Target {
        url: "http://user:s3cret@127.0.0.1:1/health".parse().unwrap(),
        authorization: Some(HeaderValue::from_static("Basic s3cret")),
        ..target(refusing().1, None)
    };
    let health = monitor.watch(target.clone());
    let debugged = format!("{target:?} {health:?} {:?}", health.snapshot());
    assert!(!debugged.contains("s3cret"), "{debugged}");
}

const DEADLINE: Duration = Duration::from_secs(20);
