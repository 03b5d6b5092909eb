//! Operators by signed tokens: whom an issuer's claims name, and what they may do.
//!
//! Nothing is remembered of a token: operators ask seldom, and a role that an issuer takes away ends
//! with the token that tells of it.

use std::sync::Arc;

use super::{auth::Caller, error::ApiError};
use crate::{
    config::{ClaimPath, OperatorIssuer, Role},
    jwt::{self, Believed, Claims, Issuer, TokenFault, Unbelieved},
    keyring::Keyrings,
};

/// Longest name that is taken of a token, in bytes.
const LONGEST_NAME: usize = 128;

/// Whom a token shows, at a time in seconds since 1970.
///
/// # Errors
/// It is not believed, nobody can tell yet, or it names nobody who may do anything here.
pub(super) async fn caller(
    issuers: &[OperatorIssuer],
    keyrings: &Keyrings,
    token: &str,
    now: u64,
) -> Result<Caller, ApiError> {
    let with_keys = |issuer: &OperatorIssuer| Issuer::new(&issuer.trust, keyrings);
    let trusted: Vec<_> = issuers.iter().map(with_keys).collect();
    let Believed { claims, issuer, .. } = jwt::verify(&trusted, token, now).await?;
    let OperatorIssuer {
        trust,
        name_claim,
        role_claim,
        roles,
    } = &issuers[issuer];
    let name = name(&claims, name_claim).ok_or_else(|| ApiError::NamelessToken {
        claim: name_claim.to_string(),
    })?;
    // A name has no space in it, and one of the configuration neither: nobody can be mistaken for
    // an operator of another issuer, or for one who is listed.
    let name: Arc<str> = format!("{name} ({})", trust.issuer).into();
    let words = claims.words(role_claim).unwrap_or_default();
    let held = words
        .into_iter()
        .filter_map(|word| roles.get(word).copied());
    let role: Option<Role> = held.max();
    match role {
        Some(role) => Ok(Caller { name, role }),
        None => Err(ApiError::NoRole {
            operator: name,
            claim: role_claim.to_string(),
        }),
    }
}

fn name<'c>(claims: &'c Claims, path: &ClaimPath) -> Option<&'c str> {
    let is_name = |name: &&str| {
        (1..=LONGEST_NAME).contains(&name.len())
            && !name.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    claims.text(path).filter(is_name)
}

impl From<Unbelieved> for ApiError {
    fn from(unbelieved: Unbelieved) -> Self {
        match unbelieved {
            // Then it was meant as an operator's own token, which there is not either.
            Unbelieved::Faulty(TokenFault::NotAToken) => Self::Unauthenticated,
            Unbelieved::Faulty(fault) => Self::TokenRefused(fault),
            Unbelieved::NoKeys => Self::NoIssuerKeys,
        }
    }
}
