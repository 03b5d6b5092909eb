//! The door of the guarded paths: who is calling, and may they do this?

use std::{future::Future, net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};

use super::{error::ApiError, listener::Peer, session::Sessions, token};
use crate::{
    attempts::Attempts,
    config::{Operator, Operators, Role},
    control::Control,
    jwt::unix_now,
};

/// What the door needs to know.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) control: Arc<Control>,
    pub(super) attempts: Arc<Attempts>,
    pub(super) sessions: Arc<Sessions>,
}

impl Door {
    /// Whether somebody from `address` may try to show who they are.
    pub(super) fn admit(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        let most = self.control.settings().max_login_failures;
        let wait = |address| self.attempts.wait(address, most, Instant::now());
        match address.and_then(|address| Some((address, wait(address)?))) {
            None => Ok(()),
            Some((address, wait)) => Err(ApiError::TooManyAttempts {
                address,
                seconds: wait.as_secs() + 1,
            }),
        }
    }

    /// Somebody from `address` has tried, and is nobody.
    pub(super) fn failed(&self, address: Option<IpAddr>, now: Instant) {
        if let Some(address) = address {
            let most = self.control.settings().max_login_failures;
            self.attempts.failed(address, most, now);
        }
    }
}

/// The operator who is calling.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: Arc<str>,
    pub(super) role: Role,
}

/// Lets a request through that shows to be an operator's. An address that failed too often has to
/// wait, whatever it sends: otherwise the right guess would get through.
pub(super) async fn authenticate(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let peer = peer(&request);
    let address = peer.as_ref().map(|peer| peer.address.ip());
    let caller = recognise(&door, &request, peer.as_ref()).await;
    let caller = caller.inspect_err(|error| {
        if error.is_failure_to_authenticate() {
            door.failed(address, Instant::now());
        }
    })?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The same for pages: a browser that brings nothing is nobody's guess, but somebody who has not
/// logged in yet.
pub(super) async fn authenticate_browser(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return authenticate(State(door), request, next).await;
    }
    let peer = peer(&request);
    let caller = recognise(&door, &request, peer.as_ref()).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

pub(super) fn peer(request: &Request) -> Option<Peer> {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    peer.map(|ConnectInfo(peer)| peer.clone())
}

/// Whose request it is: by its token, by that of its session, by the certificate shown.
fn recognise<'r>(
    door: &'r Door,
    request: &'r Request,
    peer: Option<&'r Peer>,
) -> impl Future<Output = Result<Caller, ApiError>> + Send + use<'r> {
    let (method, headers) = (request.method(), request.headers());
    async move {
        let settings = door.control.settings();
        let operators = &settings.operators;
        if operators.is_empty() {
            return Err(ApiError::NoToken);
        }
        door.admit(peer.map(|peer| peer.address.ip()))?;
        let session = door.sessions.token(method, headers, Instant::now());
        match (credential(headers), session) {
            (Sent::Token(token), _) => by_token(&door.control, operators, token).await,
            (Sent::Nothing, Some(token)) => by_token(&door.control, operators, &token).await,
            (Sent::Nothing, None) => peer
                .and_then(|peer| peer.certificate.as_deref())
                .and_then(|shown| operators.by_certificate(|name| shown.has(name)))
                .map(Caller::of)
                .ok_or(ApiError::Unauthenticated),
            (Sent::Unusable, _) => Err(ApiError::Unauthenticated),
        }
    }
}

pub(super) async fn by_token(
    control: &Control,
    operators: &Operators,
    token: &str,
) -> Result<Caller, ApiError> {
    if let Some(operator) = operators.by_token(token) {
        return Ok(Caller::of(operator));
    }
    if operators.issuers().is_empty() {
        return Err(ApiError::Unauthenticated);
    }
    let keyrings = &control.credentials().keyrings;
    token::caller(operators.issuers(), keyrings, token, unix_now()).await
}

/// Lets operators of this role, or of one that may do more, through.
pub(super) async fn require(
    State(needed): State<Role>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = request.extensions().get::<Caller>();
    caller.ok_or(ApiError::Unauthenticated)?.require(needed)?;
    Ok(next.run(request).await)
}

impl Caller {
    fn of(Operator { name, role, .. }: &Operator) -> Self {
        Self {
            name: name.clone(),
            role: *role,
        }
    }

    /// Refuses what needs a role that this caller's does not suffice for.
    pub(super) fn require(&self, needed: Role) -> Result<(), ApiError> {
        if self.role >= needed {
            return Ok(());
        }
        Err(ApiError::Forbidden {
            operator: self.name.clone(),
            held: self.role,
            needed,
        })
    }
}

/// What a request brings to show whose it is.
pub(super) enum Sent<'r> {
    Nothing,
    Token(&'r str),
    /// More than one header, another scheme, or no text.
    Unusable,
}

/// The token of the one `Authorization` header; the scheme's case does not matter (RFC 9110).
pub(super) fn credential(headers: &HeaderMap) -> Sent<'_> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Sent::Nothing,
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    match value.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Sent::Token(token.trim()),
        _ => Sent::Unusable,
    }
}
