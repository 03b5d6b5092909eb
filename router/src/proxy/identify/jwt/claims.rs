//! What a verified token's claims entitle to.

use serde_json::{Map, Value};
use tenant_store::model::{Scopes, TenantId, TenantIdError};
use thiserror::Error;

use super::{IdentifyError, TokenFault};
use crate::{
    config::{ClaimPath, TokenIssuer},
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

/// Whom the claims show, and until when that is to be believed, in seconds since 1970.
pub(super) fn principal(
    claims: &Map<String, Value>,
    rules: &TokenIssuer,
    now: u64,
) -> Result<(Principal, u64), IdentifyError> {
    let until = validity(claims, rules, now)?;
    if !is_for(claims.get("aud"), &rules.audiences) {
        return Err(TokenFault::Audience.into());
    }
    let subject = claims.get("sub").and_then(Value::as_str);
    let subject: String = subject.unwrap_or_default().chars().take(SUBJECT).collect();
    let principal = Principal {
        kind: CredentialKind::Token,
        subject: subject.into(),
        tenants: tenants(claims, rules)?,
        scopes: scopes(claims, rules),
        owner: None,
    };
    Ok((principal, until))
}

/// The end of the time in which a token is valid, if now is in it.
fn validity(claims: &Map<String, Value>, rules: &TokenIssuer, now: u64) -> Result<u64, TokenFault> {
    let leeway = rules.leeway.as_secs();
    let expiry = claims.get("exp").and_then(seconds);
    let until = expiry.ok_or(TokenFault::NoExpiry)?.saturating_add(leeway);
    if until <= now {
        return Err(TokenFault::Expired);
    }
    match claims.get("nbf").map(seconds) {
        None => Ok(until),
        Some(Some(from)) if from <= now.saturating_add(leeway) => Ok(until),
        Some(_) => Err(TokenFault::NotYetValid),
    }
}

/// A date of RFC 7519, which is a number and may be a broken one.
fn seconds(date: &Value) -> Option<u64> {
    let whole = || {
        let broken = date.as_f64().filter(|date| (0.0..=1e15).contains(date))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within these bounds, only what is behind the point is lost"
        )]
        Some(broken as u64)
    };
    date.as_u64().or_else(whole)
}

fn is_for(told: Option<&Value>, audiences: &[String]) -> bool {
    let is_ours = |told: &Value| {
        let told = told.as_str();
        audiences.iter().any(|ours| told == Some(ours))
    };
    match told {
        Some(Value::Array(several)) => several.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    }
}

fn tenants(claims: &Map<String, Value>, rules: &TokenIssuer) -> Result<Tenants, ClaimFault> {
    let name = || rules.tenant_claim.to_string();
    let words = words(claims, &rules.tenant_claim).ok_or_else(|| {
        match find(claims, &rules.tenant_claim) {
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
fn scopes(claims: &Map<String, Value>, rules: &TokenIssuer) -> Scopes {
    let Some(path) = &rules.scope_claim else {
        return Scopes::ALL;
    };
    let words = words(claims, path).unwrap_or_default();
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

/// The texts of a claim: of one, or of a list of nothing else.
fn words<'c>(claims: &'c Map<String, Value>, path: &ClaimPath) -> Option<Vec<&'c str>> {
    match find(claims, path)? {
        Value::String(word) => Some(vec![word]),
        Value::Array(several) => several.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn find<'c>(claims: &'c Map<String, Value>, path: &ClaimPath) -> Option<&'c Value> {
    let mut names = path.names();
    let outermost = claims.get(names.next()?)?;
    names.try_fold(outermost, |found, name| found.as_object()?.get(name))
}
