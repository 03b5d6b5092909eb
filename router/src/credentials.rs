//! What all workers share of telling good credentials from bad ones: the keys that tokens are
//! verified by, and who failed how often.

use crate::{attempts::Attempts, keyring::Keyrings};

/// What credentials are checked by. Outlives every reload.
#[derive(Debug, Default)]
pub struct Credentials {
    /// The keys of token issuers.
    pub keyrings: Keyrings,
    /// Credentials that were none, by the address they came from.
    pub attempts: Attempts,
}
