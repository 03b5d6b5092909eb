//! Keeps tenants' routes in step with the addresses behind names.
//!
//! Asks no store, and builds only the routes of tenants whose names lead elsewhere: at most ten
//! times a second, however many names change.

use std::{sync::Arc, time::Duration};

use health::Resolver;
use tenant_store::{cache::TenantCache, model::TenantId};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use crate::proxy::route::{RouteBuilder, TenantRoute};

/// Who looks names up, and who makes endpoints of their addresses.
#[derive(Debug, Clone)]
pub struct Names {
    /// Looks them up, once [`run`](Resolver::run) does.
    pub resolver: Arc<Resolver>,
    /// Makes endpoints of their addresses.
    pub routes: Arc<RouteBuilder>,
}

/// What changes together is taken in together.
const SETTLE: Duration = Duration::from_millis(100);
/// What a look took, times this, is the least until the next one.
const REST: u32 = 10;

impl Names {
    /// Renews routes when names change. Endless: spawn it once.
    pub async fn follow(self, tenants: Arc<TenantCache<TenantRoute>>) {
        let mut changes = self.resolver.changes();
        loop {
            // A route that was being built while a name changed is found by the next look at the
            // latest, so there is one now and again in any case.
            let _ = timeout(self.resolver.refresh(), changes.changed()).await;
            sleep(SETTLE).await;
            changes.mark_unchanged();
            let begun = Instant::now();
            let (tenants, routes) = (tenants.clone(), self.routes.clone());
            match spawn_blocking(move || renew(&tenants, &routes)).await {
                Ok(0) => {}
                Ok(renewed) => tracing::debug!(renewed, "tenants' endpoints follow their names"),
                Err(error) => tracing::error!(%error, "a look at names ended early"),
            }
            sleep(begun.elapsed() * REST).await;
        }
    }
}

/// Renews the routes that are behind. Linear in the number of tenants: an atomic load for each name.
fn renew(tenants: &TenantCache<TenantRoute>, routes: &RouteBuilder) -> usize {
    let behind: Vec<TenantId> = tenants
        .entries()
        .filter(|entry| entry.route().is_behind())
        .map(|entry| entry.id().clone())
        .collect();
    let renewed = behind
        .iter()
        .filter(|id| tenants.renew(id, |route| routes.renew(route)));
    renewed.count()
}
