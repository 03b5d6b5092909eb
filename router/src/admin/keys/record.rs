//! API keys as they are sent and answered.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenant_store::{
    model::{AllowedTenants, ApiKey, ApiKeyId, KeyState, Revision, Scope, TenantId},
    repository::Stored,
};
use utoipa::ToSchema;

use crate::admin::schema::Moment;

/// What a new key is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct NewKey {
    /// What people call it; 1 to 256 characters on one line.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub(super) name: String,
    /// The tenants it may be used for.
    #[serde(default)]
    pub(super) allowed: AllowedTenants,
    /// What it may be used for.
    #[schema(value_type = Option<Vec<Scope>>, required = true)]
    pub(super) scopes: BTreeSet<Scope>,
    /// From when on it is refused, if ever.
    #[serde(default)]
    #[schema(value_type = Option<Moment>)]
    pub(super) expires_at: Option<Timestamp>,
}

/// A key, without what is secret of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct KeyRecord {
    pub(super) id: ApiKeyId,
    /// What its token begins with.
    pub(super) prefix: String,
    pub(super) name: String,
    /// The tenant it belongs to.
    pub(super) tenant: TenantId,
    pub(super) allowed: AllowedTenants,
    pub(super) scopes: BTreeSet<Scope>,
    /// Whether it is accepted: `usable`, `revoked`, `expired` or `retired`.
    pub(super) state: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Timestamp>,
    /// The key that takes its place, once it was rotated.
    pub(super) replaced_by: Option<ApiKeyId>,
    /// Until when it is accepted beside that one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) retires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) revoked_at: Option<Timestamp>,
    /// When it was last used; noted some minutes late.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) revision: Revision,
    #[schema(value_type = String, format = DateTime)]
    pub(super) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(super) updated_at: Timestamp,
}

/// A new key with its token, which is shown here and nowhere else.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct MintedKey {
    /// The token: `mir_<id>_<secret>`. Empty in a dry run.
    pub(super) token: String,
    #[serde(flatten)]
    pub(super) key: KeyRecord,
}

/// One page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct KeyPage {
    /// In the order of their ids.
    pub(super) keys: Vec<KeyRecord>,
    /// What to send as `after` for the page after this one; `null` on the last.
    pub(super) next: Option<String>,
}

impl KeyRecord {
    pub(super) fn of(stored: Stored<ApiKey>, now: Timestamp) -> Self {
        let state = name_of(stored.value.state_at(now));
        let ApiKey {
            id,
            name,
            tenant,
            allowed,
            scopes,
            expires_at,
            replaced_by,
            retires_at,
            revoked_at,
            hash: _,
        } = stored.value;
        Self {
            prefix: format!("mir_{id}_"),
            id,
            name,
            tenant,
            allowed,
            scopes,
            state,
            expires_at,
            replaced_by,
            retires_at,
            revoked_at,
            last_used_at: stored.used_at,
            revision: stored.revision,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

pub(super) fn name_of(state: KeyState) -> &'static str {
    match state {
        KeyState::Usable => "usable",
        KeyState::Revoked => "revoked",
        KeyState::Expired => "expired",
        KeyState::Retired => "retired",
    }
}
