//! Where the router stands, when it asks twice, and what takes endpoints out of use.

use super::*;

#[test]
fn hedging_is_off_until_it_is_asked_for() {
    assert_eq!(defaults().settings.upstream.hedge, None);
    assert_eq!(
        good("upstream: {hedge: {min_delay: 1ms}}")
            .settings
            .upstream
            .hedge,
        None
    );
    let hedge = good("upstream: {hedge: {enabled: true, budget_ratio: 0.02}}")
        .settings
        .upstream
        .hedge;
    let hedge = hedge.expect("hedging");
    assert_eq!(hedge.initial_delay, Duration::from_millis(100));
    assert_eq!(
        hedge.budget,
        RetryPolicy {
            ratio: 0.02,
            burst: 32
        }
    );
}

#[test]
fn the_zone_and_the_cap_take_a_restart() {
    let config = good("zone: eu-1a\nhealth: {ejection: {max_ejected: 0.25}}");
    assert_eq!(config.picking.zone.as_deref(), Some("eu-1a"));
    let differing = config.restart_only_differences(&defaults());
    assert_eq!(differing, ["zone", "health"]);
    let slow_start = good("health: {slow_start: 30s}");
    assert_eq!(slow_start.restart_only_differences(&defaults()), ["health"]);
}

#[test]
fn what_makes_no_sense_is_a_fault_with_its_place() {
    assert_faults(
        "zone: ' '
upstream: {hedge: {min_delay: 0s, initial_delay: 2m, budget_ratio: 7, budget_burst: 100001}}
health:
  ejection: {max_ejected: 2}
  outliers: {window: 10ms, min_requests: 0, failure_ratio: -1}
  slow_start: 2h
",
        &[
            (1, "zone", "expected a name as in the endpoints' `zone`"),
            (2, "upstream.hedge.budget_ratio", "0 to 1, not 7"),
            (2, "upstream.hedge.min_delay", "expected 1ms to 1m"),
            (2, "upstream.hedge.initial_delay", "expected 1ms to 1m"),
            (2, "upstream.hedge.budget_burst", "expected 0 to 100000"),
            (4, "health.ejection.max_ejected", "0 to 1, not 2"),
            (5, "health.outliers.failure_ratio", "0 to 1, not -1"),
            (5, "health.outliers.window", "expected 1s to 1h"),
            (5, "health.outliers.min_requests", "expected 1 to 1000000"),
            (6, "health.slow_start", "expected 0s to 1h"),
        ],
    );
}
