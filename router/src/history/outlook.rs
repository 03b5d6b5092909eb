//! How many requests were served, as metrics tell it: asked of the store now and then, a few tenants
//! at a time, so that a scrape asks nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tenant_store::{
    cache::TenantCache,
    model::{Objective, Signal, TenantId},
};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    History,
    window::{self, Window, Windows, burn_rate},
};
use crate::{proxy::route::TenantRoute, telemetry::Telemetry};

/// Tenants that are asked for at one time.
const AT_A_TIME: usize = 200;

/// Between two of these: a hundred thousand tenants are asked for in some eight minutes.
const PAUSE: Duration = Duration::from_secs(1);

/// The windows whose availability metrics tell.
const TOLD: [Window; 3] = [Window::Hour, Window::Day, Window::Month];

/// What was last heard of the store.
#[derive(Debug, Default)]
pub(super) struct Outlook(BTreeMap<(TenantId, Signal), Windows>);

/// What metrics tell of one deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceState {
    /// Whose.
    pub tenant: TenantId,
    /// Of which deployment.
    pub signal: Signal,
    /// The share that is promised.
    pub objective: Option<f64>,
    /// The share that was served, by window; only where there were requests.
    pub availability: Vec<(&'static str, f64)>,
    /// How many times faster than allowed the error budget was used up, by window.
    pub burn_rates: Vec<(&'static str, f64)>,
}

impl Outlook {
    pub(super) fn forget(&mut self, tenant: &TenantId) {
        self.0.retain(|(whose, _), _| whose != tenant);
    }

    /// What the store says of these tenants; what it said before is forgotten.
    fn take_in(&mut self, asked: &[TenantId], found: BTreeMap<(TenantId, Signal), Windows>) {
        for tenant in asked {
            for signal in Signal::ALL {
                self.0.remove(&(tenant.clone(), signal));
            }
        }
        self.0.extend(found);
    }
}

impl History {
    /// What metrics tell of each deployment there is.
    pub fn service(
        &self,
        tenants: &TenantCache<TenantRoute>,
        telemetry: &Telemetry,
    ) -> Vec<ServiceState> {
        let known = tenants.stats().entries;
        let outlook = self.outlook.lock();
        let mut told = Vec::new();
        for entry in tenants.entries() {
            if !telemetry.tells_of(entry.id(), known) {
                continue;
            }
            let objective = entry.route().objective();
            for deployment in entry.route().deployments() {
                let place = (entry.id().clone(), deployment.signal());
                let windows = outlook.0.get(&place);
                if objective.is_some() || windows.is_some() {
                    let windows = windows.copied().unwrap_or_default();
                    told.push(state(place, objective, &windows));
                }
            }
        }
        told
    }

    /// Asks the store for good, all tenants that metrics tell of in turn.
    pub(super) async fn look_on(
        &self,
        tenants: Arc<TenantCache<TenantRoute>>,
        telemetry: Arc<Telemetry>,
    ) {
        loop {
            let known = tenants.stats().entries;
            let ids = tenants.entries().map(|entry| entry.id().clone());
            let ids: Vec<_> = ids.filter(|id| telemetry.tells_of(id, known)).collect();
            let pause = if ids.is_empty() {
                PAUSE
            } else {
                self.config.write_interval
            };
            let next_round = Instant::now() + pause;
            for (number, page) in ids.chunks(AT_A_TIME).enumerate() {
                if number > 0 {
                    sleep(PAUSE).await;
                }
                match window::sums(&*self.store, page, Timestamp::now()).await {
                    Ok(found) => self.outlook.lock().take_in(page, found),
                    // What was last heard goes on being told; who writes tells of the fault.
                    Err(error) => {
                        tracing::debug!(%error, "can't ask how many requests were served");
                        break;
                    }
                }
            }
            self.outlook
                .lock()
                .0
                .retain(|(tenant, _), _| telemetry.tells_of(tenant, known));
            sleep_until(next_round).await;
        }
    }
}

fn state(
    (tenant, signal): (TenantId, Signal),
    objective: Option<Objective>,
    windows: &Windows,
) -> ServiceState {
    let of = |window: Window| windows[window as usize];
    let availability = TOLD.into_iter();
    let availability =
        availability.filter_map(|window| Some((window.as_str(), of(window).availability()?)));
    let burn_rates = objective.into_iter().flat_map(|objective| {
        let rate = move |window| Some((window, burn_rate(of(window), objective)?));
        Window::ALL.into_iter().filter_map(rate)
    });
    ServiceState {
        tenant,
        signal,
        objective: objective.map(Objective::ratio),
        availability: availability.collect(),
        burn_rates: burn_rates
            .map(|(window, rate)| (window.as_str(), rate))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use tenant_store::history::Tally;

    use super::*;

    #[test]
    fn metrics_tell_of_windows_that_had_requests() {
        let mut windows = Windows::default();
        windows[Window::Month as usize] = Tally { good: 99, bad: 1 };
        let place = || ("acme".parse().expect("an id"), Signal::Logs);
        let told = state(place(), "99%".parse().ok(), &windows);
        assert_eq!(told.availability, [("30d", 0.99)]);
        assert_eq!(told.burn_rates.len(), 1);
        assert!((told.burn_rates[0].1 - 1.0).abs() < 1e-9, "{told:?}");
        let told = state(place(), None, &windows);
        assert_eq!((told.objective, told.burn_rates.len()), (None, 0));
    }
}
