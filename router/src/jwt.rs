//! Signed tokens: whether one is of an issuer that is believed, meant for this router, and valid
//! now. What it entitles to is decided by whoever asks: for tenants by `proxy::identify`, for
//! operators by `admin`.
//!
//! What a token says of itself is believed only after its signature, and then to the letter: an
//! issuer and an audience are equal to what is configured or they are not. There are no patterns.

mod claims;
mod token;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use thiserror::Error;

use self::token::Unverified;
use crate::{
    config::TokenTrust,
    keyring::{KeyFault, Keyring, Keyrings},
};

pub use self::{claims::Claims, token::TokenFault};

/// An issuer that is believed, and its keys.
#[derive(Debug, Clone)]
pub struct Issuer {
    trust: TokenTrust,
    keyring: Arc<Keyring>,
}

/// A token that is believed.
#[derive(Debug)]
pub struct Believed {
    /// What it says.
    pub claims: Claims,
    /// Until when it is to be believed, in seconds since 1970.
    pub until: u64,
    /// Whose it is, among the issuers that were asked about.
    pub issuer: usize,
    /// The number of the set of keys that it was verified by.
    pub keys: u64,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unbelieved {
    /// It is at fault.
    #[error(transparent)]
    Faulty(#[from] TokenFault),
    /// It may be good, but none of its issuer's keys were ever read.
    #[error("there are no keys of its issuer's to verify it by yet")]
    NoKeys,
}

impl Issuer {
    /// An issuer with the keys that are followed where it publishes them.
    pub fn new(trust: &TokenTrust, keyrings: &Keyrings) -> Self {
        Self {
            keyring: keyrings.of(&trust.keys),
            trust: trust.clone(),
        }
    }

    /// An issuer with these keys.
    pub fn with_keys(trust: TokenTrust, keyring: Arc<Keyring>) -> Self {
        Self { trust, keyring }
    }

    /// Whether the set of keys of this number is still its own.
    pub fn has_current(&self, keys: u64) -> bool {
        self.keyring.is_current(keys)
    }
}

/// Verifies a token of one of these issuers, at a time in seconds since 1970. Waits only for keys,
/// and only for a token of a key that is not known.
///
/// # Errors
/// It is not to be believed, or nobody can tell yet.
pub async fn verify(issuers: &[Issuer], token: &str, now: u64) -> Result<Believed, Unbelieved> {
    let unverified = Unverified::parse(token)?;
    let position = issuers
        .iter()
        .position(|issuer| unverified.is_of(&issuer.trust.issuer))
        .ok_or(TokenFault::UnknownIssuer)?;
    let Issuer { trust, keyring } = &issuers[position];
    if !trust.algorithms.contains(&unverified.algorithm()) {
        return Err(TokenFault::Algorithm.into());
    }
    let mut verdict = check(&unverified, keyring);
    if matches!(verdict, None | Some(Err(KeyFault::NoSuchKey))) && keyring.refresh().await {
        verdict = check(&unverified, keyring);
    }
    let keys = verdict
        .ok_or(Unbelieved::NoKeys)?
        .map_err(TokenFault::Key)?;
    let claims = Claims::new(unverified.into_claims());
    let until = claims.validity(trust.leeway, now)?;
    if !claims.are_for(&trust.audiences) {
        return Err(TokenFault::Audience.into());
    }
    Ok(Believed {
        claims,
        until,
        issuer: position,
        keys,
    })
}

/// Now, in seconds since 1970; 0 before.
pub fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// The number of the set of keys that a token was verified by; `None` without keys.
fn check(token: &Unverified<'_>, keyring: &Keyring) -> Option<Result<u64, KeyFault>> {
    let keys = keyring.keys()?;
    Some(keys.verify(&token.signed()).map(|()| keys.number()))
}
