//! The routes one worker used lately: a hash lookup and one atomic load, where the tenant cache
//! costs a few hundred nanoseconds and a reference count that all workers write to.

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ahash::HashMap;
use tenant_store::{cache::Entry, model::TenantId};
use tokio::time::Instant;

use super::route::{DeploymentRoute, TenantRoute};
use crate::telemetry::{LocalCounts, Overflow};

/// Routes held at most. What does not fit is asked of the tenant cache.
const CAPACITY: usize = 16_384;
/// Age from which the tenant cache is asked again, so that it sees what is in use.
const FRESH: Duration = Duration::from_secs(1);

/// One worker's routes.
#[derive(Debug, Default)]
pub(super) struct FrontCache {
    routes: RefCell<HashMap<TenantId, Fronted>>,
    overflow: Rc<[Overflow; 3]>,
}

/// A tenant's route as one worker holds it, with what the worker counts of the tenant.
#[derive(Debug)]
pub struct LocalRoute {
    entry: Arc<Entry<TenantRoute>>,
    /// Boxed, as most tenants have one or two of the three.
    counts: [OnceCell<Box<LocalCounts>>; 3],
    /// What all tenants without a label share, by signal.
    overflow: Rc<[Overflow; 3]>,
}

#[derive(Debug)]
struct Fronted {
    route: Rc<LocalRoute>,
    since: Instant,
}

impl LocalRoute {
    /// Whose route it is.
    pub fn id(&self) -> &TenantId {
        self.entry.id()
    }

    /// The route.
    pub fn route(&self) -> &TenantRoute {
        self.entry.route()
    }

    /// Whether it is still the tenant's latest.
    pub fn is_current(&self) -> bool {
        self.entry.is_current()
    }

    /// Where the worker counts requests to a deployment of this route.
    pub fn counts(&self, deployment: &DeploymentRoute) -> &LocalCounts {
        let signal = deployment.signal() as usize;
        self.counts[signal].get_or_init(|| Box::new(deployment.open_counts(&self.overflow[signal])))
    }
}

impl FrontCache {
    /// A route that is current and fresh.
    pub(super) fn get(&self, tenant: &str, now: Instant) -> Option<Rc<LocalRoute>> {
        let routes = self.routes.borrow();
        let fronted = routes.get(tenant)?;
        let good = fronted.route.is_current() && now.duration_since(fronted.since) < FRESH;
        good.then(|| fronted.route.clone())
    }

    /// Takes what the tenant cache answered.
    pub(super) fn insert(&self, entry: Arc<Entry<TenantRoute>>, now: Instant) -> Rc<LocalRoute> {
        let mut routes = self.routes.borrow_mut();
        if let Some(fronted) = routes.get_mut(entry.id())
            && Arc::ptr_eq(&fronted.route.entry, &entry)
        {
            fronted.since = now;
            return fronted.route.clone();
        }
        let id = entry.id().clone();
        let route = Rc::new(LocalRoute {
            entry,
            counts: Default::default(),
            overflow: self.overflow.clone(),
        });
        if routes.len() < CAPACITY || routes.contains_key(&id) {
            routes.insert(
                id,
                Fronted {
                    route: route.clone(),
                    since: now,
                },
            );
        }
        route
    }

    /// Lets go of what was replaced or has not been used lately.
    pub(super) fn sweep(&self, now: Instant) {
        let idle = FRESH * 30;
        self.routes.borrow_mut().retain(|_, fronted| {
            fronted.route.is_current() && now.duration_since(fronted.since) < idle
        });
    }
}
