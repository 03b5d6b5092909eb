//! What a token says, once it is known whose word it is.

use std::time::Duration;

use serde_json::{Map, Value};

use super::TokenFault;
use crate::config::ClaimPath;

/// The claims of a token.
#[derive(Debug)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// What stands at a path.
    pub fn find(&self, path: &ClaimPath) -> Option<&Value> {
        let mut names = path.names();
        let outermost = self.0.get(names.next()?)?;
        names.try_fold(outermost, |found, name| found.as_object()?.get(name))
    }

    /// The text at a path, if it is one.
    pub fn text(&self, path: &ClaimPath) -> Option<&str> {
        self.find(path)?.as_str()
    }

    /// The texts of a claim: of one, or of a list of nothing else.
    pub fn words(&self, path: &ClaimPath) -> Option<Vec<&str>> {
        match self.find(path)? {
            Value::String(word) => Some(vec![word]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// Whom the token is about; empty if it does not say.
    pub fn subject(&self) -> &str {
        let subject = self.0.get("sub").and_then(Value::as_str);
        subject.unwrap_or_default()
    }

    /// The end of the time in which a token is valid, if now is in it.
    pub(super) fn validity(&self, leeway: Duration, now: u64) -> Result<u64, TokenFault> {
        let leeway = leeway.as_secs();
        let expiry = self.0.get("exp").and_then(seconds);
        let until = expiry.ok_or(TokenFault::NoExpiry)?.saturating_add(leeway);
        if until <= now {
            return Err(TokenFault::Expired);
        }
        match self.0.get("nbf").map(seconds) {
            None => Ok(until),
            Some(Some(from)) if from <= now.saturating_add(leeway) => Ok(until),
            Some(_) => Err(TokenFault::NotYetValid),
        }
    }

    /// Whether one of these audiences is meant.
    pub(super) fn are_for(&self, audiences: &[String]) -> bool {
        let is_ours = |told: &Value| {
            let told = told.as_str();
            audiences.iter().any(|ours| told == Some(ours))
        };
        match self.0.get("aud") {
            Some(Value::Array(several)) => several.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        }
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
