//! What a verified token's claims entitle to.

use serde_json::Value;
use tenant_store::model::{Scopes, TenantId, TenantIdError};
use thiserror::Error;

use crate::{
    config::TokenIssuer,
    jwt::Claims,
    proxy::identify::{CredentialKind, Principal, Tenants},
};

/// Why a token that is good entitles to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimFault {
    /// The claim is not there, or an empty list.
    #[error("its claim {0} is not there, or empty")]
    Absent(String),
    /// The claim is neither a text nor a list of texts.
    #[error("its claim {0} is neither a text nor a list of texts")]
    NotText(String),
    /// A text that is no tenant id.
    #[error("its claim {claim} holds something that is no tenant id: {reason}")]
    NotAnId {
        /// Which claim.
        claim: String,
        /// What is wrong with it.
        reason: TenantIdError,
    },
}

/// Characters of a subject that are kept for logs.
const SUBJECT: usize = 128;

/// Whom the claims show.
pub(super) fn principal(claims: &Claims, rules: &TokenIssuer) -> Result<Principal, ClaimFault> {
    let subject: String = claims.subject().chars().take(SUBJECT).collect();
    Ok(Principal {
        kind: CredentialKind::Token,
        subject: subject.into(),
        tenants: tenants(claims, rules)?,
        scopes: scopes(claims, rules),
        owner: None,
    })
}

fn tenants(claims: &Claims, rules: &TokenIssuer) -> Result<Tenants, ClaimFault> {
    let name = || rules.tenant_claim.to_string();
    let words = claims.words(&rules.tenant_claim).ok_or_else(|| {
        match claims.find(&rules.tenant_claim) {
            None | Some(Value::Null) => ClaimFault::Absent(name()),
            Some(_) => ClaimFault::NotText(name()),
        }
    })?;
    if let Some(all) = &rules.all_tenants
        && words.contains(&all.as_str())
    {
        return Ok(Tenants::All);
    }
    let ids = words.into_iter().map(str::parse::<TenantId>);
    let ids = ids.collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|reason| ClaimFault::NotAnId {
        claim: name(),
        reason,
    })?;
    Tenants::listed(ids).ok_or_else(|| ClaimFault::Absent(name()))
}

/// Without a claim to be asked, all. Words that mean nothing here are for somebody else.
fn scopes(claims: &Claims, rules: &TokenIssuer) -> Scopes {
    let Some(path) = &rules.scope_claim else {
        return Scopes::ALL;
    };
    let words = claims.words(path).unwrap_or_default();
    let each = words.into_iter().flat_map(str::split_ascii_whitespace);
    each.filter_map(|word| {
        if rules.scopes.is_empty() {
            word.parse().ok()
        } else {
            rules.scopes.get(word).copied()
        }
    })
    .fold(Scopes::NONE, Scopes::or)
}
