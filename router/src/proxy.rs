//! The way of one request: a straight line of named steps, nothing else.
//!
//! identify → classify → admit → pick → forward → account. Each step is a room of its own below;
//! an error leaves the line at once and is told in the client's own format.

pub mod account;
pub mod admit;
pub mod body;
pub mod classify;
pub mod context;
pub mod error;
mod front;
mod health_check;
pub mod identify;
pub mod patience;
pub mod pick;
pub mod relay;
pub mod rewrite;
pub mod route;
pub mod settings;
mod status_page;
pub mod upstream;

pub use front::LocalRoute;

use std::{net::IpAddr, rc::Rc, time::Duration};

use http::{HeaderValue, Method, Request, Response, Version, header, request::Parts, response};
use http_body::Body as _;
use hyper::body::Incoming;
use tenant_store::model::Signal;
use tokio::time::timeout;

use self::{
    account::{Exchange, Opening},
    body::RequestBody,
    classify::{Classified, Dialect, Operation, Served, Verdict, classify},
    context::{ProxyContext, Stance},
    error::{Answerable, ProxyError},
    identify::{Asked, TenantName, TenantPath, client},
    patience::Patience,
    relay::ResponseBody,
    rewrite::{Forward, Front, Hop},
    route::{DeploymentRoute, TenantRoute},
    settings::Settings,
    upstream::{Counts, Forwarding, Lease},
};
use crate::connection::{Busy, Connection};

/// A backend's answer that begins to flow.
type Answer = (response::Parts, Lease, Patience);

/// Answers one request.
pub async fn handle(
    context: &Rc<ProxyContext>,
    connection: &Rc<Connection>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (head, body) = request.into_parts();
    let settings = context.settings();
    let path = settings.identity.divide(head.uri.path());
    let served = Served {
        signal: connection.signal(),
        // Not below a tenant's name: that is the tenant's path.
        status_page: settings.public_page && path.length() == 0,
    };
    let classified = classify(path.rest(), served);
    let version = head.version;
    let busy = connection.busy(version);
    let trusts = |ip| settings.trusts(ip);
    let line = Line {
        context,
        connection,
        settings: &settings,
        head: &head,
        path,
        client: (!connection.is_anonymous())
            .then(|| client::address(&head.headers, connection.peer(), trusts))
            .flatten(),
        classified,
    };
    let mut response = match classified.verdict {
        Verdict::HealthCheck if !connection.has_ambiguous_framing() => {
            health_check::answer(context, &line.asked(), classified.signal).await
        }
        Verdict::StatusPage if !connection.has_ambiguous_framing() => {
            status_page::answer(context, &head).await
        }
        _ => walk_the_line(&line, busy, body).await,
    };
    if context.stance() == Stance::Draining && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers a request that is for a backend.
async fn walk_the_line(line: &Line<'_>, busy: Busy, body: Incoming) -> Response<ResponseBody> {
    let head = line.head;
    let mut exchange = Exchange::open(Opening {
        context: line.context,
        access: line.settings.access,
        client: line.client.unwrap_or(line.connection.peer()),
        method: &head.method,
        target: head.uri.path_and_query(),
        request_id: line.context.request_id(&head.headers),
        busy,
    });
    let mut named = None;
    match line.walk(body, &mut exchange, &mut named).await {
        Ok((answer, lease, patience)) => line.relay(answer, exchange, lease, patience),
        Err(error) => {
            let tenant = named.as_ref().map(TenantName::as_str);
            refuse(&error, exchange, line.classified, tenant)
        }
    }
}

/// What the steps of one request share.
struct Line<'a> {
    context: &'a Rc<ProxyContext>,
    connection: &'a Connection,
    settings: &'a Settings,
    head: &'a Parts,
    path: TenantPath<'a>,
    /// Where it comes from, if anybody can say.
    client: Option<IpAddr>,
    classified: Classified,
}

