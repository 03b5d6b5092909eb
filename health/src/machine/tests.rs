use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{ejection::EjectionPolicy, jitter::Jitter};

const SECOND: Duration = Duration::from_secs(1);

fn probed() -> Machine {
    let spec = Some(ProbeSpec::default());
    Machine::new(Rules::new(
        EjectionPolicy::default(),
        Jitter::new(0.0),
        spec,
    ))
}

fn unprobed() -> Machine {
    Machine::new(Rules::new(
        EjectionPolicy::default(),
        Jitter::new(0.0),
        None,
    ))
}

fn refused() -> ProbeFailure {
    ProbeFailure::Connect("connection refused".into())
}

fn good(machine: &mut Machine, now: Instant) -> Option<Availability> {
    machine
        .on_probe(Ok(()), false, now, 0.0)
        .map(|change| change.to)
}

fn bad(machine: &mut Machine, now: Instant) -> Option<Availability> {
    machine
        .on_probe(Err(refused()), false, now, 0.0)
        .map(|change| change.to)
}

fn fail(machine: &mut Machine, failure: Failure, now: Instant) -> Option<Availability> {
    match machine.on_failure(failure, now, 0.0) {
        Effect::Changed(change) => Some(change.to),
        Effect::None | Effect::Suspect => None,
    }
}

fn wait(machine: &Machine, now: Instant) -> Option<Duration> {
    machine.next_check(now, 0.0).map(|at| at - now)
}

/// Three bad probes take down, two good ones bring back, and in between the pace is fast.
#[test]
fn probes_need_their_thresholds() {
    let (mut machine, now) = (probed(), Instant::now());
    assert_eq!(wait(&machine, now), Some(30 * SECOND));
    assert_eq!(bad(&mut machine, now), None);
    assert_eq!(
        wait(&machine, now),
        Some(SECOND),
        "the second opinion is asked for soon"
    );
    assert_eq!(bad(&mut machine, now), None);
    assert_eq!(bad(&mut machine, now), Some(Availability::Down));
    assert_eq!(good(&mut machine, now), None);
    assert_eq!(wait(&machine, now), Some(SECOND));
    assert_eq!(good(&mut machine, now), Some(Availability::Up));
    assert_eq!(wait(&machine, now), Some(30 * SECOND));
}

/// A dead endpoint is asked often at first, because most outages are restarts, then rarely.
#[test]
fn probes_of_a_dead_endpoint_slow_down() {
    let (mut machine, now) = (probed(), Instant::now());
    let waits: Vec<_> = (0..9)
        .map(|_| {
            bad(&mut machine, now);
            wait(&machine, now).unwrap().as_secs()
        })
        .collect();
    assert_eq!(waits, [1, 1, 1, 2, 4, 8, 16, 30, 30]);
}

/// An endpoint that is starting isn't down for that: its probes count from the first good one, or
/// from the end of the grace, and follow each other closely until then.
#[test]
fn a_starting_endpoint_has_its_grace() {
    let (mut machine, now) = (probed(), Instant::now());
    machine.excuse(now + 60 * SECOND);
    for _ in 0..10 {
        assert_eq!(bad(&mut machine, now), None);
    }
    assert_eq!(wait(&machine, now), Some(SECOND));
    assert_eq!(machine.counter().failures(), 0);
    let mut started = machine.clone();
    assert_eq!(good(&mut started, now), None);
    assert_eq!(wait(&started, now), Some(30 * SECOND));
    for down in [None, None, Some(Availability::Down)] {
        assert_eq!(bad(&mut started, now), down, "it had started");
    }
    let late = now + 60 * SECOND;
    for down in [None, None, Some(Availability::Down)] {
        assert_eq!(bad(&mut machine, late), down, "the grace is over");
    }
}

/// What live requests say counts from the beginning.
#[test]
fn grace_does_not_overrule_requests() {
    let (mut machine, now) = (probed(), Instant::now());
    machine.excuse(now + 60 * SECOND);
    let mut refusing = machine.clone();
    assert_eq!(
        fail(&mut refusing, Failure::Connect, now),
        Some(Availability::Down)
    );
    assert_eq!(bad(&mut refusing, now + SECOND), None);
    assert_eq!(
        good(&mut refusing, now + 10 * SECOND),
        Some(Availability::Up)
    );
    let change = machine.on_probe(Err(refused()), true, now, 0.0);
    assert_eq!(change.map(|change| change.to), Some(Availability::Down));
}

/// With a suspicion from live requests one bad probe is enough; a good one clears it.
#[test]
fn a_suspected_endpoint_goes_down_with_one_bad_probe() {
    let (mut machine, now) = (probed(), Instant::now());
    assert_eq!(machine.on_probe(Ok(()), true, now, 0.0), None);
    let change = machine.on_probe(Err(refused()), true, now, 0.0).unwrap();
    assert_eq!(
        (change.from, change.to),
        (Availability::Up, Availability::Down)
    );
    assert_eq!(change.reason, Reason::ProbeFailed(refused()));
    assert_eq!(
        good(&mut machine, now),
        None,
        "the way back is the usual one"
    );
    assert_eq!(good(&mut machine, now), Some(Availability::Up));
}

