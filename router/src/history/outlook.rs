//! How many requests were served, as metrics tell it: asked of the store now and then, a few tenants
//! at a time, so that a scrape asks nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tenant_store::{
    cache::TenantCache,
    history::Tally,
    model::{Objective, Signal, TenantId},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until},
};

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
pub(super) struct Outlook(BTreeMap<(TenantId, Signal), Heard>);

/// What was heard of one deployment. Most serve all that they are asked, so that says most of it: a
/// hundred bytes less for each of ten thousand tenants.
#[derive(Debug)]
enum Heard {
    /// Nothing failed in any window; there were requests in those whose bit is set.
    AllServed(u8),
    /// Something did.
    Counted(Box<Windows>),
}

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

    /// Forgets all but these tenants, which are in order: others are told of no longer, and there is
    /// no end of those that come and go.
    fn keep(&mut self, told: &[TenantId]) {
        self.0
            .retain(|(tenant, _), _| told.binary_search(tenant).is_ok());
    }

    /// What the store says of these tenants; what it said before is forgotten.
    fn take_in(&mut self, asked: &[TenantId], mut found: BTreeMap<(TenantId, Signal), Windows>) {
        for tenant in asked {
            for signal in Signal::ALL {
                // With the id that others hold as well, rather than the store's copy of it.
                let place = (tenant.clone(), signal);
                match found.remove(&place) {
                    Some(windows) => self.0.insert(place, Heard::of(&windows)),
                    None => self.0.remove(&place),
                };
            }
        }
    }
}

impl Heard {
    fn of(windows: &Windows) -> Self {
        if windows.iter().any(|tally| tally.bad > 0) {
            return Self::Counted(Box::new(*windows));
        }
        let bits = windows.iter().enumerate();
        let bits = bits.map(|(place, tally)| u8::from(!tally.is_empty()) << place);
        Self::AllServed(bits.sum())
    }

    /// As good as what was heard, where it is about shares.
    fn windows(&self) -> Windows {
        match self {
            Self::Counted(windows) => **windows,
            Self::AllServed(bits) => std::array::from_fn(|place| Tally {
                good: u64::from(bits >> place & 1),
                bad: 0,
            }),
        }
    }
}

impl History {
    /// What metrics tell of each deployment there is.
    pub fn service(
        &self,
        tenants: &TenantCache<TenantRoute>,
        telemetry: &Telemetry,
    ) -> Vec<ServiceState> {
        let tenants = telemetry.told(tenants);
        let outlook = self.outlook.lock();
        let mut told = Vec::new();
        for entry in tenants {
            let objective = entry.route().objective();
            for deployment in entry.route().deployments() {
                let place = (entry.id().clone(), deployment.signal());
                let windows = outlook.0.get(&place);
                if objective.is_some() || windows.is_some() {
                    let windows = windows.map(Heard::windows).unwrap_or_default();
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
            let (cache, metrics) = (Arc::clone(&tenants), Arc::clone(&telemetry));
            let ids = match spawn_blocking(move || told_of(&cache, &metrics)).await {
                Ok(ids) => ids,
                Err(error) => {
                    tracing::error!(%error, "the tenants that metrics tell of can't be listed");
                    sleep(PAUSE).await;
                    continue;
                }
            };
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
            self.outlook.lock().keep(&ids);
            sleep_until(next_round).await;
        }
    }
}

/// All tenants that metrics tell of, in order.
fn told_of(tenants: &TenantCache<TenantRoute>, telemetry: &Telemetry) -> Vec<TenantId> {
    let told = telemetry.told(tenants);
    let mut ids: Vec<_> = told.iter().map(|entry| entry.id().clone()).collect();
    ids.sort_unstable();
    ids
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
    use super::*;

    #[test]
    fn what_was_heard_tells_the_same_shares() {
        let mut windows = Windows::default();
        for bad in [0, 3] {
            windows[Window::SixHours as usize] = Tally { good: 7, bad };
            windows[Window::Month as usize] = Tally { good: 20, bad };
            let heard = Heard::of(&windows);
            assert_eq!(matches!(heard, Heard::AllServed(_)), bad == 0);
            let shares = |windows: Windows| windows.map(Tally::availability);
            assert_eq!(shares(heard.windows()), shares(windows));
        }
    }

    #[test]
    fn what_is_heard_of_those_asked_for_takes_the_place_of_what_was() {
        let place =
            |id: &str, signal| -> (TenantId, Signal) { (id.parse().expect("an id"), signal) };
        let mut served = Windows::default();
        served[0] = Tally { good: 1, bad: 0 };
        let mut outlook = Outlook::default();
        let acme = [place("acme", Signal::Logs).0];
        let both = [acme[0].clone(), place("other", Signal::Logs).0];
        let found = [place("acme", Signal::Logs), place("other", Signal::Metrics)];
        outlook.take_in(&both, found.map(|place| (place, served)).into());
        outlook.take_in(&acme, [(place("acme", Signal::Traces), served)].into());
        let left = |outlook: &Outlook| outlook.0.keys().cloned().collect::<Vec<_>>();
        let [acmes, others] = [
            place("acme", Signal::Traces),
            place("other", Signal::Metrics),
        ];
        assert_eq!(left(&outlook), [acmes, others.clone()]);
        outlook.keep(&both[1..]);
        assert_eq!(
            left(&outlook),
            [others],
            "nobody tells of the other any more"
        );
    }

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
