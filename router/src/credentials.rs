//! What all workers share of telling good credentials from bad ones: API keys, the keys that tokens
//! are verified by, and who failed how often.

use std::sync::Arc;

use crate::{attempts::Attempts, keyring::Keyrings, keys::KeyRing};

/// The cookie that names an operator's session on the health pages. It is never sent to backends.
pub const SESSION_COOKIE: &str = "mirador_session";

/// What credentials are checked by. Outlives every reload.
#[derive(Debug, Default)]
pub struct Credentials {
    /// API keys, where there is a store that has some.
    pub api_keys: Option<Arc<KeyRing>>,
    /// The keys of token issuers.
    pub keyrings: Keyrings,
    /// Credentials that were none, by the address they came from.
    pub attempts: Attempts,
}
