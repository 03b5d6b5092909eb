use Availability::{Down, Ejected, HalfOpen, Up};
use std::cell::Cell;

use BalancingPolicy::{FirstAvailable, LeastLoaded, Nearest, RoundRobin};
use proptest::prelude::*;

use super::*;

fn endpoint(availability: Availability, priority: u16) -> Candidate {
    Candidate {
        availability,
        priority,
        weight: 1,
        share: FULL_SHARE,
        is_near: false,
        cost: 0,
    }
}

/// The policy, with a cap that leaves alone who is ejected.
fn rules(policy: BalancingPolicy) -> Rules {
    Rules {
        policy,
        max_ejected: 1.0,
    }
}

/// How often each is picked in so many turns.
fn picked(candidates: &[Candidate], rules: Rules, turns: u32) -> Vec<u32> {
    let (turn, mut counts) = (Cell::new(0_u32), vec![0; candidates.len()]);
    let next = || {
        turn.set(turn.get() + 1);
        turn.get()
    };
    for _ in 0..turns {
        let position = pick(candidates, Tried::default(), rules, &next, false);
        counts[position.expect("one is usable")] += 1;
    }
    counts
}

fn first(candidates: &[Candidate], trial: bool) -> Option<usize> {
    pick(
        candidates,
        Tried::default(),
        rules(FirstAvailable),
        &|| 0,
        trial,
    )
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
        let tried = Tried::default();
        let position = pick(&candidates, tried, rules(RoundRobin), &|| turn, false);
        counts[position.expect("one is up")] += 1;
    }
    assert_eq!(counts, [100, 300, 100]);
}

#[test]
fn least_loaded_never_prefers_the_busier_of_two() {
    let mut candidates = [endpoint(Up, 0); 2];
    candidates[0].cost = 5;
    assert_eq!(picked(&candidates, rules(LeastLoaded), 100), [0, 100]);
}

#[test]
fn nearest_prefers_its_zone_and_there_the_cheaper() {
    let mut candidates = [endpoint(Up, 0); 4];
    candidates[1].is_near = true;
    candidates[1].cost = 900;
    candidates[3].is_near = true;
    candidates[3].cost = 300;
    assert_eq!(picked(&candidates, rules(Nearest), 100), [0, 0, 0, 100]);
    candidates[3].availability = Down;
    assert_eq!(picked(&candidates, rules(Nearest), 100), [0, 100, 0, 0]);
    candidates[1].availability = Ejected;
    let far = picked(&candidates, rules(Nearest), 1000);
    assert_eq!((far[1], far[3]), (0, 0));
    assert!(far[0] > 300 && far[2] > 300, "{far:?}");
    candidates[2].priority = 1;
    candidates[1].availability = Up;
    candidates[1].priority = 1;
    let first = picked(&candidates, rules(Nearest), 100);
    assert_eq!(first, [100, 0, 0, 0], "priority goes before zone");
}

#[test]
fn where_too_many_are_out_ejected_ones_share_the_load() {
    let half = |policy| Rules {
        policy,
        max_ejected: 0.5,
    };
    let mut candidates = [endpoint(Ejected, 0); 4];
    candidates[0].availability = Up;
    candidates[1].availability = Up;
    let counts = picked(&candidates, half(RoundRobin), 400);
    assert_eq!(counts, [200, 200, 0, 0], "half are left");
    candidates[1].availability = Down;
    let counts = picked(&candidates, half(RoundRobin), 300);
    assert_eq!(counts, [100, 0, 100, 100], "a quarter is not enough");
    let counts = picked(&candidates, half(FirstAvailable), 10);
    assert_eq!(counts, [10, 0, 0, 0], "one gets all anyway");
    let counts = picked(
        &candidates[..3],
        Rules {
            policy: RoundRobin,
            max_ejected: 0.7,
        },
        10,
    );
    assert_eq!(counts, [10, 0, 0]);
}