/// A failed connect needs no second opinion; a good probe counts only after the back-off, but
/// then a single one is enough.
#[test]
fn a_failed_connect_holds_down_for_the_back_off() {
    let (mut machine, now) = (probed(), Instant::now());
    assert_eq!(
        fail(&mut machine, Failure::Connect, now),
        Some(Availability::Down)
    );
    assert_eq!(
        wait(&machine, now),
        Some(SECOND),
        "probed when the back-off ends"
    );
    assert_eq!(good(&mut machine, now + SECOND / 2), None);
    assert_eq!(good(&mut machine, now + SECOND), Some(Availability::Up));
}

/// All requests of one outage fail together; that is one ejection, with one back-off.
#[test]
fn simultaneous_connect_failures_are_one_ejection() {
    let (mut machine, now) = (probed(), Instant::now());
    let changes = (0..50)
        .filter_map(|_| fail(&mut machine, Failure::Connect, now))
        .count();
    assert_eq!(changes, 1);
    assert_eq!(machine.back_off().ejections(), 1);
    assert_eq!(machine.back_off().until(), Some(now + SECOND));
}

/// Five in a row eject softly; a success within them starts over.
#[test]
fn a_streak_of_failures_ejects() {
    let (mut machine, now) = (probed(), Instant::now());
    for _ in 0..4 {
        assert_eq!(fail(&mut machine, Failure::Reset, now), None);
    }
    assert!(machine.success_matters());
    assert_eq!(machine.on_success(now), None);
    assert!(!machine.success_matters());
    for _ in 0..4 {
        assert_eq!(fail(&mut machine, Failure::Reset, now), None);
    }
    assert_eq!(
        fail(&mut machine, Failure::Timeout, now),
        Some(Availability::Ejected)
    );
    assert_eq!(
        machine.on_success(now + SECOND),
        None,
        "a late reply of before isn't a recovery"
    );
    assert_eq!(good(&mut machine, now + SECOND), Some(Availability::Up));
}

/// What live requests found suspicious and a probe finds dead is dead, without more counting.
#[test]
fn a_bad_probe_turns_ejected_into_down() {
    let (mut machine, now) = (probed(), Instant::now());
    for _ in 0..5 {
        fail(&mut machine, Failure::Timeout, now);
    }
    assert_eq!(bad(&mut machine, now + SECOND), Some(Availability::Down));
    assert_eq!(
        machine.back_off().until(),
        Some(now + 3 * SECOND),
        "and stays out longer"
    );
    assert_eq!(good(&mut machine, now + 3 * SECOND), Some(Availability::Up));
}

/// Requests of last resort that can't even connect show that the endpoint is down.
#[test]
fn a_failed_connect_turns_ejected_into_down() {
    let (mut machine, now) = (unprobed(), Instant::now());
    for _ in 0..5 {
        fail(&mut machine, Failure::BadGateway, now);
    }
    assert_eq!(fail(&mut machine, Failure::Reset, now), None);
    assert_eq!(
        fail(&mut machine, Failure::Connect, now),
        Some(Availability::Down)
    );
    assert_eq!(
        machine.back_off().until(),
        Some(now + SECOND),
        "still the same outage"
    );
}

/// Whatever led to the return, an endpoint that is up again has its full thresholds again.
#[test]
fn a_return_starts_over() {
    let (mut machine, now) = (probed(), Instant::now());
    for _ in 0..5 {
        fail(&mut machine, Failure::Reset, now);
    }
    let later = now + 60 * SECOND;
    assert_eq!(bad(&mut machine, later), Some(Availability::Down));
    let later = later + 60 * SECOND;
    assert_eq!(good(&mut machine, later), Some(Availability::Up));
    assert_eq!([(); 2].map(|()| bad(&mut machine, later)), [None; 2]);
    assert_eq!(
        [(); 4].map(|()| fail(&mut machine, Failure::Reset, later)),
        [None; 4]
    );
    assert_eq!(bad(&mut machine, later), Some(Availability::Down));
}

/// An ejection doesn't keep probes off longer than they would be anyway.
#[test]
fn failed_probes_prolong_at_most_by_the_interval() {
    let spec = ProbeSpec {
        interval: 3 * SECOND,
        ..ProbeSpec::default()
    };
    let mut machine = Machine::new(Rules::new(
        EjectionPolicy::default(),
        Jitter::new(0.0),
        Some(spec),
    ));
    let mut now = Instant::now();
    fail(&mut machine, Failure::Connect, now);
    let mut waits = vec![];
    for _ in 0..5 {
        let next = machine.next_check(now, 0.0).unwrap();
        waits.push((next - now).as_secs());
        now = next;
        bad(&mut machine, now);
    }
    assert_eq!(waits, [1, 2, 3, 3, 3]);
}

