//! Which endpoints of a deployment requests may go to: who takes what, and what makes each of them a
//! candidate for [`pick`].

use std::sync::atomic::Ordering;

use health::Availability;
use smallvec::SmallVec;
use tenant_store::model::{BalancingPolicy, EndpointProtocol};

use super::{DeploymentRoute, EndpointRoute};
use crate::proxy::pick::{Candidate, Tried, pick, serving};

/// Requests that need endpoints of their own, where a deployment mixes HTTP/1 and HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// All there are: it doesn't mix them.
    Any,
    /// gRPC, which is for its HTTP/2 endpoints.
    Grpc,
    /// All else, which is for its HTTP/1 endpoints.
    Other,
}

/// What makes one endpoint cost more than another.
#[derive(Debug, Clone, Copy)]
enum Costs {
    /// Nothing: the policy does not ask.
    Nothing,
    /// What it has to do.
    Load,
    /// How long its answers take, at this time on the endpoints' clock.
    Time { now: u64 },
}

impl DeploymentRoute {
    /// Position of the endpoint to try next; see [`pick`].
    pub fn pick(&self, tried: Tried, trial: bool) -> Option<usize> {
        let costs = self.costs();
        let candidates: SmallVec<[Candidate; 4]> = self
            .endpoints
            .iter()
            .map(|endpoint| endpoint.candidate(costs))
            .collect();
        let turn = || self.turn.fetch_add(1, Ordering::Relaxed);
        pick(&candidates, tried, self.rules, &turn, trial)
    }

    /// Where requests go by turns, gRPC and others, with each endpoint as available as `availability`
    /// says of its position; see [`serving`].
    pub fn serving(&self, availability: impl Fn(usize) -> Availability) -> Tried {
        let endpoints = self.endpoints.iter().enumerate();
        let candidates: SmallVec<[Candidate; 4]> = endpoints
            .map(|(position, endpoint)| Candidate {
                availability: availability(position),
                ..endpoint.candidate(Costs::Nothing)
            })
            .collect();
        let of = |unfit| serving(&candidates, unfit, self.rules);
        self.kinds()
            .fold(Tried::default(), |all, (_, unfit)| all.with(of(unfit)))
    }

    /// The kinds of request that it has endpoints of their own for, each with the endpoints that don't
    /// take it. Where nothing is spoken but HTTP/2, or nothing but HTTP/1, that is one kind for all.
    pub fn kinds(&self) -> impl Iterator<Item = (RequestKind, Tried)> {
        let of = |kind, grpc| (kind, self.unfit(grpc));
        let kinds = if self.is_mixed {
            [
                Some(of(RequestKind::Grpc, true)),
                Some(of(RequestKind::Other, false)),
            ]
        } else {
            [Some((RequestKind::Any, Tried::default())), None]
        };
        kinds.into_iter().flatten()
    }

    /// The endpoints that don't speak what a request speaks, to be counted as tried. gRPC takes an
    /// endpoint with HTTP/2; the others get everything else, where there are any.
    pub fn unfit(&self, grpc: bool) -> Tried {
        let fits = |endpoint: &EndpointRoute| match endpoint.upstream.protocol() {
            EndpointProtocol::Http2 => grpc || !self.is_mixed,
            EndpointProtocol::Http1 => !grpc,
        };
        let mut unfit = Tried::default();
        let positions = self.endpoints.iter().enumerate();
        positions
            .filter(|(_, endpoint)| !fits(endpoint))
            .for_each(|(p, _)| unfit.mark(p));
        unfit
    }

    /// What makes one endpoint cost more than another.
    fn costs(&self) -> Costs {
        match (self.rules.policy, self.endpoints.first()) {
            (BalancingPolicy::LeastLoaded, _) => Costs::Load,
            (BalancingPolicy::Nearest, Some(any)) => Costs::Time {
                now: any.health().clock(),
            },
            _ => Costs::Nothing,
        }
    }

    /// Whether requests have to be counted as in flight at their endpoint.
    pub fn counts_load(&self) -> bool {
        matches!(
            self.rules.policy,
            BalancingPolicy::LeastLoaded | BalancingPolicy::Nearest
        )
    }

    /// Whether it matters how long an endpoint's answers take.
    pub fn goes_by_time(&self) -> bool {
        self.rules.policy == BalancingPolicy::Nearest
    }

    /// Whether requests of every kind find an endpoint that takes them.
    pub fn is_available(&self) -> bool {
        let is_taken = |(_, unfit)| self.pick(unfit, true).is_some();
        self.fault.is_none() && self.kinds().all(is_taken)
    }
}

impl EndpointRoute {
    fn candidate(&self, costs: Costs) -> Candidate {
        let health = self.health();
        let in_flight = || health.in_flight() as u64;
        Candidate {
            availability: self.availability(),
            priority: self.priority,
            weight: self.weight,
            share: health.share(),
            is_near: self.is_near,
            cost: match costs {
                Costs::Nothing => 0,
                Costs::Load => in_flight(),
                // Those in flight are waited for as well; an endpoint that hangs has ever more.
                Costs::Time { now } => {
                    (u64::from(health.latency(now)) + 1).saturating_mul(in_flight() + 1)
                }
            },
        }
    }
}

/// Whether HTTP/2 is spoken at some of them and HTTP/1 at others.
pub(super) fn is_mixed(endpoints: &[EndpointRoute]) -> bool {
    let speaks = |protocol| {
        let mut protocols = endpoints.iter().map(|e| e.upstream.protocol());
        protocols.any(|spoken| spoken == protocol)
    };
    speaks(EndpointProtocol::Http1) && speaks(EndpointProtocol::Http2)
}
