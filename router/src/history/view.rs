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
}

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
    let month = windows[Window::Month as usize];
    SignalAvailability {
        windows: Window::ALL.into_iter().zip(windows).map(window).collect(),
        error_budget: objective.map(|objective| error_budget(month, objective)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of requests is as exact as a float can be"
)]
fn error_budget(month: Tally, objective: Objective) -> ErrorBudget {
    ErrorBudget {
        allowed: month.total() as f64 * objective.error_budget(),
        spent: month.bad,
        remaining: 1.0 - burn_rate(month, objective).unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_what_the_objective_leaves() {
        let objective = "99%".parse().expect("an objective");
        let budget = error_budget(
            Tally {
                good: 9_950,
                bad: 50,
            },
            objective,
        );
        assert!((budget.allowed - 100.0).abs() < 1e-9, "{budget:?}");
        assert!((budget.remaining - 0.5).abs() < 1e-9, "{budget:?}");
        let overspent = error_budget(
            Tally {
                good: 9_700,
                bad: 300,
            },
            objective,
        );
        assert!((overspent.remaining + 2.0).abs() < 1e-9, "{overspent:?}");
        let untouched = error_budget(Tally::default(), objective);
        assert!((untouched.remaining - 1.0).abs() < f64::EPSILON);
    }
}
