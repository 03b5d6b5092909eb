//! Many tenants on one backend: how often it is asked, and how soon all of them know.

use super::*;

/// As many endpoints on one port, told apart by their credentials.
fn crowd(monitor: &Arc<Monitor>, server: &Server, spec: ProbeSpec) -> Vec<Arc<EndpointHealth>> {
    let base = target(server.address, Some(spec));
    let watch = |identity| {
        monitor.watch(Target {
            identity,
            ..base.clone()
        })
    };
    (0..500).map(watch).collect()
}

/// Asserts that the server was asked, and no more often than once per `gap`. A storm would be
/// hundreds at a time; a few too many are a busy machine's, which sees the first ones late.
fn assert_spaced(server: &Server, probes: usize, gap: Duration) {
    let times = server.times();
    assert!(times.len() >= probes, "{} probes", times.len());
    let spread = *times.last().unwrap() - times[0];
    let allowed = spread.as_secs_f64() / gap.as_secs_f64() * 1.2 + 5.0;
    let count = f64::from(u32::try_from(times.len()).unwrap());
    assert!(count <= allowed, "{count} probes in {spread:?}");
}

/// Five hundred tenants share a backend: it is asked as often as by one of them, and whatever it
/// answers, all of them know.
#[tokio::test]
async fn a_crowd_asks_no_more_often_than_one() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config());
    let spec = ProbeSpec {
        interval: Duration::from_millis(100),
        ..QUICK
    };
    let held = crowd(&monitor, &server, spec);
    eventually("several probes", || server.requests().len() >= 8).await;
    assert_spaced(&server, 8, spec.interval);
    assert!(held.iter().all(|health| health.probed().0.is_some()));
    let turns = held.iter().filter(|health| {
        let last = health.probed().0;
        last.is_some_and(|probe| !probe.shared)
    });
    assert!(turns.count() <= server.requests().len());
}

/// It refuses, hangs, and answers 503 to everybody: no storm comes of it either.
#[tokio::test]
async fn no_failure_raises_a_storm() {
    for conduct in [
        Conduct::Hang,
        Conduct::Reset,
        Conduct::status("503 Service Unavailable"),
    ] {
        let server = Server::start(conduct.clone()).await;
        let (monitor, _task) = start(config());
        let spec = ProbeSpec {
            interval: Duration::from_millis(60),
            timeout: Duration::from_millis(30),
            ..QUICK
        };
        let held = crowd(&monitor, &server, spec);
        eventually("several probes", || server.requests().len() >= 10).await;
        for health in &held {
            health.suspect();
        }
        eventually("many probes", || server.requests().len() >= 25).await;
        // A busy machine may end a probe before the server sees it.
        assert_spaced(&server, 25, spec.interval.min(spec.fast_interval()));
        let down = held
            .iter()
            .filter(|health| health.availability() == Availability::Down)
            .count();
        let expected = if matches!(conduct, Conduct::Answer(_)) {
            0..held.len() // each for itself
        } else {
            held.len()..held.len() + 1
        };
        assert!(expected.contains(&down), "{down} down by {conduct:?}");
    }
}

/// A backend that stops listening is down for all its tenants after as many probes as it takes
/// for one, and back for all of them as soon.
#[tokio::test]
async fn a_crowd_goes_down_and_returns_together() {
    let (socket, address) = refusing();
    let (monitor, _task) = start(config());
    let base = target(address, Some(QUICK));
    let held: Vec<_> = (0..500)
        .map(|identity| {
            monitor.watch(Target {
                identity,
                ..base.clone()
            })
        })
        .collect();
    let all = |state| held.iter().all(|health| health.availability() == state);
    eventually("everybody down", || all(Availability::Down)).await;
    let asked = monitor.stats().probes.connect;
    assert!((3..40).contains(&asked), "{asked} probes");
    let _server = Server::listen(socket.listen(8).unwrap(), Conduct::status("200 OK"));
    eventually("everybody up", || all(Availability::Up)).await;
}

/// What one tenant's own path or credentials meet with is nobody else's; and a neighbour that is
/// well doesn't cure it.
#[tokio::test]
async fn one_members_fault_stays_its_own() {
    let unavailable = server::empty("503 Service Unavailable");
    let server = Server::start(Conduct::ByPath(vec![("/ill", unavailable)])).await;
    let (monitor, _task) = start(config());
    let well = monitor.watch(target(server.address, Some(QUICK)));
    let ill = monitor.watch(Target {
        url: format!("http://{}/ill", server.address).parse().unwrap(),
        ..target(server.address, Some(QUICK))
    });
    eventually("the ill one down", || {
        ill.availability() == Availability::Down
    })
    .await;
    let then = monitor.stats().probes.ok;
    eventually("good probes next to it", || {
        monitor.stats().probes.ok >= then + 5
    })
    .await;
    assert_eq!(ill.availability(), Availability::Down);
    assert_eq!(well.availability(), Availability::Up);
    server.behave(Conduct::status("200 OK"));
    eventually("the ill one up", || ill.availability() == Availability::Up).await;
}

/// A tenant that joins others knows at once what they know.
#[tokio::test]
async fn a_newcomer_hears_of_the_last_good_probe() {
    let server = Server::start(Conduct::status("200 OK")).await;
    let (monitor, _task) = start(config());
    let first = monitor.watch(target(server.address, Some(RARE)));
    eventually("its probe", || first.probed().0.is_some()).await;
    let second = monitor.watch(Target {
        identity: 1,
        ..target(server.address, Some(RARE))
    });
    let known = second.probed().0.unwrap();
    assert!(known.ok && known.shared);
    drop(first);
    assert_eq!(monitor.stats().endpoints, 1);
    drop(second);
    assert_eq!(monitor.stats().endpoints, 0);
    assert_eq!(monitor.schedule.lock().len(), 0);
}