/// Without probing one live request decides, and a failed one prolongs the wait.
#[test]
fn without_probing_a_trial_decides() {
    let (mut machine, now) = (unprobed(), Instant::now());
    assert_eq!(
        wait(&machine, now),
        None,
        "nothing to do for an endpoint that is up"
    );
    assert_eq!(
        fail(&mut machine, Failure::Connect, now),
        Some(Availability::Down)
    );
    assert_eq!(machine.on_deadline(now), None);
    let now = now + wait(&machine, now).unwrap();
    assert_eq!(machine.on_deadline(now).unwrap().to, Availability::HalfOpen);
    assert_eq!(
        wait(&machine, now),
        None,
        "half-open waits for a request, not for time"
    );
    assert_eq!(
        fail(&mut machine, Failure::Unavailable, now),
        Some(Availability::Ejected)
    );
    assert_eq!(wait(&machine, now), Some(2 * SECOND));
    let now = now + 2 * SECOND;
    machine.on_deadline(now).unwrap();
    assert!(machine.success_matters());
    assert_eq!(
        machine.on_success(now).unwrap().reason,
        Reason::TrialSucceeded
    );
    assert_eq!(machine.availability(), Availability::Up);
}

/// Overload: 503 and nothing else, however often, asks for probes and leaves the endpoint in use.
#[test]
fn overload_alone_never_ejects() {
    let (mut machine, now) = (probed(), Instant::now());
    let effects: Vec<_> = (0..20)
        .map(|_| machine.on_failure(Failure::Unavailable, now, 0.0))
        .collect();
    assert!(effects[..4].iter().all(|effect| *effect == Effect::None));
    assert!(effects[4..].iter().all(|effect| *effect == Effect::Suspect));
    assert_eq!(machine.on_probe(Ok(()), true, now, 0.0), None);
    assert_eq!(machine.availability(), Availability::Up);
}

#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Probe { ok: bool, suspected: bool },
    Success,
    Failure(Failure),
    Deadline,
}

fn event() -> impl Strategy<Value = Event> {
    let failure = prop::sample::select(vec![
        Failure::BadGateway,
        Failure::Connect,
        Failure::Outpaced,
        Failure::Protocol,
        Failure::Reset,
        Failure::Timeout,
        Failure::Unavailable,
    ]);
    prop_oneof![
        (0_u64..20_000).prop_map(Event::Pass),
        (any::<bool>(), any::<bool>()).prop_map(|(ok, suspected)| Event::Probe { ok, suspected }),
        Just(Event::Success),
        failure.prop_map(Event::Failure),
        Just(Event::Deadline),
    ]
}

fn step(machine: &mut Machine, event: &Event, now: Instant, noise: f64) -> Option<Change> {
    match *event {
        Event::Pass(_) => None,
        Event::Probe { ok, suspected } => {
            let result = if ok { Ok(()) } else { Err(refused()) };
            machine.on_probe(result, suspected, now, noise)
        }
        Event::Success => machine.on_success(now),
        Event::Failure(failure) => match machine.on_failure(failure, now, noise) {
            Effect::Changed(change) => Some(change),
            Effect::None | Effect::Suspect => None,
        },
        Event::Deadline => machine.on_deadline(now),
    }
}

proptest! {
    /// Whatever happens in whatever order: changes are told truly, nothing returns before its
    /// back-off is over, nothing out of use is forgotten, and a success that isn't reported
    /// because it wouldn't matter wouldn't have mattered.
    #[test]
    fn invariants_hold_through_any_history(
        probing in any::<bool>(),
        noise in 0.0..1.0_f64,
        events in prop::collection::vec(event(), 0..200),
    ) {
        let spec = probing.then(ProbeSpec::default);
        let mut machine = Machine::new(Rules::new(EjectionPolicy::default(), Jitter::new(0.2), spec));
        let mut now = Instant::now();
        for event in events {
            if let Event::Pass(ms) = event {
                now += Duration::from_millis(ms);
            }
            // Only endpoints with probing are probed.
            if !probing && matches!(event, Event::Probe { .. }) {
                continue;
            }
            let before = machine.clone();
            let change = step(&mut machine, &event, now, noise);
            let (from, to) = (before.availability(), machine.availability());
            prop_assert_eq!(change.is_some(), from != to);
            if let Some(change) = change {
                prop_assert_eq!((change.from, change.to), (from, to));
            }
            if from > to {
                prop_assert!(before.back_off().until().is_none_or(|until| until <= now));
            }
            prop_assert!(!(probing && to == Availability::HalfOpen));
            if to == Availability::Ejected {
                prop_assert!(machine.back_off().is_holding());
            }
            let latest = now + Duration::from_secs(36);
            match machine.next_check(now, noise) {
                Some(at) => prop_assert!(at <= latest),
                None => prop_assert!(!probing && to <= Availability::HalfOpen),
            }
            if !machine.success_matters() {
                let mut told = machine.clone();
                prop_assert_eq!(told.on_success(now), None);
                prop_assert_eq!(format!("{told:?}"), format!("{machine:?}"));
            }
        }
    }
}
