//! Who is asking, once a credential has shown it: which tenants and scopes it entitles to.

use std::{fmt, rc::Rc};

use tenant_store::model::{Scopes, TenantId};

/// What a credential entitles to. Made once for a credential and shared by its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What showed it.
    pub kind: CredentialKind,
    /// Whom it names, for logs; never the credential itself.
    pub subject: Box<str>,
    /// The tenants it may ask for.
    pub tenants: Tenants,
    /// What it may do there.
    pub scopes: Scopes,
    /// The only tenant it may administer; without, all of them.
    pub owner: Option<TenantId>,
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key.
    ApiKey,
    /// A signed token.
    Token,
    /// A client certificate.
    Certificate,
}

/// The tenants a credential is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenants {
    /// This one.
    One(TenantId),
    /// Several, in order, each once.
    Listed(Box<[TenantId]>),
    /// Whichever there are.
    All,
}

/// The tenant of a request, wherever its name stands.
#[derive(Debug, Clone)]
pub enum TenantName<'h> {
    /// The request names it.
    Named(&'h str),
    /// The credential is good for no other.
    Sole(Rc<Principal>),
}

impl Principal {
    /// What it may do with a tenant, of those it may ask for.
    pub fn scopes_for(&self, tenant: &str) -> Scopes {
        match &self.owner {
            Some(owner) if owner.as_str() != tenant => self.scopes.without_admin(),
            _ => self.scopes,
        }
    }
}

impl CredentialKind {
    /// The name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Token => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "the API key",
            Self::Token => "the token",
            Self::Certificate => "the client certificate",
        })
    }
}

impl Tenants {
    /// Those of a list; `None` of an empty one.
    pub fn listed(mut tenants: Vec<TenantId>) -> Option<Self> {
        tenants.sort();
        tenants.dedup();
        match tenants.len() {
            0 => None,
            1 => tenants.pop().map(Self::One),
            _ => Some(Self::Listed(tenants.into())),
        }
    }

    /// Whether a tenant, by its whole name, is among them.
    pub fn allow(&self, tenant: &str) -> bool {
        match self {
            Self::One(one) => one.as_str() == tenant,
            Self::Listed(several) => several
                .binary_search_by(|one| one.as_str().cmp(tenant))
                .is_ok(),
            Self::All => true,
        }
    }

    /// The one there is, if there is but one.
    pub fn sole(&self) -> Option<&TenantId> {
        match self {
            Self::One(one) => Some(one),
            Self::Listed(_) | Self::All => None,
        }
    }
}

impl TenantName<'_> {
    /// The tenant's id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Named(tenant) => tenant,
            // Made of such only.
            Self::Sole(principal) => principal.tenants.sole().map_or("", TenantId::as_str),
        }
    }
}
