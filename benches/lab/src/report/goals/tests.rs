use super::*;
use crate::{
    procfs::Memory,
    record::tests::record,
    scenario::{beyond, latency as times},
};

fn rounds(peer: Kind, rounds: &[f64]) -> Rounds<f64> {
    Rounds {
        peer,
        rounds: rounds.to_vec(),
    }
}

#[test]
fn the_better_peer_is_the_better_one_of_each_round() {
    let all = [
        rounds(OURS, &[10.0, 12.0, 11.0]),
        rounds(Kind::Haproxy, &[20.0, 10.0, 22.0]),
        rounds(Kind::Nginx, &[10.0, 24.0, 11.0]),
    ];
    let seen = beside(&all, &[Kind::Haproxy, Kind::Nginx], |seen| Some(*seen));
    let seen = seen.expect("compared");
    assert_eq!((seen.min, seen.median, seen.max), (1.0, 1.0, 1.2));
    let alone = beside(&all[..1], &[Kind::Haproxy], |seen| Some(*seen));
    assert_eq!(alone, None);
}

#[test]
fn a_goal_is_met_at_its_limit_and_missed_beyond() {
    let met = |seen| Goal::amount("x", 50.0, "ms", 1, seen).seen;
    assert_eq!(met(Some(50.0)), Some(("50.0 ms".into(), true)));
    assert_eq!(met(Some(50.04)), Some(("50.0 ms".into(), false)));
    assert_eq!(met(None), None);
    let spread = Spread::of([0.9, 1.0, 1.3]);
    let seen = Goal::multiple("x", 1.0, spread).seen;
    assert_eq!(seen, Some(("1.000 (0.900–1.300) ×".into(), true)));
}

#[test]
fn what_is_added_is_compared_with_the_peer_that_adds_least() {
    let times = |peer, p50_us| Rounds {
        peer,
        rounds: vec![Times {
            p50_us,
            p99_us: 300.0 - p50_us,
        }],
    };
    let lone = vec![
        times(crate::report::BASE, 50.0),
        times(OURS, 170.0),
        times(Kind::Nginx, 180.0),
        times(Kind::Envoy, 190.0),
    ];
    let figures = times::Latency {
        lone,
        paced: Vec::new(),
    };
    let records = Records {
        latency: Some(record(0, times::Extent::FULL, figures)),
        ..Records::default()
    };
    let table = table(&records);
    let row = "| p50 added over direct on one connection | 130 µs (nginx) | 120 µs | met |";
    assert!(table.contains(row), "{table}");
    let row = "| p99 added over direct on one connection | -140 µs (Envoy) | -120 µs | missed |";
    assert!(table.contains(row), "{table}");
    let row = "| p50 added over direct at 1,000 requests/s | the best peer's | – | not measured |";
    assert!(table.contains(row), "{table}");
}

#[test]
fn memory_that_grows_until_half_of_the_loads_are_over_is_bounded() {
    let beyond = |resident: &[u64]| {
        let held = |&resident| Memory {
            resident,
            peak: resident,
        };
        let asked = resident.iter().map(|resident| beyond::Asked {
            tenants: 0,
            memory: held(resident),
            cpu_us: None,
        });
        Beyond {
            filling: std::time::Duration::ZERO,
            known: held(&10),
            asked: asked.collect(),
        }
    };
    let seen = |resident| growth(&beyond(resident)).map(|seen| seen.median);
    assert_eq!(seen(&[100, 200, 201, 200]), Some(1.0));
    assert_eq!(seen(&[100, 200, 300, 400]), Some(2.0));
    assert_eq!(seen(&[100]), None);
    assert_eq!(seen(&[]), None);
}

#[test]
fn every_goal_is_told_even_of_nothing() {
    let table = table(&Records::default());
    assert_eq!(table.matches("not measured").count(), 35, "{table}");
}
