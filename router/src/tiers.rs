//! The tiers as routes are built from them: what operators defined, and what is built in.

use std::{collections::BTreeSet, sync::Arc};

use tenant_store::{
    cache::TenantCache,
    mirror::Mirror,
    model::{Tier, TierDefinition},
    repository::{KeptWritten, Repository, RepositoryError},
};
use tokio::time::{Duration, sleep};

use crate::proxy::route::TenantRoute;

/// Tenants whose routes are built anew one by one; for more of them, all are listed.
const ONE_BY_ONE: usize = 64;

/// How long a route may take to be built, and far more.
const BUILT: Duration = Duration::from_secs(1);

/// All tiers there are, kept in step with the store.
#[derive(Debug)]
pub struct Tiers {
    /// `None` where there is no store to ask.
    defined: Option<Arc<Mirror<TierDefinition, TierDefinition>>>,
    built_in: Vec<Arc<TierDefinition>>,
}

impl Tiers {
    /// The tiers of a repository, of which none is read yet: [`Tiers::fill`] does.
    pub fn new(repository: Arc<Repository>) -> Arc<Self> {
        let mirror = Mirror::new(repository, |stored, _| TierDefinition::clone(&stored.value));
        Arc::new(Self {
            defined: Some(mirror),
            ..Self::of_no_store()
        })
    }

    /// Those that are built in, as they are.
    pub fn of_no_store() -> Self {
        let built_in = TierDefinition::all_built_in().into_iter();
        Self {
            defined: None,
            built_in: built_in.map(Arc::new).collect(),
        }
    }

    /// A tier: as an operator defined it, or else as it is built in.
    pub fn get(&self, name: &Tier) -> Option<Arc<TierDefinition>> {
        let held = self.defined.as_ref().map(|mirror| mirror.load());
        let defined = held.as_ref().and_then(|held| held.get(name.as_str()));
        let built_in = || self.built_in.iter().find(|tier| tier.name == *name);
        defined.or_else(built_in).cloned()
    }

    /// The names of all there are, in their order.
    pub fn names(&self) -> Vec<Tier> {
        let held = self.defined.as_ref().map(|mirror| mirror.load());
        let defined = held.iter().flat_map(|held| held.views());
        let all = self.built_in.iter().chain(defined);
        let names: BTreeSet<_> = all.map(|tier| tier.name.clone()).collect();
        names.into_iter().collect()
    }

    /// Reads all tiers.
    ///
    /// # Errors
    /// The store failed; what was read until then is kept.
    pub async fn fill(&self) -> Result<(), RepositoryError> {
        match &self.defined {
            Some(mirror) => mirror.fill().await.map(drop),
            None => Ok(()),
        }
    }

    /// Takes in a tier that was just written here, and builds the routes of its tenants anew.
    pub fn take_in(
        self: &Arc<Self>,
        written: &KeptWritten<TierDefinition>,
        tenants: &Arc<TenantCache<TenantRoute>>,
    ) {
        if let Some(mirror) = &self.defined
            && mirror.take_in(written)
        {
            self.apply(tenants);
        }
    }

    /// Follows the store for good, and has routes built anew when their tier has changed.
    pub async fn follow(self: Arc<Self>, tenants: Arc<TenantCache<TenantRoute>>) {
        if let Some(mirror) = self.defined.clone() {
            mirror.follow(move |_| self.apply(&tenants)).await;
        }
    }

    /// Has the routes built anew that were built from what a tier was before.
    fn apply(self: &Arc<Self>, tenants: &Arc<TenantCache<TenantRoute>>) {
        self.rebuild_outdated(tenants);
        // One that was being built meanwhile is found by looking again.
        let (tiers, tenants) = (self.clone(), tenants.clone());
        tokio::spawn(async move {
            sleep(BUILT).await;
            tiers.rebuild_outdated(&tenants);
        });
    }

    fn rebuild_outdated(&self, tenants: &Arc<TenantCache<TenantRoute>>) {
        let outdated: Vec<_> = tenants
            .entries()
            .filter(|entry| self.is_outdated(entry.route().tier()))
            .collect();
        if outdated.len() <= ONE_BY_ONE {
            for entry in outdated {
                tenants.rebuild(entry.id());
            }
            return;
        }
        let tenants = tenants.clone();
        tokio::spawn(async move {
            if let Err(error) = tenants.rebuild_all().await {
                tracing::warn!(%error, "a tier takes effect as its tenants are read");
            }
        });
    }

    fn is_outdated(&self, tier: &Arc<TierDefinition>) -> bool {
        let current = self.get(&tier.name);
        current.is_some_and(|current| !Arc::ptr_eq(&current, tier))
    }
}
