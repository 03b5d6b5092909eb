//! Signed tokens: whose they are is decided by their issuer's keys, and remembered until they
//! expire.
//!
//! What a token says of itself is believed only after its signature, and then to the letter: an
//! issuer, an audience and a tenant are equal to what is configured or they are not. There are no
//! patterns.

mod claims;
mod token;
mod verified;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use self::{token::Unverified, verified::Verified};
use super::{IdentifyError, Principal};
use crate::{
    config::TokenIssuer,
    keyring::{KeyFault, Keyring, Keyrings},
};

pub use self::{claims::ClaimFault, token::TokenFault};

/// The issuers that are believed, and the tokens of theirs that this worker has verified.
#[derive(Debug)]
pub(super) struct Tokens {
    issuers: Vec<(TokenIssuer, Arc<Keyring>)>,
    verified: RefCell<Verified>,
}

impl Tokens {
    pub(super) fn new(issuers: &[TokenIssuer], keyrings: &Keyrings) -> Self {
        let with_keys = |issuer: &TokenIssuer| (issuer.clone(), keyrings.of(&issuer.keys));
        Self {
            issuers: issuers.iter().map(with_keys).collect(),
            verified: RefCell::default(),
        }
    }

    /// Whom a token shows that was verified before, by keys that are still the issuer's.
    pub(super) fn known(&self, token: &str) -> Option<Rc<Principal>> {
        self.known_at(token, unix_now())
    }

    /// Whom a token shows. Waits only for keys, and only for a token of one that is not known.
    pub(super) async fn verify(&self, token: &str) -> Result<Rc<Principal>, IdentifyError> {
        self.verify_at(token, unix_now()).await
    }

    fn known_at(&self, token: &str, now: u64) -> Option<Rc<Principal>> {
        let mut verified = self.verified.borrow_mut();
        let one = verified.get(token, now)?;
        let (_, keyring) = self.issuers.get(one.issuer)?;
        let is_current = keyring.is_current(one.keys);
        is_current.then(|| one.principal.clone())
    }

    async fn verify_at(&self, token: &str, now: u64) -> Result<Rc<Principal>, IdentifyError> {
        let unverified = Unverified::parse(token)?;
        let position = self
            .issuers
            .iter()
            .position(|(rules, _)| unverified.is_of(&rules.issuer))
            .ok_or(TokenFault::UnknownIssuer)?;
        let (rules, keyring) = &self.issuers[position];
        if !rules.algorithms.contains(&unverified.algorithm()) {
            return Err(TokenFault::Algorithm.into());
        }
        let mut verdict = check(&unverified, keyring);
        if matches!(verdict, None | Some(Err(KeyFault::NoSuchKey))) && keyring.refresh().await {
            verdict = check(&unverified, keyring);
        }
        let keys = verdict
            .ok_or(IdentifyError::KeysUnavailable)?
            .map_err(TokenFault::Key)?;
        let (principal, until) = claims::principal(unverified.claims(), rules, now)?;
        let principal = Rc::new(principal);
        self.verified.borrow_mut().insert(
            token,
            verified::One {
                principal: principal.clone(),
                until,
                issuer: position,
                keys,
            },
        );
        Ok(principal)
    }
}

/// The number of the set of keys that a token was verified by; `None` without keys.
fn check(token: &Unverified<'_>, keyring: &Keyring) -> Option<Result<u64, KeyFault>> {
    let keys = keyring.keys()?;
    Some(keys.verify(&token.signed()).map(|()| keys.number()))
}

/// Seconds since 1970; 0 before.
fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests;
