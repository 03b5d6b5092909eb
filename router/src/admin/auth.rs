//! The door of the guarded paths: who is calling, and may they do this?

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};

use super::{error::ApiError, listener::Peer};
use crate::{
    attempts::Attempts,
    config::{Operator, Role},
    control::Control,
};

/// What the door needs to know.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) control: Arc<Control>,
    pub(super) attempts: Arc<Attempts>,
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
    let settings = door.control.settings();
    if settings.operators.is_empty() {
        return Err(ApiError::NoToken);
    }
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.clone());
    let address = peer.as_ref().map(|peer| peer.address.ip());
    door.admit(address)?;
    let operator = match credential(request.headers()) {
        Sent::Token(token) => settings.operators.by_token(token),
        Sent::Nothing => peer
            .as_ref()
            .and_then(|peer| peer.certificate.as_deref())
            .and_then(|shown| settings.operators.by_certificate(|name| shown.has(name))),
        Sent::Unusable => None,
    };
    let Some(Operator { name, role, .. }) = operator else {
        door.failed(address, Instant::now());
        return Err(ApiError::Unauthenticated);
    };
    let caller = Caller {
        name: name.clone(),
        role: *role,
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
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
