//! API keys: who comes with one is decided anew for each request, by a look at the keys that are
//! held in memory, so that one that is revoked opens nothing from that moment on.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use ahash::HashMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use tenant_store::model::AllowedTenants;

use super::{
    CredentialKind, Door, IdentifyError, Principal, Tenants,
    authorization::{self, Authorization},
};
use crate::keys::{KeyGrant, KeyRefusal, KeyRing};

/// A header for a key alone.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What every key begins with, and no other token.
pub(super) const PREFIX: &str = "mir_";

/// Principals that a worker holds at most; beyond that it begins anew.
const PRINCIPALS: usize = 4096;

/// Bytes of a decoded name and password at most.
const BASIC: usize = 512;

/// The keys that are accepted, and what those that this worker met entitle to.
#[derive(Debug)]
pub(super) struct ApiKeys {
    ring: Arc<KeyRing>,
    /// Whether tokens that are no keys are somebody else's.
    beside_tokens: bool,
    /// By the number of the key's revision.
    met: RefCell<HashMap<u64, Rc<Principal>>>,
}

impl ApiKeys {
    pub(super) fn new(ring: Arc<KeyRing>, beside_tokens: bool) -> Self {
        Self {
            ring,
            beside_tokens,
            met: RefCell::default(),
        }
    }

    /// Whom the keys of a request show, each in its place: one or two, or none.
    pub(super) fn principals(
        &self,
        headers: &HeaderMap,
        door: &Door<'_>,
        mut found: impl FnMut(Rc<Principal>),
    ) -> Result<(), IdentifyError> {
        match authorization::read(headers)? {
            Some(Authorization::Bearer(token))
                if token.starts_with(PREFIX) || !self.beside_tokens =>
            {
                found(self.principal(token, door)?);
            }
            Some(Authorization::Basic(encoded)) => {
                let mut decoded = [0; BASIC];
                let length = STANDARD.decode_slice(encoded, &mut decoded).unwrap_or(0);
                let decoded = str::from_utf8(&decoded[..length]).unwrap_or_default();
                // Whatever the name is, the password says it all.
                let password = decoded.split_once(':').map_or("", |(_, password)| password);
                found(self.principal(password, door)?);
            }
            Some(Authorization::Bearer(_) | Authorization::Other) | None => {}
        }
        let mut own = headers.get_all(&API_KEY).iter();
        if let Some(value) = own.next() {
            if own.next().is_some() {
                return Err(IdentifyError::Repeated(API_KEY));
            }
            found(self.principal(value.to_str().unwrap_or_default(), door)?);
        }
        Ok(())
    }

    fn principal(&self, token: &str, door: &Door<'_>) -> Result<Rc<Principal>, IdentifyError> {
        let keys = self.ring.load();
        let grant = match keys.authenticate(token, Timestamp::now()) {
            Ok(grant) => grant,
            Err(KeyRefusal::NotConfigured | KeyRefusal::NotRead) => {
                return Err(IdentifyError::KeysUnavailable);
            }
            Err(refusal) => {
                door.admit()?;
                door.failed();
                return Err(refusal.into());
            }
        };
        if let Some(known) = self.met.borrow().get(&grant.number()) {
            return Ok(known.clone());
        }
        door.admit()?;
        Ok(self.remember(grant))
    }

    fn remember(&self, grant: KeyGrant<'_>) -> Rc<Principal> {
        let listed = match grant.allowed() {
            AllowedTenants::Own => Tenants::listed(vec![grant.owner().clone()]),
            AllowedTenants::These(tenants) => Tenants::listed(tenants.iter().cloned().collect()),
            AllowedTenants::All => None,
        };
        let principal = Rc::new(Principal {
            kind: CredentialKind::ApiKey,
            subject: grant.id().as_str().into(),
            // A list of these is never empty.
            tenants: listed.unwrap_or(Tenants::All),
            scopes: grant.scopes(),
            owner: Some(grant.owner().clone()),
        });
        let mut met = self.met.borrow_mut();
        if met.len() >= PRINCIPALS {
            met.clear();
        }
        met.insert(grant.number(), principal.clone());
        principal
    }
}
