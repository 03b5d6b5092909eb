//! What is remembered of one request until its last byte: then it becomes counters, perhaps a log
//! line, and evidence of its endpoint's health.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Duration};

use health::Failure;
use http::{HeaderValue, Method, StatusCode, uri::PathAndQuery};
use tenant_store::model::{Signal, TenantId};
use tokio::time::Instant;

use super::{
    LocalRoute, body::Upload, classify::Operation, context::ProxyContext, error::ProxyError,
    identify::Principal, relay::RelayError, route::EndpointRoute,
};
use crate::{
    clock::Clock,
    config::AccessLog,
    connection::Busy,
    telemetry::{Finished, Service, Telemetry},
};

/// A client that goes away without the first byte of an answer after so long was not served.
const GIVEN_UP: Duration = Duration::from_secs(10);

/// One request, from its head to the last byte of its answer.
///
/// Dropped before the answer is whole, it counts as cancelled by the client.
#[derive(Debug)]
pub struct Exchange {
    context: Rc<ProxyContext>,
    access: AccessLog,
    client: IpAddr,
    method: Method,
    target: Option<PathAndQuery>,
    request_id: HeaderValue,
    began: Instant,
    signal: Signal,
    operation: Option<Operation>,
    tenant: Option<Rc<LocalRoute>>,
    upload: Rc<Upload>,
    attempts: u32,
    /// Of the attempts, those that began while another one was waiting.
    hedges: u32,
    endpoint: Option<usize>,
    status: StatusCode,
    first_byte: Option<Duration>,
    sent: u64,
    reason: Option<&'static str>,
    /// What a refusal or an answer that broke off says of the service.
    fault: Option<Service>,
    /// The tenant that a refused request named; it may be anybody's invention.
    named: Option<Box<str>>,
    /// Who showed a credential.
    principal: Option<Rc<Principal>>,
    complete: bool,
    busy: Busy,
}

/// What an exchange begins with.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Where it is counted, and where its tenant is looked up again.
    pub context: &'a Rc<ProxyContext>,
    /// How much of it is logged.
    pub access: AccessLog,
    /// Who asks.
    pub client: IpAddr,
    /// The request's method.
    pub method: &'a Method,
    /// Its target as sent. The query is not told: it may carry secrets.
    pub target: Option<&'a PathAndQuery>,
    /// Its id.
    pub request_id: HeaderValue,
    /// Keeps its connection marked as busy.
    pub busy: Busy,
}

impl Exchange {
    /// Begins to account for a request.
    pub fn open(opening: Opening<'_>) -> Self {
        Self {
            context: opening.context.clone(),
            access: opening.access,
            client: opening.client,
            method: opening.method.clone(),
            target: opening.target.cloned(),
            request_id: opening.request_id,
            began: Instant::now(),
            signal: Signal::Metrics,
            operation: None,
            tenant: None,
            upload: opening.context.no_upload().clone(),
            attempts: 0,
            hedges: 0,
            endpoint: None,
            status: StatusCode::INTERNAL_SERVER_ERROR,
            first_byte: None,
            sent: 0,
            reason: None,
            fault: None,
            named: None,
            principal: None,
            complete: false,
            busy: opening.busy,
        }
    }

    /// The request's id.
    pub fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The worker's clock.
    pub fn clock(&self) -> &Clock {
        self.context.clock()
    }

    /// It has a body, of which nothing has come yet.
    pub fn uploads(&mut self) -> &Rc<Upload> {
        self.upload = Rc::default();
        &self.upload
    }

    /// What has come of the request's body.
    pub fn upload(&self) -> &Rc<Upload> {
        &self.upload
    }

    /// It is for this signal.
    pub fn classified(&mut self, signal: Signal, operation: Option<Operation>) {
        self.signal = signal;
        self.operation = operation;
    }

    /// It is by this one, if it showed a credential.
    pub fn identified(&mut self, principal: Option<Rc<Principal>>) {
        self.principal = principal;
    }

    /// It is for this tenant, and in flight from now on.
    pub fn routed(&mut self, route: &Rc<LocalRoute>) {
        if let Some(deployment) = route.route().deployment(self.signal) {
            route.counts(deployment).begin();
        }
        self.tenant = Some(route.clone());
    }

    /// One more endpoint is tried.
    pub fn attempt(&mut self, position: usize) {
        self.attempts += 1;
        self.endpoint = Some(position);
    }

    /// A second endpoint was asked while the first one was silent.
    pub fn hedged(&mut self) {
        self.attempts += 1;
        self.hedges += 1;
    }

    /// The endpoint at `position` answered, though another one was asked first and has not failed.
    pub fn overtaken_by(&mut self, position: usize) {
        self.hedged();
        self.endpoint = Some(position);
    }

    /// The answer has no end of its own.
    pub fn endless(&mut self) {
        self.busy.is_endless();
    }

