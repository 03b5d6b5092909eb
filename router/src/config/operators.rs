//! Who may use the admin API, and for what. No secret is kept here: of a token, its hash.

use std::{collections::BTreeMap, fmt, sync::Arc};

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use super::{
    Secret,
    identify::{ClaimPath, TokenTrust},
};

/// What an operator may do. Later ones may do what earlier ones may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read everything, secrets excepted: no answer has any.
    Viewer,
    /// Change tenants and keys, and have the router ask endpoints.
    Operator,
    /// All of it: purge for good, change tiers, reload the configuration.
    Admin,
}

impl Role {
    /// All roles, from the least.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The lower-case name, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The SHA-256 of a token. Enough where tokens are random: there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether this is the other's, too. Takes as long whatever it is.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The hash itself.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Reads 64 hexadecimal digits.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a client certificate has to say to be an operator's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateName {
    /// Its subject's common name is this one, and it has no other.
    CommonName(String),
    /// One of its alternative names, of DNS, e-mail or URI kind, is this one.
    AlternativeName(String),
}

/// How an operator shows to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By a token.
    Token(TokenHash),
    /// By a certificate of the admin listener's client authority.
    Certificate(CertificateName),
}

/// Somebody who may use the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The name under which changes are audited.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// How they show who they are.
    pub credential: Credential,
}

/// Somebody whose tokens show operators, and what their claims mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIssuer {
    /// Which tokens are believed.
    pub trust: TokenTrust,
    /// The claim that names the operator.
    pub name_claim: ClaimPath,
    /// The claim that says what they are, as a word or a list of words.
    pub role_claim: ClaimPath,
    /// What these words entitle to, at least one; all others to nothing.
    pub roles: BTreeMap<String, Role>,
}

/// All who may use the admin API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operators {
    listed: Vec<Operator>,
    issuers: Vec<OperatorIssuer>,
}

impl Operators {
    /// The name under which the holder of the one token of `admin.token_file` is known.
    pub const ADMIN_TOKEN: &'static str = "admin-token";

    /// The operators that are listed, whoever holds the one admin token, and those whom issuers
    /// name.
    pub(super) fn new(
        mut listed: Vec<Operator>,
        admin_token: Option<&Secret>,
        issuers: Vec<OperatorIssuer>,
    ) -> Self {
        listed.extend(admin_token.map(|token| Operator {
            name: Self::ADMIN_TOKEN.into(),
            role: Role::Admin,
            credential: Credential::Token(TokenHash::of(token.expose())),
        }));
        Self { listed, issuers }
    }

    /// Whether there is none: then nobody may use the admin API.
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.issuers.is_empty()
    }

    /// Whose tokens show operators that are not listed.
    pub fn issuers(&self) -> &[OperatorIssuer] {
        &self.issuers
    }

    /// Whose token this is. Takes as long whatever it is.
    pub fn by_token(&self, token: &str) -> Option<&Operator> {
        let sent = TokenHash::of(token);
        let mut found = None;
        for operator in &self.listed {
            let same = match &operator.credential {
                Credential::Token(hash) => hash.0.ct_eq(&sent.0),
                Credential::Certificate(_) => Choice::from(0),
            };
            if bool::from(same) {
                found = Some(operator);
            }
        }
        found
    }

    /// Whose certificate this is, going by what `names` says of the names in it.
    pub fn by_certificate(&self, has: impl Fn(&CertificateName) -> bool) -> Option<&Operator> {
        self.listed
            .iter()
            .find(|operator| match &operator.credential {
                Credential::Certificate(name) => has(name),
                Credential::Token(_) => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str, role: Role, token: &str) -> Operator {
        Operator {
            name: name.into(),
            role,
            credential: Credential::Token(TokenHash::of(token)),
        }
    }

    #[test]
    fn a_token_belongs_to_whoever_has_its_hash() {
        let listed = vec![
            operator("alice", Role::Viewer, "a"),
            operator("bob", Role::Operator, "b"),
        ];
        let operators = Operators::new(listed, Some(&Secret::new("root".into())), Vec::new());
        let name = |token| operators.by_token(token).map(|operator| &*operator.name);
        assert_eq!(name("a"), Some("alice"));
        assert_eq!(name("b"), Some("bob"));
        assert_eq!(name("root"), Some(Operators::ADMIN_TOKEN));
        assert_eq!(name("c"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn a_hash_is_read_as_sha256sum_writes_it_and_never_shown() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = TokenHash::of("abc");
        assert_eq!(hash.to_string(), hex);
        assert_eq!(TokenHash::from_hex(hex), Some(hash));
        assert_eq!(TokenHash::from_hex(&hex.to_uppercase()), Some(hash));
        assert_eq!(format!("{hash:?}"), "***");
        for wrong in ["", "ab", &hex[1..], &hex.replace('b', "g")] {
            assert_eq!(TokenHash::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn roles_are_in_order() {
        assert!(Role::ALL.is_sorted());
    }
}
