//! How well a tenant was served, and what may still fail.

use maud::{Markup, html};
use tenant_store::model::Signal;

use crate::{
    history::{Availability, SignalAvailability},
    pages::marks,
};

/// The windows that people ask about; alerts use the others.
const WINDOWS: [&str; 3] = ["1h", "24h", "30d"];

/// Availability by signal, and the error budget where something is promised.
pub(super) fn card(service: Result<&Availability, &str>) -> Markup {
    html! {
        section #service.panel.card data-live aria-labelledby="service-title" {
            header {
                h2 #service-title { "How well it was served" }
                @match service.map(|service| service.objective) {
                    Ok(Some(objective)) => p { "Promised: " (objective) " of requests, over 30 days." },
                    Ok(None) => p { "Nothing is promised: no objective in its document or its tier." },
                    Err(_) => {},
                }
            }
            @match service {
                Err(why) => p.empty { (why) },
                Ok(service) if service.signals.is_empty() => {
                    p.empty { "No requests counted yet." }
                },
                Ok(service) => (table(service)),
            }
        }
    }
}

fn table(service: &Availability) -> Markup {
    let is_promised = service.objective.is_some();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Availability" {
            table {
                caption.sr { "Availability by signal" }
                thead { tr {
                    th scope="col" { "Signal" }
                    @for window in WINDOWS { th.number scope="col" { "Served in " (window) } }
                    th.number scope="col" { "Failed in 30d" }
                    @if is_promised {
                        th.number scope="col" { "Budget left" }
                        th.number scope="col" { "Burn rate 1h" }
                    }
                } }
                tbody {
                    @for (signal, served) in &service.signals { (row(*signal, served, is_promised)) }
                }
            }
        }
    }
}

fn row(signal: Signal, served: &SignalAvailability, is_promised: bool) -> Markup {
    let window = |name: &str| served.windows.iter().find(|one| one.window == name);
    let failed = window("30d").map_or(0, |month| month.bad);
    let burn_rate = window("1h").and_then(|hour| hour.burn_rate);
    html! {
        tr {
            th scope="row" { (signal) }
            @for name in WINDOWS {
                td.number { (share(window(name).and_then(|one| one.availability))) }
            }
            td.number { (marks::count(failed)) }
            @if is_promised {
                td.number { (budget(served)) }
                td.number { @match burn_rate { Some(rate) => (format!("{rate:.1}")), None => "–" } }
            }
        }
    }
}

fn budget(served: &SignalAvailability) -> Markup {
    let left = served.error_budget.as_ref().map(|budget| budget.remaining);
    html! {
        @match left {
            None => "–",
            Some(left) if left < 0.0 => span.is.unhealthy { i.mark aria-hidden="true" {} "overspent " (format!("{:.0} %", -left * 100.0)) },
            Some(left) => (format!("{:.0} %", left * 100.0)),
        }
    }
}

/// A share with as many nines as matter. It is rounded down: what is short of a promise must not look
/// kept.
fn share(share: Option<f64>) -> String {
    let Some(share) = share else {
        return "–".into();
    };
    format!("{:.3} %", (share * 100_000.0).floor() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can't be read is not taken for something that isn't there.
    #[test]
    fn nothing_is_said_of_a_promise_that_can_not_be_read() {
        let told = card(Err("The store does not answer right now.")).into_string();
        assert!(
            told.contains("The store does not answer right now."),
            "{told}"
        );
        assert!(!told.contains("romised"), "{told}");
    }

    #[test]
    fn what_is_short_of_a_promise_does_not_look_kept() {
        assert_eq!(share(Some(1.0)), "100.000 %");
        assert_eq!(share(Some(0.999_999_9)), "99.999 %");
        assert_eq!(share(Some(0.998_999)), "99.899 %");
        assert_eq!(share(Some(0.0)), "0.000 %");
        assert_eq!(share(None), "–");
    }
}
