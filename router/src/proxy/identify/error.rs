//! Why it is not clear who is asking, or why they may not. What each means to the client is decided
//! in `proxy::error`.

use std::{net::IpAddr, time::Duration};

use http::HeaderName;
use tenant_store::model::TenantIdError;
use thiserror::Error;

use super::{
    CredentialKind,
    jwt::{ClaimFault, TokenFault},
    subdomain::HostFault,
};
use crate::{config::PathPrefix, keys::KeyRefusal};

/// Why a request is nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentifyError {
    /// No source is present.
    #[error("no tenant named: send {expected}")]
    Missing {
        /// The sources that would do.
        expected: String,
    },
    /// The header is there more than once.
    #[error("the header {0} is there more than once: send it once")]
    Repeated(HeaderName),
    /// The place is there, with nothing in it.
    #[error("{0} is empty: send the tenant's id")]
    Empty(String),
    /// What stands in a place is no tenant id.
    #[error("{place} names no tenant: {reason}")]
    Malformed {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// The host can't be trusted to name a tenant.
    #[error("the host names no tenant clearly: {0}")]
    Host(#[from] HostFault),
    /// The path's prefix is written so that it could be overlooked.
    #[error("the path names a tenant in disguise: write {0}/ without escapes and double slashes")]
    Disguised(PathPrefix),
    /// Two sources name different tenants.
    #[error("two different tenants are named, by {first} and by {second}: name one")]
    Conflict {
        /// The source that was believed so far.
        first: String,
        /// The source that says otherwise.
        second: String,
    },
    /// There is no credential, and a name alone is not believed.
    #[error("a credential is required: send {expected}")]
    Unauthenticated {
        /// The credentials that would do.
        expected: String,
        /// Whether a tenant is named all the same.
        named: bool,
        /// Whether a name and a password would do, for which browsers ask.
        basic: bool,
    },
    /// There is no credential that could be asked for, and names are not believed from there.
    #[error("a tenant's name is not believed from the network of this address")]
    UntrustedNetwork,
    /// The key opens nothing.
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    /// The token is not to be believed.
    #[error("the token is refused: {0}")]
    Token(#[from] TokenFault),
    /// Too many credentials that were none came from there of late.
    #[error(
        "too many credentials from {address} were none: try again in {} s",
        .wait.as_secs() + 1
    )]
    TooManyFailures {
        /// From where.
        address: IpAddr,
        /// Until when.
        wait: Duration,
    },
    /// The credential may be good, but there are no keys to tell by.
    #[error("the credential can't be verified right now: there are no keys to verify it by yet")]
    KeysUnavailable,
    /// The token is good, but entitles to nothing.
    #[error("the token names no tenant: {0}")]
    Claim(#[from] ClaimFault),
    /// The certificate was good when the connection began.
    #[error("the client certificate has expired: connect with a new one")]
    CertificateExpired,
    /// The certificate is good, but none of its names is a tenant's.
    #[error("the client certificate names no tenant: it has no {0}")]
    CertificateWithoutTenant(String),
    /// The tenant that is named is not one of the credential's.
    #[error("{0} is not for the tenant that is asked for")]
    NotAllowed(CredentialKind),
    /// The credential is good for several tenants.
    #[error("{credential} is for several tenants: name one, by {expected}")]
    Choose {
        /// Which credential.
        credential: CredentialKind,
        /// How.
        expected: String,
    },
}

/// What is wrong with what should be a tenant's id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Bytes outside visible ASCII.
    #[error("a tenant id is plain ASCII")]
    NotText,
    /// Not a slug.
    #[error(transparent)]
    NotAnId(#[from] TenantIdError),
}

impl IdentifyError {
    /// Whether the request says nothing at all of who asks.
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Unauthenticated { named: false, .. }
        )
    }
}