impl<'a> Line<'a> {
    /// From a request's head to the head of its answer. `named` is the tenant, once it is known by
    /// name: errors say it.
    async fn walk(
        &self,
        body: Incoming,
        exchange: &mut Exchange,
        named: &mut Option<TenantName<'a>>,
    ) -> Result<Answer, ProxyError> {
        let head = self.head;
        if self.connection.has_ambiguous_framing() {
            return Err(ProxyError::AmbiguousFraming);
        }
        if matches!(head.method, Method::CONNECT | Method::TRACE) {
            return Err(ProxyError::MethodNotAllowed);
        }
        let signal = self.classified.signal.unwrap_or(Signal::Metrics);
        exchange.classified(signal, self.operation());
        let who = self.settings.identity.identify(&self.asked()).await?;
        let tenant = named.insert(who.tenant).as_str();
        exchange.identified(who.principal);
        let (operation, strip) = self.forwarded()?;
        admit::permit(who.scopes, signal, operation)?;
        let local = self
            .context
            .route(tenant)
            .await?
            .ok_or(ProxyError::UnknownTenant)?;
        let route: &TenantRoute = local.route();
        exchange.routed(&local);
        let deployment = match admit::admit(route, signal) {
            Ok(deployment) => deployment,
            Err(error) => {
                self.reread(&error, route, signal);
                return Err(error);
            }
        };
        let off = route.off();
        if !off.is_empty() {
            admit::check_features(off, &head.uri.path()[strip..], signal, operation)?;
        }
        let patience = self.patience(operation, deployment, exchange);
        let body = self
            .take_body(body, operation, deployment, exchange)
            .await?;
        // Only now: until its body is whole, a client has more to send.
        if operation == Operation::Tail && exchange.upload().is_whole() {
            exchange.endless();
        }
        let request_id = exchange.request_id().clone();
        let identity = &self.settings.identity_headers;
        let forward = Forward::new(head, strip, self.hop(), identity, &request_id);
        let forwarding = Forwarding {
            pool: self.context.pool(),
            settings: &self.settings.upstream,
            clock: self.context.clock(),
            counts: Counts {
                worker: self.context.counts(),
                tenant: local.counts(deployment),
            },
            forward: &forward,
            deployment,
            operation,
            grpc: self.classified.dialect == Dialect::Grpc,
            patience,
        };
        let sent = forwarding.send(body, exchange).await;
        match sent {
            Ok((answer, lease)) => Ok((answer, lease, patience)),
            Err(error) => {
                self.reread(&error, route, signal);
                Err(error)
            }
        }
    }

