//! The tokens a worker has verified: bounded in number and in bytes, and forgotten in the order in
//! which they were last asked for, roughly.

use std::{mem, rc::Rc};

use ahash::HashMap;

use crate::proxy::identify::Principal;

/// Tokens of one generation at most; there are two.
const TOKENS: usize = 4096;
/// Bytes of one generation's tokens at most.
const BYTES: usize = 4 << 20;

/// What a worker remembers: the young, and those that were young before.
///
/// What is asked for is young again. When the young are too many, they become the old, and what was
/// old and not asked for since is forgotten.
#[derive(Debug, Default)]
pub(super) struct Verified {
    young: HashMap<Box<str>, One>,
    old: HashMap<Box<str>, One>,
    /// Of the young.
    bytes: usize,
}

/// What a token was found to be.
#[derive(Debug, Clone)]
pub(super) struct One {
    /// Whom it shows.
    pub(super) principal: Rc<Principal>,
    /// Until when, in seconds since 1970.
    pub(super) until: u64,
    /// Whose it is, among the issuers.
    pub(super) issuer: usize,
    /// The number of the set of keys that it was verified by.
    pub(super) keys: u64,
}

impl Verified {
    /// What is known of a token that is valid still.
    pub(super) fn get(&mut self, token: &str, now: u64) -> Option<&One> {
        if !self.young.contains_key(token) {
            let (token, one) = self.old.remove_entry(token)?;
            self.keep(token, one);
        }
        self.young.get(token).filter(|one| now < one.until)
    }

    pub(super) fn insert(&mut self, token: &str, one: One) {
        self.keep(token.into(), one);
    }

    fn keep(&mut self, token: Box<str>, one: One) {
        if self.young.len() >= TOKENS || self.bytes + token.len() > BYTES {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        let length = token.len();
        if self.young.insert(token, one).is_none() {
            self.bytes += length;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tenant_store::model::Scopes;

    use super::*;
    use crate::proxy::identify::{CredentialKind, Tenants};

    fn one(until: u64) -> One {
        let principal = Principal {
            kind: CredentialKind::Token,
            subject: "".into(),
            tenants: Tenants::All,
            scopes: Scopes::ALL,
            owner: None,
        };
        One {
            principal: Rc::new(principal),
            until,
            issuer: 0,
            keys: 0,
        }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let mut verified = Verified::default();
        verified.insert("a", one(10));
        assert!(verified.get("a", 9).is_some());
        assert!(verified.get("a", 10).is_none());
        assert!(verified.get("b", 0).is_none());
    }

    #[test]
    fn what_is_asked_for_outlives_what_is_not() {
        let mut verified = Verified::default();
        verified.insert("asked", one(10));
        verified.insert("forgotten", one(10));
        for n in 0..3 * TOKENS {
            verified.insert(&n.to_string(), one(10));
            assert!(verified.get("asked", 0).is_some(), "{n}");
        }
        assert!(verified.get("forgotten", 0).is_none());
    }

    proptest! {
        #[test]
        fn neither_number_nor_bytes_go_beyond_their_bounds(
            lengths in prop::collection::vec(1_usize..16_384, 0..600),
        ) {
            let (mut verified, filler) = (Verified::default(), "x".repeat(16_384));
            for (n, length) in lengths.into_iter().enumerate() {
                verified.insert(&format!("{n}{}", &filler[..length]), one(1));
                let bytes: usize = verified.young.keys().map(|token| token.len()).sum();
                prop_assert_eq!(bytes, verified.bytes);
                let old: usize = verified.old.keys().map(|token| token.len()).sum();
                prop_assert!(bytes <= BYTES && old <= BYTES);
                prop_assert!(verified.young.len() <= TOKENS && verified.old.len() <= TOKENS);
            }
        }
    }
}
