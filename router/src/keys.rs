//! API keys' tokens: how they are made, and what is kept of them.
//!
//! A token is `mir_<id>_<secret>`: the id says which record it belongs to, the secret is 256 random
//! bits. Kept is the HMAC-SHA256 of the whole token, keyed with a secret of the server's: whoever
//! reads the store can neither use nor test a key.

mod ring;

use std::fmt;

use ::ring::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tenant_store::model::{ApiKeyId, KeyHash};

pub use ring::{KeyGrant, KeyRefusal, KeyRing, Keys};

/// The server's secret, which goes into every hash.
#[derive(Clone)]
pub struct KeySecret {
    key: hmac::Key,
    /// Tells two secrets apart without keeping either.
    fingerprint: [u8; 32],
}

impl KeySecret {
    /// A secret, as a file or variable has it.
    pub fn new(secret: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hmac::sign(&key, b"which secret is this?").as_ref());
        Self { key, fingerprint }
    }

    /// What is kept of a token.
    pub fn hash(&self, token: &str) -> KeyHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        hash.into()
    }

    /// Whether this is what is kept of a token. Takes the same time however much of it is right.
    fn is_of(&self, token: &str, hash: &[u8; 32]) -> bool {
        hmac::verify(&self.key, token.as_bytes(), hash).is_ok()
    }
}

impl PartialEq for KeySecret {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A new id, of 62 random bits.
pub fn new_id() -> ApiKeyId {
    ApiKeyId::from_bits(rand::random())
}

/// A new token of a key.
pub fn new_token(id: &ApiKeyId) -> String {
    let secret: [u8; 32] = rand::random();
    format!("mir_{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret))
}

/// The characters of a token's secret: 256 bits of them.
const SECRET_LENGTH: usize = 43;

/// The id within a token, if it has the form of one.
fn id_of(token: &str) -> Option<&str> {
    let rest = token.strip_prefix("mir_")?;
    let (id, secret) = rest.split_at_checked(ApiKeyId::LENGTH)?;
    let secret = secret.strip_prefix('_')?;
    let of_id = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let of_secret = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let fits =
        secret.len() == SECRET_LENGTH && id.bytes().all(of_id) && secret.bytes().all(of_secret);
    fits.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_form_and_its_hash_depends_on_the_servers_secret() {
        let id = new_id();
        let token = new_token(&id);
        let rest = token.strip_prefix("mir_").expect("a prefix");
        let (named, secret) = rest.split_at(ApiKeyId::LENGTH);
        assert_eq!(named, id.as_str());
        assert_eq!((&secret[..1], secret.len()), ("_", 44));
        assert_ne!(new_token(&id), token);
        assert_ne!(new_id(), id);
        let (one, other) = (KeySecret::new("one"), KeySecret::new("other"));
        assert_eq!(one.hash(&token), KeySecret::new("one").hash(&token));
        assert_ne!(one.hash(&token), other.hash(&token));
        assert_ne!(one.hash(&token), one.hash(&new_token(&id)));
        assert_eq!(one, KeySecret::new("one"));
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "***");
    }
}
