//! Endpoints whose URL has a name: one for each address of it, and what becomes of them when these
//! change.

use std::{ops::Range, sync::Arc};

use health::{Known, Question, WatchedName};
use tenant_store::model::EndpointUrl;

use super::{
    DeploymentRoute, EndpointRoute, RouteBuilder, RouteFault, TenantRoute, pattern::Pattern,
};

/// A name that some endpoints of a deployment stand for.
#[derive(Debug)]
pub struct Named {
    pub(super) record: Arc<WatchedName>,
    /// What the endpoints were made by.
    version: u64,
    /// What the document's URL calls it.
    pub(super) called: Arc<str>,
    /// As the document says.
    pub(super) priority: u16,
    pub(super) weight: u16,
    /// Which endpoints of the deployment: at least one.
    first: u8,
    count: u8,
    /// Addresses that there was no room for.
    left_out: usize,
}

impl Named {
    /// The name and what is known of it.
    pub fn record(&self) -> &WatchedName {
        &self.record
    }

    /// Addresses that a deployment has no room for.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn is_behind(&self) -> bool {
        self.record.version() != self.version
    }

    fn endpoints(&self) -> Range<usize> {
        let first = usize::from(self.first);
        first..first + usize::from(self.count)
    }
}

/// The endpoints of a deployment while it is built.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) endpoints: Vec<EndpointRoute>,
    pub(super) names: Vec<Named>,
}

impl Expanded {
    /// Adds an endpoint of the document, after which so many are to follow.
    pub(super) fn add(
        &mut self,
        routes: &RouteBuilder,
        pattern: Pattern,
        record: Option<Arc<WatchedName>>,
        following: usize,
    ) -> Result<(), RouteFault> {
        let Some(record) = record else {
            self.endpoints.push(pattern.whole(routes)?);
            return Ok(());
        };
        let known = record.known();
        let (called, first) = (pattern.called.clone(), self.endpoints.len());
        let (priority, weight) = (pattern.priority, pattern.weight);
        let left_out = if known.places.is_empty() {
            self.endpoints.push(pattern.whole(routes)?);
            0
        } else {
            let room = room(first, following);
            for place in known.places.iter().take(room) {
                self.endpoints
                    .push(pattern.at(routes, &record, &known, place)?);
            }
            left_out(&record, &known, room)
        };
        self.names.push(Named {
            version: known.version,
            record,
            called,
            priority,
            weight,
            first: position(first),
            count: position(self.endpoints.len() - first),
            left_out,
        });
        Ok(())
    }
}

/// How many endpoints there may be besides these, if each that follows has one at least.
fn room(taken: usize, following: usize) -> usize {
    MOST_ENDPOINTS.saturating_sub(taken + following).max(1)
}

fn left_out(record: &WatchedName, known: &Known, room: usize) -> usize {
    let cut = known.places.len().saturating_sub(room);
    if cut > 0 {
        let (name, used) = (record.question(), room);
        tracing::warn!(%name, used, left_out = cut, "deployment has no room for all addresses of a name");
    }
    known.left_out + cut
}

/// A deployment has no more endpoints than fit.
fn position(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

impl RouteBuilder {
    /// What is to be looked up for an endpoint; nothing for addresses, or without a resolver.
    pub(super) fn record(&self, url: &EndpointUrl) -> Option<Arc<WatchedName>> {
        let question = match url.service() {
            Some(service) => Question::of_service(service),
            None => Question::of_host(url.as_url().host_str()?)?,
        };
        Some(self.resolver.as_ref()?.watch(&question))
    }

    /// The same route with the endpoints that names lead to now; `None` if they are the same.
    pub fn renew(&self, route: &TenantRoute) -> Option<TenantRoute> {
        if !route.is_behind() {
            return None;
        }
        let renewed = |deployment: &Arc<DeploymentRoute>| {
            if deployment.is_behind() {
                Arc::new(self.renewed(deployment))
            } else {
                deployment.clone()
            }
        };
        Some(TenantRoute {
            id: route.id.clone(),
            display_name: route.display_name.clone(),
            maintenance: route.maintenance.clone(),
            status: route.status,
            withdrawn_here: route.withdrawn_here,
            objective: route.objective,
            off: route.off,
            tier: route.tier.clone(),
            deployments: route
                .deployments
                .each_ref()
                .map(|one| one.as_ref().map(renewed)),
        })
    }

    fn renewed(&self, before: &DeploymentRoute) -> DeploymentRoute {
        let mut expanded = Expanded::default();
        let mut rest = before.names.iter().peekable();
        let mut position = 0;
        while let Some(endpoint) = before.endpoints.get(position) {
            let named = rest.next_if(|named| named.endpoints().start == position);
            let Some(named) = named else {
                expanded.endpoints.push(endpoint.clone());
                position += 1;
                continue;
            };
            position = named.endpoints().end;
            let of_names: usize = rest.clone().map(|named| usize::from(named.count)).sum();
            let following = before.endpoints.len() - position - of_names + rest.clone().count();
            self.renew_name(&mut expanded, before, named, following);
        }
        DeploymentRoute::of(before, expanded)
    }

    /// Adds the endpoints that a name leads to now. One that can't be made is left out; if that is
    /// all of them, those from before stay.
    fn renew_name(
        &self,
        expanded: &mut Expanded,
        before: &DeploymentRoute,
        named: &Named,
        following: usize,
    ) {
        let known = named.record.known();
        let first = expanded.endpoints.len();
        let earlier = &before.endpoints[named.endpoints()];
        let room = room(first, following);
        if let Some(any) = earlier.first() {
            let pattern = Pattern::of(any, named);
            for place in known.places.iter().take(room) {
                match pattern.at(self, &named.record, &known, place) {
                    Ok(endpoint) => expanded.endpoints.push(endpoint),
                    Err(error) => {
                        let (name, address) = (named.record.question(), place.address);
                        tracing::error!(%name, %address, %error, "address can't be used");
                    }
                }
            }
        }
        if expanded.endpoints.len() == first {
            expanded
                .endpoints
                .extend(earlier.iter().take(room).cloned());
        }
        expanded.names.push(Named {
            record: named.record.clone(),
            version: known.version,
            called: named.called.clone(),
            priority: named.priority,
            weight: named.weight,
            first: position(first),
            count: position(expanded.endpoints.len() - first),
            left_out: left_out(&named.record, &known, room),
        });
    }
}

impl TenantRoute {
    /// Whether a name of any endpoint leads elsewhere by now.
    pub fn is_behind(&self) -> bool {
        self.deployments().any(DeploymentRoute::is_behind)
    }
}

impl DeploymentRoute {
    /// The names that endpoints stand for.
    pub fn names(&self) -> &[Named] {
        &self.names
    }

    fn is_behind(&self) -> bool {
        self.names.iter().any(Named::is_behind)
    }
}

/// What a request can tell apart; see [`Tried`](crate::proxy::pick::Tried).
const MOST_ENDPOINTS: usize = 64;
