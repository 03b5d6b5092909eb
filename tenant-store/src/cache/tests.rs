//! The cache's contract, clause by clause, against a store that does as it is told.
//!
//! Time is tokio's and stands still unless a test moves it.

mod bounds;
mod expiry;
mod follow;
mod lookup;
mod scripted;
mod threads;
mod writes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use self::scripted::Scripted;
use super::{CacheConfig, Known, TenantCache};
use crate::model::{Revision, TenantId, TenantRecord};

/// What these tests build from a record.
#[derive(Debug)]
struct Route {
    revision: Revision,
    /// Survives from revision to revision, as a counter would.
    generations: u32,
}

/// A cache over a scripted store, and how often a route was built.
struct World {
    store: Arc<Scripted>,
    cache: Arc<TenantCache<Route>>,
    builds: Arc<AtomicU32>,
}

impl World {
    fn new() -> Self {
        Self::with(CacheConfig::default())
    }

    fn with(config: CacheConfig) -> Self {
        let store = Arc::new(Scripted::default());
        let builds = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&builds);
        let build = move |record: &TenantRecord, before: Option<&Route>| {
            count.fetch_add(1, Ordering::Relaxed);
            Route {
                revision: record.revision,
                generations: before.map_or(0, |route| route.generations) + 1,
            }
        };
        let cache = TenantCache::new(store.clone(), config, Handle::current(), build);
        Self {
            store,
            cache,
            builds,
        }
    }

    fn builds(&self) -> u32 {
        self.builds.load(Ordering::Relaxed)
    }

    /// The revision that is served without asking, if any.
    fn served(&self, id: &str) -> Option<u64> {
        match self.cache.known(id) {
            Known::Tenant(entry) => {
                assert_eq!(entry.revision(), entry.route().revision);
                Some(entry.revision().0)
            }
            Known::NoSuchTenant | Known::NeverAsked => None,
        }
    }
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

/// Waits until `condition` holds, ten seconds at most, which is less than the soft expiry: no time
/// at all where time stands still.
async fn until(condition: impl Fn() -> bool) {
    until_within(Duration::from_secs(10), condition).await;
}

async fn until_within(limit: Duration, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = timeout(limit, wait).await;
    assert!(waited.is_ok(), "it did not come to pass within {limit:?}");
}
