//! What all addresses of one endpoint of a document have in common, and the endpoint at each of them.

use std::{net::SocketAddr, sync::Arc};

use health::{Known, Place, ServiceTarget, Target, WatchedName};
use http::{HeaderValue, uri::Authority};
use rustls::pki_types::ServerName;

use super::{
    EndpointRoute, Peer, PeerHost, PeerTls, RouteBuilder, RouteFault, Upstream, named::Named, probe,
};

/// An endpoint of a document, wherever its host is.
pub(super) struct Pattern {
    /// As its URL names it.
    pub(super) origin: Arc<Peer>,
    /// What its URL calls it.
    pub(super) called: Arc<str>,
    pub(super) authority: Authority,
    pub(super) base_path: Box<str>,
    pub(super) authorization: Option<Arc<HeaderValue>>,
    pub(super) target: Target,
    pub(super) zone: Option<Box<str>>,
    pub(super) is_near: bool,
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) draining: bool,
}

impl Pattern {
    /// What an endpoint was made by, with what a service's records said taken out again.
    pub(super) fn of(endpoint: &EndpointRoute, named: &Named) -> Self {
        let upstream = &endpoint.upstream;
        let mut target = Target::clone(upstream.health.target());
        (target.address, target.of) = (None, None);
        Self {
            origin: upstream.peer.origin().unwrap_or(&upstream.peer).clone(),
            called: named.called.clone(),
            authority: upstream.authority.clone(),
            base_path: upstream.base_path.clone(),
            authorization: upstream.authorization.clone(),
            target,
            zone: endpoint.zone.clone(),
            is_near: endpoint.is_near,
            priority: named.priority,
            weight: named.weight,
            draining: endpoint.draining,
        }
    }

    /// The endpoint itself, at its address or by a name that nothing is known of.
    pub(super) fn whole(self, routes: &RouteBuilder) -> Result<EndpointRoute, RouteFault> {
        let target = Target {
            client: routes.probe_client(&self.origin)?,
            ..self.target
        };
        Ok(EndpointRoute {
            upstream: Upstream {
                peer: self.origin,
                name: self.called,
                from: None,
                authority: self.authority,
                base_path: self.base_path,
                authorization: self.authorization,
                health: routes.monitor.watch(target),
            },
            zone: self.zone,
            is_near: self.is_near,
            priority: self.priority,
            weight: self.weight,
            draining: self.draining,
        })
    }

    /// The endpoint at one of the places that were answered.
    pub(super) fn at(
        &self,
        routes: &RouteBuilder,
        record: &Arc<WatchedName>,
        known: &Known,
        place: &Place,
    ) -> Result<EndpointRoute, RouteFault> {
        let authority = match &place.service {
            None => self.authority.clone(),
            Some(target) => self.addressed_as(target)?,
        };
        let peer = routes
            .peers
            .addressed(&self.origin, place, |id| self.peer_at(id, place))?;
        let mut target = Target {
            address: Some(place.address),
            of: Some(record.clone()),
            client: routes.probe_client(&peer)?,
            ..self.target.clone()
        };
        if let Some(service) = &place.service {
            target.name = format!("{}:{}", service.host, service.port).into();
            probe_service(&mut target, &peer, service);
        }
        let name = self.name_of(known, place);
        let from = (name != self.called).then(|| self.called.clone());
        let (priority, weight) = self.rank_of(place);
        Ok(EndpointRoute {
            upstream: Upstream {
                peer,
                name,
                from,
                authority,
                base_path: self.base_path.clone(),
                authorization: self.authorization.clone(),
                health: routes.monitor.watch(target),
            },
            zone: self.zone.clone(),
            is_near: self.is_near,
            priority,
            weight,
            draining: self.draining,
        })
    }

    /// By its name, if that has one address only; else by that.
    pub(super) fn name_of(&self, known: &Known, place: &Place) -> Arc<str> {
        let is_sibling = |other: &&Place| match (&other.service, &place.service) {
            (Some(other), Some(this)) => other.host == this.host && other.port == this.port,
            _ => true,
        };
        let is_alone = known.places.iter().filter(is_sibling).count() == 1;
        match &place.service {
            None if is_alone => self.called.clone(),
            Some(target) if is_alone => format!("{}:{}", target.host, target.port).into(),
            None => SocketAddr::new(place.address, self.origin.port)
                .to_string()
                .into(),
            Some(target) => SocketAddr::new(place.address, target.port)
                .to_string()
                .into(),
        }
    }

    /// Its priority and weight: those of the document, with those of a service's record upon them.
    pub(super) fn rank_of(&self, place: &Place) -> (u16, u16) {
        match &place.service {
            None => (self.priority, self.weight),
            Some(target) => (
                self.priority.saturating_add(target.priority),
                self.weight.saturating_mul(target.weight).min(WEIGHT_MAX),
            ),
        }
    }

    /// As the heads of requests name a service's host: by its own name.
    fn addressed_as(&self, target: &ServiceTarget) -> Result<Authority, RouteFault> {
        let usual = if self.origin.tls.is_some() { 443 } else { 80 };
        let text = match target.port {
            port if port == usual => target.host.to_string(),
            port => format!("{}:{port}", target.host),
        };
        text.parse().map_err(|_| RouteFault::Authority(text))
    }

    fn peer_at(&self, id: u64, place: &Place) -> Result<Peer, RouteFault> {
        let origin = &self.origin;
        let mut tls = origin.tls.clone();
        if let (Some(tls), Some(target)) = (&mut tls, &place.service) {
            tls.server_name = server_name(origin, tls, target)?;
        }
        Ok(Peer {
            id,
            host: PeerHost::Address(place.address),
            port: place
                .service
                .as_ref()
                .map_or(origin.port, |target| target.port),
            protocol: origin.protocol,
            tls,
            origin: Some(origin.clone()),
        })
    }
}

/// Has a service's host probed under the name that requests go to, or that is verified.
fn probe_service(target: &mut Target, peer: &Peer, service: &ServiceTarget) {
    let verified = peer.tls.as_ref().map(|tls| tls.server_name.to_str());
    let host = verified.as_deref().unwrap_or(&service.host);
    let mut url = target.url.to_url();
    probe::address(&mut url, host, service.port);
    target.url = url.into();
}

/// What a service's host is verified as: by its own name, unless the document says another. Without
/// that, the origin has the name of the service, which no certificate is for.
fn server_name(
    origin: &Peer,
    tls: &PeerTls,
    target: &ServiceTarget,
) -> Result<ServerName<'static>, RouteFault> {
    match &origin.host {
        PeerHost::Service(name) if tls.server_name.to_str() == **name => {
            ServerName::try_from(target.host.to_string())
                .map_err(|_| RouteFault::ServerName(target.host.to_string()))
        }
        _ => Ok(tls.server_name.clone()),
    }
}

const WEIGHT_MAX: u16 = 1_000;