    /// An endpoint began to answer.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status;
        self.first_byte = Some(self.began.elapsed());
    }

    /// So many bytes of the answer went to the client.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// The answer is whole, which is when it speaks for its endpoint.
    pub fn completed(&mut self) {
        self.complete = true;
        if let (None, Some(endpoint)) = (Failure::from_status(self.status), self.endpoint()) {
            endpoint.health().report_success();
        }
    }

    /// The answer broke off before it was whole.
    pub fn broken_off(&mut self, error: &RelayError) {
        self.complete = true;
        if self.upload.is_broken() {
            self.reason = Some(ProxyError::ClientGone.reason());
            self.fault = Some(ProxyError::ClientGone.service());
            return;
        }
        self.reason = Some(error.reason());
        self.fault = Some(error.service());
        let of_backend = matches!(error, RelayError::Upstream(_));
        if let Some(endpoint) = self.endpoint().filter(|_| of_backend) {
            endpoint.health().report_failure(Failure::Reset);
        }
    }

    /// Whether the tenant was suspended or deleted since the request was let through, or the key
    /// revoked that it came with. Of two credentials the first would have sufficed.
    pub fn is_withdrawn(&self) -> bool {
        let route = self.tenant.as_ref();
        route.is_some_and(|route| !route.is_current() && self.context.is_withdrawn(route.id()))
            || self
                .principal
                .as_ref()
                .is_some_and(|principal| self.context.is_revoked(principal))
    }

    /// The request, which may have named a tenant, is answered with an error of the router's own.
    pub fn refused(
        &mut self,
        error: &ProxyError,
        named: Option<&str>,
        status: StatusCode,
        bytes: usize,
    ) {
        self.named = named.map(Into::into);
        self.status = status;
        self.reason = Some(error.reason());
        self.fault = Some(error.service());
        self.sent = bytes as u64;
        self.complete = true;
    }

    /// The endpoint that was tried last.
    pub fn endpoint(&self) -> Option<&EndpointRoute> {
        let deployment = self.tenant.as_ref()?.route().deployment(self.signal)?;
        deployment.endpoints().get(self.endpoint?)
    }

    fn telemetry(&self) -> &Arc<Telemetry> {
        self.context.telemetry()
    }

    fn tenant_id(&self) -> Option<&TenantId> {
        self.tenant.as_ref().map(|route| route.id())
    }

    fn count(&self, took: Duration) {
        let tenant = self.tenant_id();
        if let Some(reason) = self.reason {
            self.telemetry().failed(tenant, self.signal, reason);
        }
        let code = self.status.as_u16();
        let Some(route) = &self.tenant else {
            self.context.unknown(self.signal).refused(code);
            return;
        };
        let Some(deployment) = route.route().deployment(self.signal) else {
            self.telemetry().unrouted(route.id(), self.signal, code);
            return;
        };
        route.counts(deployment).finish(&Finished {
            code,
            took,
            first_byte: self.first_byte,
            moved_on: self.first_byte.is_some() && self.attempts > 1 + self.hedges,
            service: self.service(took),
            request_bytes: self.upload.bytes(),
            response_bytes: self.sent,
        });
    }

    fn service(&self, took: Duration) -> Service {
        match self.fault {
            Some(service) => service,
            None if !self.complete && self.first_byte.is_none() && took >= GIVEN_UP => {
                Service::Unserved
            }
            None if !self.complete => Service::Silent,
            None if self.status.is_server_error() => Service::Unserved,
            None => Service::Served,
        }
    }

    fn log(&self, took: Duration) {
        let failed = self.reason.is_some() || self.status.is_server_error();
        let share = if failed {
            self.access.errors
        } else {
            self.access.success
        };
        if share <= 0.0 || (share < 1.0 && rand::random::<f64>() >= share) {
            return;
        }
        let tenant = self
            .tenant_id()
            .map(TenantId::as_str)
            .or(self.named.as_deref());
        tracing::info!(
            target: "access",
            client = %self.client,
            tenant = tenant.unwrap_or_default(),
            credential = self.principal.as_ref().map(|principal| principal.kind.as_str()),
            subject = self.principal.as_ref().map(|principal| &*principal.subject),
            signal = self.signal.as_str(),
            operation = self.operation.map(Operation::as_str).unwrap_or_default(),
            method = self.method.as_str(),
            path = self.target.as_ref().map_or("", PathAndQuery::path),
            status = self.status.as_u16(),
            reason = self.reason.unwrap_or_default(),
            endpoint = self.endpoint().map(EndpointRoute::name).unwrap_or_default(),
            attempts = self.attempts,
            bytes_in = self.upload.bytes(),
            bytes_out = self.sent,
            first_byte_us = self.first_byte.map(microseconds),
            duration_us = microseconds(took),
            request_id = self.request_id.to_str().unwrap_or_default(),
            "request",
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.complete {
            self.reason = Some("client_canceled");
            // What nginx made the usual code in logs for this; no client sees it.
            self.status = StatusCode::from_u16(499).unwrap_or(self.status);
        }
        let took = self.began.elapsed();
        self.count(took);
        self.log(took);
    }
}

fn microseconds(span: Duration) -> u64 {
    span.as_micros().try_into().unwrap_or(u64::MAX)
}
