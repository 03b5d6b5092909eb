//! The routes one worker used lately: a hash lookup and one atomic load, where the tenant cache
//! costs a few hundred nanoseconds and a reference count that all workers write to.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use ahash::HashMap;
use tenant_store::{cache::Entry, model::TenantId};
use tokio::time::Instant;

use super::{LocalRoute, route::TenantRoute};

/// Routes held at most. What does not fit is asked of the tenant cache.
const CAPACITY: usize = 16_384;
/// Age from which the tenant cache is asked again, so that it sees what is in use.
const FRESH: Duration = Duration::from_secs(1);

/// One worker's routes.
#[derive(Debug, Default)]
pub(super) struct FrontCache(RefCell<HashMap<TenantId, Fronted>>);

#[derive(Debug)]
struct Fronted {
    route: LocalRoute,
    since: Instant,
}

impl FrontCache {
    /// A route that is current and fresh.
    pub(super) fn get(&self, tenant: &str, now: Instant) -> Option<LocalRoute> {
        let routes = self.0.borrow();
        let fronted = routes.get(tenant)?;
        let good = fronted.route.is_current() && now.duration_since(fronted.since) < FRESH;
        good.then(|| fronted.route.clone())
    }

    /// Takes what the tenant cache answered.
    pub(super) fn insert(&self, entry: Arc<Entry<TenantRoute>>, now: Instant) -> LocalRoute {
        let mut routes = self.0.borrow_mut();
        if let Some(fronted) = routes.get_mut(entry.id())
            && Arc::ptr_eq(&fronted.route, &entry)
        {
            fronted.since = now;
            return fronted.route.clone();
        }
        let id = entry.id().clone();
        let route = Rc::new(entry);
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
        self.0.borrow_mut().retain(|_, fronted| {
            fronted.route.is_current() && now.duration_since(fronted.since) < idle
        });
    }
}
