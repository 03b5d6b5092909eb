//! A set of public keys, as a JWKS publishes it, and what they say of a signature.
//!
//! A key is good for the algorithms of its own type and no others: what a token claims of itself
//! never turns a key into something it is not. Shared secrets are not read at all.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::config::Algorithm;

/// Keys taken from one set at most.
const KEYS: usize = 100;

/// The public keys of an issuer.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    /// No two sets of this process have the same.
    number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    /// The one algorithm it is for, if it says.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What is said to be signed, how, and by which key.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'t> {
    /// How.
    pub algorithm: Algorithm,
    /// By which key, if it is told.
    pub key_id: Option<&'t str>,
    /// What.
    pub message: &'t [u8],
    /// The signature.
    pub signature: &'t [u8],
}

/// Why a signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// There is no such key, or it is of another type than the algorithm needs.
    #[error("the issuer has no key of this id for this algorithm")]
    NoSuchKey,
    /// The key says that it is not its signature.
    #[error("its signature is not the issuer's")]
    BadSignature,
}

/// Why a document is no set of keys.
#[derive(Debug, Error)]
pub enum KeySetFault {
    /// No JSON, or no `keys` in it.
    #[error("it is no JWKS: {0}")]
    NotAKeySet(#[from] serde_json::Error),
    /// No key that tokens could be verified by.
    #[error("none of its {0} keys is a public key for signatures (RSA, P-256, P-384, Ed25519)")]
    NothingOfUse(usize),
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<Algorithm>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWKS. Keys of other kinds, for other uses, or of algorithms that are not believed
    /// are passed over.
    ///
    /// # Errors
    /// It is none, or has no key of use.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetFault> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let set: RawSet = serde_json::from_slice(json)?;
        let told = set.keys.len();
        let keys = set.keys.into_iter().filter_map(Key::read);
        let keys: Vec<_> = keys.take(KEYS).collect();
        if keys.is_empty() {
            return Err(KeySetFault::NothingOfUse(told));
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { keys, number })
    }

    /// Tells this set from every other one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Verifies a signature. Without an id, there has to be but one key that fits.
    ///
    /// # Errors
    /// There is no such key, or it is not its signature.
    pub fn verify(&self, signed: &Signed<'_>) -> Result<(), KeyFault> {
        let fitting = || self.keys.iter().filter(|key| key.is_for(signed.algorithm));
        let named = |key: &&Key| key.id.as_deref() == signed.key_id;
        let mut keys: Vec<&Key> = match signed.key_id {
            Some(_) => fitting().filter(named).collect(),
            None => fitting().collect(),
        };
        if signed.key_id.is_none() && keys.len() > 1 {
            keys.clear();
        }
        if keys.is_empty() {
            return Err(KeyFault::NoSuchKey);
        }
        let is_genuine = keys.iter().any(|key| key.has_signed(signed));
        is_genuine.then_some(()).ok_or(KeyFault::BadSignature)
    }
}

/// Two sets are the same if their keys are.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl Key {
    fn read(json: Value) -> Option<Self> {
        let raw: RawKey = serde_json::from_value(json).ok()?;
        let is_for_signatures = raw.usage.as_deref().is_none_or(|usage| usage == "sig")
            && raw
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !is_for_signatures {
            return None;
        }
        let key = Self {
            material: Material::read(&raw)?,
            id: raw.kid,
            algorithm: raw.alg,
        };
        let fits = key.algorithm.is_none_or(|algorithm| key.is_for(algorithm));
        fits.then_some(key)
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let fits = match self.material {
            Material::Rsa { .. } => {
                matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
            }
            Material::P256(_) => algorithm == ES256,
            Material::P384(_) => algorithm == ES384,
            Material::Ed25519(_) => algorithm == EdDSA,
        };
        fits && self.algorithm.is_none_or(|own| own == algorithm)
    }

    fn has_signed(&self, signed: &Signed<'_>) -> bool {
        let (message, signature) = (signed.message, signed.signature);
        let verified =
            match &self.material {
                Material::Rsa { n, e } => {
                    let Some(parameters) = rsa(signed.algorithm) else {
                        return false;
                    };
                    RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
                }
                Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature),
                Material::P384(point) => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                    .verify(message, signature),
                Material::Ed25519(key) => {
                    UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
                }
            };
        verified.is_ok()
    }
}

impl Material {
    fn read(raw: &RawKey) -> Option<Self> {
        match (raw.kty.as_str(), raw.crv.as_deref()) {
            ("RSA", _) => {
                let n = without_leading_zeros(decode(raw.n.as_ref())?);
                let e = without_leading_zeros(decode(raw.e.as_ref())?);
                // What is shorter is refused by the algorithms as well, but for every token anew.
                (n.len() >= 256).then_some(Self::Rsa { n, e })
            }
            ("EC", Some("P-256")) => point(raw, 32).map(Self::P256),
            ("EC", Some("P-384")) => point(raw, 48).map(Self::P384),
            ("OKP", Some("Ed25519")) => decode(raw.x.as_ref())
                .filter(|x| x.len() == 32)
                .map(Self::Ed25519),
            _ => None,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA => None,
    }
}

fn decode(field: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(field?.trim_end_matches('=')).ok()
}

/// A point of a curve, uncompressed (SEC 1 section 2.3.3).
fn point(raw: &RawKey, size: usize) -> Option<Vec<u8>> {
    let (x, y) = (decode(raw.x.as_ref())?, decode(raw.y.as_ref())?);
    let fits = x.len() == size && y.len() == size;
    fits.then(|| [&[4][..], &x, &y].concat())
}

fn without_leading_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}