    fn asked(&self) -> Asked<'a> {
        Asked {
            head: self.head,
            path: self.path,
            client: self.client,
            peer: self.connection.peer(),
            certificate: self.connection.certificate(),
        }
    }

    /// What a backend is to do, and how much of the path is not for it.
    fn forwarded(&self) -> Result<(Operation, usize), ProxyError> {
        match self.classified.verdict {
            Verdict::Forward { operation, strip } => Ok((operation, self.path.length() + strip)),
            Verdict::Malformed => Err(ProxyError::MalformedPath),
            Verdict::Denied | Verdict::HealthCheck | Verdict::StatusPage => {
                Err(ProxyError::PathDenied)
            }
        }
    }

    fn operation(&self) -> Option<Operation> {
        match self.classified.verdict {
            Verdict::Forward { operation, .. } => Some(operation),
            Verdict::HealthCheck | Verdict::StatusPage | Verdict::Denied | Verdict::Malformed => {
                None
            }
        }
    }

    /// How long an answer may take: ordinary ones their deployment's timeout, streams as long as
    /// they flow, live tails for ever.
    fn patience(
        &self,
        operation: Operation,
        deployment: &DeploymentRoute,
        exchange: &Exchange,
    ) -> Patience {
        match operation {
            Operation::Read | Operation::Write | Operation::Unknown => {
                Patience::Until(exchange.began() + deployment.timeout())
            }
            Operation::Export | Operation::Import => {
                Patience::Idle(self.settings.upstream.stream_idle_timeout)
            }
            Operation::Tail => Patience::Endless,
        }
    }

    /// Holds the body of a read, which may have to be sent again; lets that of a write flow.
    async fn take_body(
        &self,
        body: Incoming,
        operation: Operation,
        deployment: &DeploymentRoute,
        exchange: &mut Exchange,
    ) -> Result<RequestBody, ProxyError> {
        if body.is_end_stream() {
            return Ok(RequestBody::Empty);
        }
        let upload = exchange.uploads();
        if self.connection.is_http2() {
            upload.by_http2();
        }
        if !operation.is_repeatable() {
            return Ok(RequestBody::stream(body, upload));
        }
        let limit: Duration = deployment.timeout();
        let window = self.settings.upstream.retry_window;
        match Box::pin(timeout(
            limit,
            RequestBody::read_ahead(body, window, upload),
        ))
        .await
        {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) => Err(ProxyError::ClientGone),
            Err(_) => Err(ProxyError::SlowBody { limit }),
        }
    }

    fn relay(
        &self,
        mut head: response::Parts,
        mut exchange: Exchange,
        lease: Lease,
        patience: Patience,
    ) -> Response<ResponseBody> {
        exchange.answered(head.status);
        rewrite::reply(&mut head.headers, exchange.request_id());
        self.restore_paths(&mut head, &exchange);
        head.version = Version::HTTP_11;
        Response::from_parts(head, ResponseBody::relay(exchange, lease, patience))
    }

    /// Puts right what an answer says of paths, if the client's went on without its front.
    fn restore_paths(&self, answer: &mut response::Parts, exchange: &Exchange) {
        let strip = match self.classified.verdict {
            Verdict::Forward { strip, .. } => self.path.length() + strip,
            Verdict::HealthCheck | Verdict::StatusPage | Verdict::Denied | Verdict::Malformed => 0,
        };
        let prefix = self.head.uri.path().get(..strip).unwrap_or_default();
        let Some(endpoint) = exchange.endpoint().filter(|_| !prefix.is_empty()) else {
            return;
        };
        let to = endpoint.upstream().addressee();
        let front = Front {
            prefix,
            base_path: to.base_path,
            hosts: [
                Some(to.authority.as_str().as_bytes()),
                rewrite::host(self.head),
            ],
        };
        rewrite::restore(&mut answer.headers, &front);
    }

    fn hop(&self) -> Hop<'_> {
        Hop {
            peer: self.connection.peer_text(),
            trusted: !self.connection.is_anonymous()
                && self.settings.trusts(self.connection.peer()),
            secure: self.connection.is_secure(),
        }
    }

    /// Where all endpoints fail, the tenant may have moved; where a secret could not be read, it
    /// may be there by now. The record is read again, while what is known stays.
    fn reread(&self, error: &ProxyError, route: &TenantRoute, signal: Signal) {
        let is_worth_it = matches!(
            error,
            ProxyError::NoEndpoint(_)
                | ProxyError::Unreachable { .. }
                | ProxyError::Misconfigured(_)
        );
        let is_due = || {
            route
                .deployment(signal)
                .is_some_and(DeploymentRoute::wants_reread)
        };
        if is_worth_it && is_due() {
            self.context.reread(route.id());
        }
    }
}

fn refuse(
    error: &ProxyError,
    mut exchange: Exchange,
    classified: Classified,
    tenant: Option<&str>,
) -> Response<ResponseBody> {
    let ingestion = match classified.verdict {
        Verdict::Forward { operation, .. } => operation.is_ingestion(),
        Verdict::HealthCheck | Verdict::StatusPage | Verdict::Denied | Verdict::Malformed => false,
    };
    let request_id = exchange.request_id().clone();
    let response = error::answer(
        error,
        &Answerable {
            dialect: classified.dialect,
            ingestion,
            tenant,
            request_id: request_id.to_str().unwrap_or_default(),
        },
    );
    let status = match classified.dialect {
        Dialect::Grpc => error.status(ingestion),
        Dialect::Prometheus | Dialect::Text | Dialect::Jaeger => response.status(),
    };
    exchange.refused(error, tenant, status, response.body().len());
    let mut response = response.map(ResponseBody::Own);
    response
        .headers_mut()
        .insert(rewrite::REQUEST_ID, request_id);
    response
}
