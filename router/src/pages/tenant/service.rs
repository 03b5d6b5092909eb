//! How well a tenant was served, and what may still fail.

use maud::{Markup, html};
use tenant_store::model::{Objective, Signal};

use crate::{
    history::{Availability, BudgetState, ErrorBudget, SignalAvailability},
    pages::marks,
};

/// The windows that people ask about; alerts use the others.
const WINDOWS: [&str; 3] = ["1h", "24h", "30d"];

/// How fast the budget is used up is told of these.
const BURNING: [&str; 2] = ["1h", "24h"];

/// Availability by signal, and the error budget where something is promised. Signals of `deployed`
/// that had no requests are told of, too.
pub(super) fn card(
    service: Result<&Availability, &str>,
    deployed: impl Iterator<Item = Signal>,
) -> Markup {
    html! {
        section #service.panel.card data-live aria-labelledby="service-title" {
            header {
                h2 #service-title { "How well it was served" }
                @match service {
                    Ok(service) => p { (promise(service.objective)) },
                    Err(_) => {},
                }
            }
            @match service {
                Err(why) => p.empty { (why) },
                Ok(service) => {
                    @let signals = signals(service, deployed);
                    @if signals.is_empty() {
                        p.empty { "No data yet: it has no deployments." }
                    } @else {
                        (table(service, &signals))
                        @if service.objective.is_some() { (legend()) }
                    }
                },
            }
        }
    }
}

fn promise(objective: Option<Objective>) -> Markup {
    html! {
        @match objective {
            Some(objective) => { "Objective: " b { (objective) } " of requests served, over 30 days." },
            None => "No objective: neither its document nor its tier has one.",
        }
    }
}

fn legend() -> Markup {
    html! {
        p.note {
            "At burn rate 1 the error budget lasts just 30 days. In danger: less than a quarter of it is \
             left, or it burns so fast that an alert is due."
        }
    }
}

/// Those that had requests, and those that might have.
fn signals(service: &Availability, deployed: impl Iterator<Item = Signal>) -> Vec<Signal> {
    let deployed: Vec<Signal> = deployed.collect();
    let is_told = |signal: &Signal| service.signals.contains_key(signal);
    let all = Signal::ALL.into_iter();
    all.filter(|signal| deployed.contains(signal) || is_told(signal))
        .collect()
}

fn table(service: &Availability, signals: &[Signal]) -> Markup {
    let is_promised = service.objective.is_some();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Availability" {
            table {
                caption.sr { "Availability by signal" }
                thead { tr {
                    th scope="col" { "Signal" }
                    @if is_promised { th scope="col" { "Objective" } }
                    @for window in WINDOWS { th.number scope="col" { "Served in " (window) } }
                    th.number scope="col" { "Failed in 30d" }
                    @if is_promised {
                        th.number scope="col" { "Error budget left" }
                        @for window in BURNING { th.number scope="col" { "Burn rate " (window) } }
                    }
                } }
                tbody {
                    @for signal in signals {
                        @match service.signals.get(signal) {
                            Some(served) => (row(*signal, served, is_promised)),
                            None => (unserved(*signal, is_promised)),
                        }
                    }
                }
            }
        }
    }
}

fn row(signal: Signal, served: &SignalAvailability, is_promised: bool) -> Markup {
    let window = |name: &str| served.windows.iter().find(|one| one.window == name);
    let failed = window("30d").map_or(0, |month| month.bad);
    let budget = served.error_budget.as_ref();
    html! {
        tr data-signal=(signal) {
            th scope="row" { (signal) }
            @if is_promised { td { (state(budget)) } }
            @for name in WINDOWS {
                td.number { (share(window(name).and_then(|one| one.availability))) }
            }
            td.number {
                (marks::count(failed))
                @if let Some(budget) = budget {
                    " " span.muted { "of " (format!("{:.1}", budget.allowed)) " allowed" }
                }
            }
            @if is_promised {
                td.number { @match budget { Some(budget) => (left(budget.remaining)), None => "–" } }
                @for name in BURNING {
                    @let rate = window(name).and_then(|one| one.burn_rate);
                    td.number { @match rate { Some(rate) => (format!("{rate:.2}")), None => "–" } }
                }
            }
        }
    }
}

/// A signal that nobody asked anything of.
fn unserved(signal: Signal, is_promised: bool) -> Markup {
    let others = WINDOWS.len() + 1 + if is_promised { 1 + BURNING.len() } else { 0 };
    html! {
        tr data-signal=(signal) {
            th scope="row" { (signal) }
            @if is_promised {
                td { (marks::told("unknown", "no data yet")) }
                td.muted colspan=(others) { "No requests in the last 30 days." }
            } @else {
                td.muted colspan=(others) { "No data yet: no requests in the last 30 days." }
            }
        }
    }
}

fn state(budget: Option<&ErrorBudget>) -> Markup {
    match budget.map(|budget| budget.state) {
        None => html! { "–" },
        Some(state) => {
            let look = match state {
                BudgetState::Met => "healthy",
                BudgetState::InDanger => "degraded",
                BudgetState::UsedUp => "unhealthy",
            };
            marks::told(look, state.as_str())
        }
    }
}

/// What is left of a budget, rounded so that it never looks like more.
fn left(remaining: f64) -> String {
    let percent = remaining * 100.0;
    if percent < 0.0 {
        format!("overspent by {:.0} %", (-percent - NEGLIGIBLE).ceil())
    } else if percent < 10.0 {
        format!("{:.1} %", (percent * 10.0 + NEGLIGIBLE).floor() / 10.0)
    } else {
        format!("{:.0} %", (percent + NEGLIGIBLE).floor())
    }
}

/// A share with as many nines as matter. It is rounded down: what is short of a promise must not look
/// kept.
fn share(share: Option<f64>) -> String {
    let Some(share) = share else {
        return "–".into();
    };
    format!(
        "{:.3} %",
        (share * 100_000.0 + NEGLIGIBLE).floor() / 1_000.0
    )
}

/// By so little floats may be off, which must not cost a whole digit.
const NEGLIGIBLE: f64 = 1e-6;

#[cfg(test)]
mod tests;
