use Availability::{Down, Ejected, HalfOpen, Up};
use BalancingPolicy::{FirstAvailable, LeastLoaded, RoundRobin};
use proptest::prelude::*;

use super::*;

fn endpoint(availability: Availability, priority: u16) -> Candidate {
    Candidate {
        availability,
        priority,
        weight: 1,
        in_flight: 0,
    }
}

fn first(candidates: &[Candidate], trial: bool) -> Option<usize> {
    pick(candidates, Tried::default(), FirstAvailable, || 0, trial)
}

#[test]
fn first_available_takes_the_lowest_priority_that_is_up_then_the_order_of_the_list() {
    assert_eq!(first(&[endpoint(Up, 1), endpoint(Up, 0)], false), Some(1));
    assert_eq!(first(&[endpoint(Up, 0), endpoint(Up, 0)], false), Some(0));
    assert_eq!(first(&[endpoint(Down, 0), endpoint(Up, 9)], false), Some(1));
}

#[test]
fn ejected_endpoints_are_the_last_resort_and_down_ones_are_none() {
    assert_eq!(
        first(&[endpoint(Ejected, 0), endpoint(Up, 9)], false),
        Some(1)
    );
    assert_eq!(
        first(&[endpoint(Ejected, 1), endpoint(Down, 0)], false),
        Some(0)
    );
    assert_eq!(first(&[endpoint(Down, 0), endpoint(Down, 1)], true), None);
}

#[test]
fn a_half_open_endpoint_is_tried_by_whoever_may_and_by_nobody_else() {
    let candidates = [endpoint(Up, 0), endpoint(HalfOpen, 1)];
    assert_eq!(first(&candidates, true), Some(1));
    assert_eq!(first(&candidates, false), Some(0));
}

#[test]
fn round_robin_gives_each_its_weight() {
    let mut candidates = [endpoint(Up, 0); 3];
    candidates[1].weight = 3;
    let mut counts = [0; 3];
    for turn in 0..500 {
        let position = pick(&candidates, Tried::default(), RoundRobin, || turn, false);
        counts[position.expect("one is up")] += 1;
    }
    assert_eq!(counts, [100, 300, 100]);
}

#[test]
fn least_loaded_never_prefers_the_busier_of_two() {
    let mut candidates = [endpoint(Up, 0); 2];
    candidates[0].in_flight = 5;
    for turn in 0..100 {
        let position = pick(&candidates, Tried::default(), LeastLoaded, || turn, false);
        assert_eq!(position, Some(1));
    }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let availability = prop::sample::select(&[Up, HalfOpen, Ejected, Down][..]);
    let candidate = (availability, 0_u16..4, 1_u16..10, 0_usize..10).prop_map(
        |(availability, priority, weight, in_flight)| Candidate {
            availability,
            priority,
            weight,
            in_flight,
        },
    );
    prop::collection::vec(candidate, 0..12)
}

proptest! {
    #[test]
    fn one_that_is_up_always_comes_before_any_other(
        candidates in candidates(),
        policy in prop::sample::select(&[FirstAvailable, LeastLoaded, RoundRobin][..]),
        turn: u32,
    ) {
        let position = pick(&candidates, Tried::default(), policy, || turn, false);
        let up = candidates.iter().any(|c| c.availability == Up);
        let ejected = candidates.iter().any(|c| c.availability == Ejected);
        match position.map(|position| candidates[position].availability) {
            Some(Up) => {}
            Some(Ejected) => prop_assert!(!up),
            Some(HalfOpen) => prop_assert!(!up && !ejected),
            Some(Down) => prop_assert!(false, "one that is down was picked"),
            None => prop_assert!(candidates.iter().all(|c| c.availability == Down)),
        }
    }

    #[test]
    fn marking_what_was_picked_visits_every_usable_endpoint_once(
        candidates in candidates(),
        policy in prop::sample::select(&[FirstAvailable, LeastLoaded, RoundRobin][..]),
        turn: u32,
    ) {
        let mut tried = Tried::default();
        while let Some(position) = pick(&candidates, tried, policy, || turn, false) {
            prop_assert!(!tried.contains(position));
            tried.mark(position);
        }
        let usable = candidates.iter().filter(|c| c.availability != Down).count();
        prop_assert_eq!(tried.count() as usize, usable);
    }
}
