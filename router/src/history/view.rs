//! How many requests were served, as it is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenant_store::{
    history::Tally,
    model::{Objective, Signal, TenantId},
};
use utoipa::ToSchema;

use super::window::{Window, Windows, burn_rate};

/// How many of a tenant's requests were served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Availability {
    /// Whose.
    pub tenant: TenantId,
    /// The share that is promised: the tenant's, or else its tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, nullable = false, example = "99.9%")]
    pub objective: Option<Objective>,
    /// By signal; only those that had requests in the last 30 days.
    #[schema(value_type = std::collections::HashMap<String, SignalAvailability>)]
    pub signals: BTreeMap<Signal, SignalAvailability>,
}

/// How many requests of one signal were served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignalAvailability {
    /// From the shortest to the longest.
    pub windows: Vec<WindowAvailability>,
    /// What may still fail, if anything is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_budget: Option<ErrorBudget>,
}

/// How many requests were served in a stretch of time that ends now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowAvailability {
    /// `5m`, `30m`, `1h`, `6h`, `24h`, `3d` or `30d`.
    pub window: String,
    /// Requests that were served.
    pub good: u64,
    /// Requests that were not.
    pub bad: u64,
    /// The share that was served, 0 to 1; not there if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0, maximum = 1)]
    pub availability: Option<f64>,
    /// How many times faster than allowed the error budget was used up; not there if nothing is
    /// promised, or there were no requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub burn_rate: Option<f64>,
}

/// What may fail of the requests of the last 30 days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBudget {
    /// Requests that may have failed; a fraction of one, where there were few.
    #[schema(minimum = 0)]
    pub allowed: f64,
    /// Requests that failed.
    pub spent: u64,
    /// The share that is left: 1 with none failed, 0 with all that may fail, below 0 beyond.
    pub remaining: f64,
    /// The same in a word.
    pub state: BudgetState,
}

/// How an error budget stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetState {
    /// The objective is met.
    Met,
    /// It is met still: less than a quarter of the budget is left, or it is used up so fast that
    /// somebody is called (14.4 times faster than allowed over an hour and over 5 minutes, or 6 times
    /// over 6 hours and over half an hour).
    InDanger,
    /// It is not met: more failed than may.
    UsedUp,
}

impl BudgetState {
    /// As people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::InDanger => "in danger",
            Self::UsedUp => "used up",
        }
    }
}

/// With less than this share left of it a budget is in danger.
const LITTLE: f64 = 0.25;

/// Windows in both of which a budget may not burn faster than so: those of the alert rules.
const BURNING: [(Window, Window, f64); 2] = [
    (Window::Hour, Window::FiveMinutes, 14.4),
    (Window::SixHours, Window::HalfHour, 6.0),
];

impl Availability {
    pub(super) fn new(
        tenant: TenantId,
        objective: Option<Objective>,
        sums: &BTreeMap<(TenantId, Signal), Windows>,
    ) -> Self {
        let own = sums.iter().filter(|((whose, _), _)| *whose == tenant);
        let signals = own.map(|((_, signal), windows)| (*signal, of_signal(windows, objective)));
        Self {
            signals: signals.collect(),
            tenant,
            objective,
        }
    }
}

fn of_signal(windows: &Windows, objective: Option<Objective>) -> SignalAvailability {
    let window = |(window, tally): (Window, &Tally)| WindowAvailability {
        window: window.as_str().into(),
        good: tally.good,
        bad: tally.bad,
        availability: tally.availability(),
        burn_rate: objective.and_then(|objective| burn_rate(*tally, objective)),
    };
    SignalAvailability {
        windows: Window::ALL.into_iter().zip(windows).map(window).collect(),
        error_budget: objective.map(|objective| error_budget(windows, objective)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of requests is as exact as a float can be"
)]
fn error_budget(windows: &Windows, objective: Objective) -> ErrorBudget {
    let month = windows[Window::Month as usize];
    let remaining = 1.0 - burn_rate(month, objective).unwrap_or(0.0);
    let is_burning = BURNING.into_iter().any(|(long, short, limit)| {
        [long, short].into_iter().all(|window| {
            burn_rate(windows[window as usize], objective).is_some_and(|rate| rate > limit)
        })
    });
    ErrorBudget {
        allowed: month.total() as f64 * objective.error_budget(),
        spent: month.bad,
        remaining,
        state: if remaining <= 0.0 {
            BudgetState::UsedUp
        } else if remaining < LITTLE || is_burning {
            BudgetState::InDanger
        } else {
            BudgetState::Met
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_what_the_objective_leaves() {
        let objective = "99%".parse().expect("an objective");
        let of_month = |good, bad| {
            let mut windows = Windows::default();
            windows[Window::Month as usize] = Tally { good, bad };
            error_budget(&windows, objective)
        };
        let budget = of_month(9_950, 50);
        assert_eq!(budget.state, BudgetState::Met);
        assert!((budget.allowed - 100.0).abs() < 1e-9, "{budget:?}");
        assert!((budget.remaining - 0.5).abs() < 1e-9, "{budget:?}");
        let overspent = of_month(9_700, 300);
        assert!((overspent.remaining + 2.0).abs() < 1e-9, "{overspent:?}");
        let untouched = of_month(0, 0);
        assert!((untouched.remaining - 1.0).abs() < f64::EPSILON);
        for (good, bad, state) in [
            (9_924, 76, BudgetState::InDanger),
            (9_926, 74, BudgetState::Met),
            (9_899, 101, BudgetState::UsedUp),
        ] {
            assert_eq!(of_month(good, bad).state, state, "{bad} of {}", good + bad);
        }
    }

    /// A budget is in danger as soon as somebody would be called, however much is left of it; but not
    /// for what is over already.
    #[test]
    fn a_budget_that_burns_is_in_danger() {
        let objective = "99%".parse().expect("an objective");
        let calm = Tally {
            good: 100_000,
            bad: 10,
        };
        let failing = |percent| Tally {
            good: 100 - percent,
            bad: percent,
        };
        for (burning, percent, state) in [
            (
                &[Window::Hour, Window::FiveMinutes][..],
                15,
                BudgetState::InDanger,
            ),
            (&[Window::Hour, Window::FiveMinutes], 14, BudgetState::Met),
            (&[Window::Hour], 15, BudgetState::Met),
            (&[Window::FiveMinutes], 15, BudgetState::Met),
            (
                &[Window::SixHours, Window::HalfHour],
                7,
                BudgetState::InDanger,
            ),
            (&[Window::SixHours, Window::HalfHour], 5, BudgetState::Met),
        ] {
            let mut windows = Windows::default().map(|_| calm);
            for window in burning {
                windows[*window as usize] = failing(percent);
            }
            let budget = error_budget(&windows, objective);
            assert_eq!(budget.state, state, "{burning:?} {percent}");
        }
    }
}
