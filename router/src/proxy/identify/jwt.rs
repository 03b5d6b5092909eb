//! Tenants by signed tokens: what a token entitles to, remembered until it expires.

mod claims;
mod verified;

use std::{cell::RefCell, rc::Rc};

use self::verified::Verified;
use super::{IdentifyError, Principal};
use crate::{
    config::TokenIssuer,
    jwt::{self, Issuer, unix_now},
    keyring::Keyrings,
};

pub use self::claims::ClaimFault;

/// The issuers that are believed, and the tokens of theirs that this worker has verified.
#[derive(Debug)]
pub(super) struct Tokens {
    issuers: Vec<Issuer>,
    /// What their claims mean, in the same order.
    rules: Vec<TokenIssuer>,
    verified: RefCell<Verified>,
}

impl Tokens {
    pub(super) fn new(issuers: &[TokenIssuer], keyrings: &Keyrings) -> Self {
        let with_keys = |rules: &TokenIssuer| Issuer::new(&rules.trust, keyrings);
        Self {
            issuers: issuers.iter().map(with_keys).collect(),
            rules: issuers.into(),
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
        let is_current = self.issuers.get(one.issuer)?.has_current(one.keys);
        is_current.then(|| one.principal.clone())
    }

    async fn verify_at(&self, token: &str, now: u64) -> Result<Rc<Principal>, IdentifyError> {
        let believed = jwt::verify(&self.issuers, token, now).await?;
        let principal = claims::principal(&believed.claims, &self.rules[believed.issuer])?;
        let principal = Rc::new(principal);
        self.verified.borrow_mut().insert(
            token,
            verified::One {
                principal: principal.clone(),
                until: believed.until,
                issuer: believed.issuer,
                keys: believed.keys,
            },
        );
        Ok(principal)
    }
}

#[cfg(test)]
mod tests;
