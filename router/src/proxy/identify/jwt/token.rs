//! A token in its compact form (RFC 7515 section 3.1), before anything of it is believed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    config::Algorithm,
    keyring::{KeyFault, Signed},
};

/// Bytes of a token at most.
const SIZE: usize = 16 << 10;

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// Not three parts of base64url, or no JSON in them.
    #[error("it is no JWT in compact form")]
    NotAToken,
    /// Longer than is read.
    #[error("it is longer than {SIZE} bytes")]
    TooLong,
    /// Signed in a way that is not believed: unsigned, by a shared secret, or not allowed here.
    #[error("it is not signed by an algorithm that is accepted here")]
    Algorithm,
    /// It has extensions that have to be understood, or is no token for access.
    #[error("it is of another type, or has extensions that are not understood")]
    Type,
    /// `iss` is not there, or nobody who is believed.
    #[error("its issuer is not accepted here")]
    UnknownIssuer,
    /// The keys do not vouch for it.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// `exp` is not there, or no number.
    #[error("it does not say in exp when it expires")]
    NoExpiry,
    /// `exp` is past.
    #[error("it has expired")]
    Expired,
    /// `nbf` is to come, or no number.
    #[error("it is not valid yet")]
    NotYetValid,
    /// `aud` is not there, or somebody else.
    #[error("it is not meant for this audience")]
    Audience,
}

/// A token that is well-formed, and nothing more.
#[derive(Debug)]
pub(super) struct Unverified<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Map<String, Value>,
    message: &'t str,
    signature: Vec<u8>,
}

/// What is read of a header. Where keys are found is none of its business: `jku`, `jwk`, `x5u` and
/// `x5c` are not.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl<'t> Unverified<'t> {
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenFault> {
        if token.len() > SIZE {
            return Err(TokenFault::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::NotAToken)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::NotAToken)?;
        let header: Header = json(header)?;
        let mut known = Algorithm::ALL.into_iter();
        let algorithm = known.find(|known| known.as_str() == header.alg);
        let algorithm = algorithm.ok_or(TokenFault::Algorithm)?;
        let is_access = header.typ.as_deref().is_none_or(|typ| {
            let typ = typ.strip_prefix("application/").unwrap_or(typ);
            typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
        });
        if !is_access || header.crit.is_some() {
            return Err(TokenFault::Type);
        }
        Ok(Self {
            algorithm,
            key_id: header.kid,
            claims: json(claims)?,
            message,
            signature: decode(signature)?,
        })
    }

    /// Whether it claims to be of this issuer.
    pub(super) fn is_of(&self, issuer: &str) -> bool {
        self.claims.get("iss").and_then(Value::as_str) == Some(issuer)
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    pub(super) fn signed(&self) -> Signed<'_> {
        Signed {
            algorithm: self.algorithm,
            key_id: self.key_id.as_deref(),
            message: self.message.as_bytes(),
            signature: &self.signature,
        }
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenFault> {
    serde_json::from_slice(&decode(part)?).map_err(|_| TokenFault::NotAToken)
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenFault::NotAToken)
}