#[test]
fn one_may_always_be_ejected() {
    let none = Rules {
        policy: RoundRobin,
        max_ejected: 0.0,
    };
    let candidates = [endpoint(Ejected, 0), endpoint(Up, 0)];
    assert_eq!(picked(&candidates, none, 100), [0, 100]);
}

#[test]
fn one_that_came_back_gets_its_share_under_every_policy() {
    for policy in [FirstAvailable, LeastLoaded, Nearest, RoundRobin] {
        let mut candidates = [endpoint(Up, 0); 2];
        candidates[0].share = 250;
        // Otherwise it would get all of them.
        candidates[1].cost = 9;
        let before = if policy == RoundRobin { 2_000 } else { 4_000 };
        let counts = picked(&candidates, rules(policy), 4_000);
        let quarter = before / 4;
        assert!(
            counts[0].abs_diff(quarter) < quarter / 5,
            "{policy:?}: {counts:?}"
        );
        candidates[1].availability = Ejected;
        let counts = picked(&candidates, rules(policy), 100);
        assert_eq!(counts, [100, 0], "{policy:?}: there is no other");
    }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let availability = prop::sample::select(&[Up, HalfOpen, Ejected, Down][..]);
    let (share, near) = (1_u16..=FULL_SHARE, any::<bool>());
    let candidate = (availability, 0_u16..4, 1_u16..10, share, near, 0_u64..10).prop_map(
        |(availability, priority, weight, share, is_near, cost)| Candidate {
            availability,
            priority,
            weight,
            share: if availability == Up {
                share
            } else {
                FULL_SHARE
            },
            is_near,
            cost,
        },
    );
    prop::collection::vec(candidate, 0..12)
}

proptest! {
    #[test]
    fn one_that_is_up_always_comes_before_any_other(
        candidates in candidates(),
        policy in prop::sample::select(&[FirstAvailable, LeastLoaded, Nearest, RoundRobin][..]),
        turn: u32,
    ) {
        let position = pick(&candidates, Tried::default(), rules(policy), &|| turn, false);
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

    /// What is said to serve is what is picked, turn by turn, and nothing else is.
    #[test]
    fn those_that_serve_are_those_that_are_picked(
        mut candidates in candidates(),
        policy in prop::sample::select(&[FirstAvailable, LeastLoaded, Nearest, RoundRobin][..]),
        unfit: [bool; 12],
        max_ejected in 0.0..=1.0_f64,
    ) {
        let rules = Rules { policy, max_ejected };
        let mut aside = Tried::default();
        (0..12).filter(|position| unfit[*position]).for_each(|position| aside.mark(position));
        for candidate in &mut candidates {
            candidate.share = FULL_SHARE;
            // Costs decide between two that are drawn; here all have a chance.
            candidate.cost = 0;
        }
        let turn = Cell::new(0_u32);
        let next = || turn.replace(turn.get() + 1);
        let mut picked = Tried::default();
        for _ in 0..400 {
            if let Some(position) = pick(&candidates, aside, rules, &next, false) {
                picked.mark(position);
            }
        }
        prop_assert_eq!(serving(&candidates, aside, rules), picked);
    }

    #[test]
    fn marking_what_was_picked_visits_every_usable_endpoint_once(
        candidates in candidates(),
        policy in prop::sample::select(&[FirstAvailable, LeastLoaded, Nearest, RoundRobin][..]),
        turn: u32,
        max_ejected in 0.0..=1.0_f64,
    ) {
        let rules = Rules { policy, max_ejected };
        let mut tried = Tried::default();
        while let Some(position) = pick(&candidates, tried, rules, &|| turn, false) {
            prop_assert!(!tried.contains(position));
            tried.mark(position);
        }
        let usable = candidates.iter().filter(|c| c.availability != Down).count();
        prop_assert_eq!(tried.count() as usize, usable);
    }
}
