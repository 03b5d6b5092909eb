use std::collections::BTreeMap;

use super::*;
use crate::history::WindowAvailability;

#[test]
fn what_is_short_of_a_promise_does_not_look_kept() {
    assert_eq!(share(Some(1.0)), "100.000 %");
    assert_eq!(share(Some(0.999_999_9)), "99.999 %");
    assert_eq!(share(Some(0.998_999)), "99.899 %");
    assert_eq!(share(Some(0.57)), "57.000 %");
    assert_eq!(share(Some(0.0)), "0.000 %");
    assert_eq!(share(None), "–");
}

#[test]
fn what_is_left_of_a_budget_does_not_look_like_more() {
    for (remaining, text) in [
        (1.0, "100 %"),
        (0.756, "75 %"),
        (0.0999, "9.9 %"),
        (0.000_4, "0.0 %"),
        (0.29, "29 %"),
        (0.0, "0.0 %"),
        (-0.07, "overspent by 7 %"),
        (-0.004, "overspent by 1 %"),
        (-0.5, "overspent by 50 %"),
        (-2.0, "overspent by 200 %"),
    ] {
        assert_eq!(left(remaining), text, "{remaining}");
    }
}

/// As many requests in every window, so many of which failed.
fn served(good: u64, bad: u64, budget: Option<(f64, BudgetState)>) -> SignalAvailability {
    let window = |name: &str| WindowAvailability {
        window: name.into(),
        good,
        bad,
        availability: Some(0.75),
        burn_rate: budget.map(|_| 1.25),
    };
    SignalAvailability {
        windows: ["5m", "1h", "24h", "30d"].map(window).into(),
        error_budget: budget.map(|(remaining, state)| ErrorBudget {
            allowed: 5.0,
            spent: bad,
            remaining,
            state,
        }),
    }
}

fn availability(objective: Option<&str>, signals: &[(Signal, SignalAvailability)]) -> Availability {
    Availability {
        tenant: "acme".parse().expect("an id"),
        objective: objective.map(|text| text.parse().expect("an objective")),
        signals: signals.iter().cloned().collect::<BTreeMap<_, _>>(),
    }
}

/// The texts of a card, one after the other.
fn text(service: Result<&Availability, &str>, deployed: &[Signal]) -> String {
    let markup = card(service, deployed.iter().copied()).into_string();
    let texts = markup.split('<').filter_map(|part| part.split_once('>'));
    let texts: Vec<_> = texts.map(|(_, text)| text.trim()).collect();
    texts
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn each_state_of_an_objective_has_its_word_and_figures() {
    for (remaining, state, expected) in [
        (
            0.4,
            BudgetState::Met,
            "metrics met 75.000 % 75.000 % 75.000 % 3 of 5.0 allowed 40 % 1.25 1.25",
        ),
        (
            0.1,
            BudgetState::InDanger,
            "metrics in danger 75.000 % 75.000 % 75.000 % 3 of 5.0 allowed 10 % 1.25 1.25",
        ),
        (
            -0.2,
            BudgetState::UsedUp,
            "metrics used up 75.000 % 75.000 % 75.000 % 3 of 5.0 allowed overspent by 20 % 1.25 1.25",
        ),
    ] {
        let service = served(9, 3, Some((remaining, state)));
        let told = availability(Some("99.9%"), &[(Signal::Metrics, service)]);
        let text = text(Ok(&told), &[Signal::Metrics]);
        assert!(
            text.contains("Objective: 99.9% of requests served, over 30 days."),
            "{text}"
        );
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_nobody_asked_for_has_no_data_yet() {
    let metrics = served(9, 3, Some((0.4, BudgetState::Met)));
    let told = availability(Some("99.9%"), &[(Signal::Metrics, metrics)]);
    let both = [Signal::Metrics, Signal::Logs];
    let words = text(Ok(&told), &both);
    assert!(
        words.contains("logs no data yet No requests in the last 30 days."),
        "{words}"
    );
    let nothing = availability(None, &[]);
    let words = text(Ok(&nothing), &both[1..]);
    assert!(
        words.contains("logs No data yet: no requests in the last 30 days."),
        "{words}"
    );
    assert!(text(Ok(&nothing), &[]).contains("No data yet: it has no deployments."));
}

/// Without an objective there is nothing to be met; what cannot be asked for is not said to be none.
#[test]
fn no_objective_is_told_from_an_objective_that_nobody_can_read() {
    let metrics = served(9, 3, None);
    let told = availability(None, &[(Signal::Metrics, metrics)]);
    let words = text(Ok(&told), &[Signal::Metrics]);
    assert!(
        words.contains("No objective: neither its document nor its tier has one."),
        "{words}"
    );
    assert!(
        words.contains("metrics 75.000 % 75.000 % 75.000 % 3"),
        "{words}"
    );
    for absent in ["met", "budget", "Burn"] {
        assert!(
            !words.replace("metrics", "").contains(absent),
            "{absent}: {words}"
        );
    }
    let words = text(
        Err("The store does not answer right now."),
        &[Signal::Metrics],
    );
    assert!(
        words.contains("does not answer") && !words.contains("bjective"),
        "{words}"
    );
}
