use proptest::prelude::*;

use super::*;
use crate::{jitter::Jitter, rules::BASE_MIN};

fn second(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn exact(policy: EjectionPolicy) -> BackOff {
    BackOff::new(Rules::new(policy, Jitter::new(0.0), None))
}

/// Any mix of failures counts in full, at exactly the threshold.
#[test]
fn mixed_failures_eject_at_the_threshold() {
    let mut streak = Streak::default();
    for failure in [
        Failure::Timeout,
        Failure::Reset,
        Failure::BadGateway,
        Failure::Protocol,
    ] {
        assert_eq!(streak.record(failure, 5), StreakVerdict::Wait);
    }
    assert_eq!(streak.record(Failure::Unavailable, 5), StreakVerdict::Eject);
}

/// Overload alone never ejects, however long it lasts; it only asks for a second opinion.
#[test]
fn a_streak_of_503_only_asks_for_a_probe() {
    let mut streak = Streak::default();
    let verdicts: Vec<_> = (0..100)
        .map(|_| streak.record(Failure::Unavailable, 3))
        .collect();
    assert_eq!(verdicts[..2], [StreakVerdict::Wait; 2]);
    assert!(
        verdicts[2..]
            .iter()
            .all(|verdict| *verdict == StreakVerdict::Suspect)
    );
    assert_eq!(streak.record(Failure::BadGateway, 3), StreakVerdict::Eject);
}

/// A success makes earlier failures, and what kind they were, irrelevant.
#[test]
fn reset_forgets_the_kind_of_failure_too() {
    let mut streak = Streak::default();
    streak.record(Failure::Reset, 2);
    streak.reset();
    streak.record(Failure::Unavailable, 2);
    assert_eq!(
        streak.record(Failure::Unavailable, 2),
        StreakVerdict::Suspect
    );
}

/// Each failed return doubles the time, up to the limit of the policy.
#[test]
fn failed_returns_double_up_to_the_maximum() {
    let mut now = Instant::now();
    let mut back_off = exact(EjectionPolicy::default());
    back_off.eject(now, 0.0);
    let mut holds = vec![];
    for _ in 0..7 {
        let until = back_off.until().unwrap();
        holds.push((until - now).as_secs());
        now = until;
        back_off.prolong(now, 0.0, None);
    }
    assert_eq!(holds, [1, 2, 4, 8, 16, 30, 30]);
}

/// An endpoint that fails again right after its return stays out longer than before, and a long
/// time without trouble earns the short back-off again.
#[test]
fn repeated_ejections_add_up_and_are_forgiven() {
    let mut now = Instant::now();
    let mut back_off = exact(EjectionPolicy::default());
    let mut eject_after = |healthy: Duration| {
        now += healthy;
        back_off.eject(now, 0.0);
        let hold = back_off.until().unwrap() - now;
        now += hold;
        back_off.restore(now);
        hold.as_secs()
    };
    assert_eq!(
        [second(0), second(1), second(59)].map(&mut eject_after),
        [1, 2, 4]
    );
    assert_eq!(
        eject_after(second(120)),
        2,
        "two of three forgiven after twice a minute"
    );
    assert_eq!(eject_after(second(3_600)), 1);
    assert_eq!(back_off.ejections(), 5);
}

/// The outage before has no bearing on how long the next one lasts: only ejections do.
#[test]
fn retries_of_an_outage_end_with_it() {
    let now = Instant::now();
    let mut back_off = exact(EjectionPolicy::default());
    back_off.eject(now, 0.0);
    for _ in 0..4 {
        back_off.prolong(now, 0.0, None);
    }
    back_off.restore(now);
    assert_eq!(back_off.retry_delay(), second(1));
    back_off.eject(now, 0.0);
    assert_eq!(back_off.until(), Some(now + second(2)));
}

/// A limit caps what a failed return adds, and never shortens what was decided before.
#[test]
fn a_limit_caps_but_never_shortens() {
    let now = Instant::now();
    let mut back_off = exact(EjectionPolicy {
        base: second(8),
        ..EjectionPolicy::default()
    });
    back_off.eject(now, 0.0);
    back_off.prolong(now, 0.0, Some(second(3)));
    assert_eq!(back_off.until(), Some(now + second(8)));
    back_off.prolong(now + second(8), 0.0, Some(second(3)));
    assert_eq!(back_off.until(), Some(now + second(11)));
}

proptest! {
    /// No policy and no history leads to a back-off of nothing, or beyond the maximum.
    #[test]
    fn holds_stay_within_the_policy(
        base_ms in 0_u64..100_000,
        max_ms in 0_u64..100_000,
        fraction in 0.0..0.5_f64,
        steps in prop::collection::vec((any::<bool>(), 0.0..1.0_f64), 1..50),
    ) {
        let (base, max) = (Duration::from_millis(base_ms), Duration::from_millis(max_ms));
        let policy = EjectionPolicy { consecutive_failures: 5, base, max };
        let mut back_off = BackOff::new(Rules::new(policy, Jitter::new(fraction), None));
        let now = Instant::now();
        back_off.eject(now, 0.0);
        for (again, noise) in steps {
            back_off.restore(now);
            back_off.eject(now, noise);
            if again {
                back_off.prolong(now, noise, None);
            }
            let hold = back_off.until().unwrap() - now;
            prop_assert!(hold >= base.max(BASE_MIN).mul_f64(0.5));
            prop_assert!(hold <= max.max(base).max(BASE_MIN));
        }
    }
}
