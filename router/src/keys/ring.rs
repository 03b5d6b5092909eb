//! The API keys that requests may come with, as the data path sees them: a snapshot in memory that
//! follows the store.
//!
//! For whoever identifies requests:
//!
//! ```ignore
//! let keys = key_ring.load();                        // once per request, held while it is judged
//! let grant = keys.authenticate(token, now)?;        // 401 on any refusal
//! let tenant = grant.sole_tenant();                  // or what the request names, if it may:
//! if !grant.allows(named) { /* 403 */ }
//! if !grant.permits(named, signal, access) { /* 403 */ }
//! ```
//!
//! Nothing of it waits, locks, allocates, or writes to what threads share, but that a key's last
//! use is noted once a minute.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;
use tenant_store::{
    mirror::{Held, Mirror},
    model::{Access, AllowedTenants, ApiKey, ApiKeyId, KeyState, Scope, Scopes, Signal, TenantId},
    repository::{KeptWritten, Repository, RepositoryError, Stored},
};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};

use super::{KeySecret, id_of};

/// How exactly the last use of a key is known, and how often it is written to the store.
const USES: Duration = Duration::from_mins(1);

/// All keys there are, kept in step with the store.
#[derive(Debug)]
pub struct KeyRing {
    repository: Arc<Repository>,
    mirror: Arc<Mirror<ApiKey, HeldKey>>,
    secret: ArcSwapOption<KeySecret>,
}

/// The keys as they were at one moment. To be held for one request, no longer.
#[derive(Debug)]
pub struct Keys {
    held: Guard<Arc<Held<HeldKey>>>,
    is_filled: bool,
    secret: Guard<Option<Arc<KeySecret>>>,
}

/// What the bearer of a key may do.
#[derive(Debug, Clone, Copy)]
pub struct KeyGrant<'k>(&'k HeldKey);

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyRefusal {
    /// It does not have the form of one.
    #[error("this is no API key: one is mir_, 12 characters, _ and 43 characters")]
    Malformed,
    /// There is no such key, or its secret is another. Which of these is not for clients to know.
    #[error("this API key is not known here")]
    Unknown,
    /// It was one.
    #[error("this API key was revoked")]
    Revoked,
    /// It was one until its time was over.
    #[error("this API key is expired")]
    Expired,
    /// It was one until another took its place.
    #[error("this API key was replaced by another, and is accepted no longer")]
    Retired,
    /// The router has no secret to check keys with.
    #[error("this router takes no API keys")]
    NotConfigured,
    /// It may be one: the store could not be read yet.
    #[error("API keys can't be checked right now: the store could not be read yet")]
    NotRead,
}

/// A key, as far as requests need it.
#[derive(Debug)]
struct HeldKey {
    id: ApiKeyId,
    tenant: TenantId,
    allowed: AllowedTenants,
    /// No two revisions of keys have the same.
    number: u64,
    scopes: Scopes,
    ends: Ends,
    hash: [u8; 32],
    uses: Arc<Uses>,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    revoked: bool,
    expires_at: Option<Timestamp>,
    retires_at: Option<Timestamp>,
}

/// When a key was last used, in seconds since 1970; shared by all its revisions.
#[derive(Debug)]
struct Uses {
    last: AtomicI64,
    /// Up to here the store knows.
    noted: AtomicI64,
}

impl KeyRing {
    /// A ring without keys yet: [`KeyRing::fill`] reads them.
    pub fn new(repository: Arc<Repository>, secret: Option<KeySecret>) -> Arc<Self> {
        Arc::new(Self {
            mirror: Mirror::new(repository.clone(), HeldKey::of),
            repository,
            secret: ArcSwapOption::from_pointee(secret),
        })
    }

    /// The keys that are known this moment.
    pub fn load(&self) -> Keys {
        Keys {
            held: self.mirror.load(),
            is_filled: self.mirror.is_filled(),
            secret: self.secret.load(),
        }
    }

    /// Checks with another secret from now on; with none, no key is accepted.
    pub fn set_secret(&self, secret: Option<KeySecret>) {
        self.secret.store(secret.map(Arc::new));
    }

    /// Takes in a key that was just written here: from this call on, it is as it says.
    pub fn take_in(&self, written: &KeptWritten<ApiKey>) {
        self.mirror.take_in(written);
    }

    /// Reads all keys.
    ///
    /// # Errors
    /// The store failed; what was read until then is kept.
    pub async fn fill(&self) -> Result<(), RepositoryError> {
        self.mirror.fill().await.map(drop)
    }

    /// Follows the store for good, and writes down once a minute which keys were used.
    pub async fn follow(self: Arc<Self>) {
        let following = self.mirror.clone().follow(|_| {});
        tokio::join!(following, self.note_for_good());
    }

    async fn note_for_good(&self) {
        let mut tick = interval(USES);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.note_uses().await {
                tracing::debug!(%error, "the last uses of keys are written later");
            }
        }
    }

    /// Writes down which keys were used since this was last done.
    ///
    /// # Errors
    /// The store failed; what is not written is so the next time.
    pub async fn note_uses(&self) -> Result<(), RepositoryError> {
        let held = self.mirror.load();
        let used: Vec<_> = held
            .views()
            .filter_map(|key| Some((key.clone(), key.uses.unnoted()?)))
            .collect();
        drop(held);
        for (key, at) in used {
            let time = Timestamp::from_second(at).unwrap_or_default();
            let id = key.id.as_str();
            self.repository.touch::<ApiKey>(id, time).await?;
            key.uses.noted.fetch_max(at, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Keys {
    /// What the bearer of a token may do, if it opens anything now.
    ///
    /// Costs one hash lookup and one HMAC of 60 bytes; the comparison takes the same time however
    /// much of it is right.
    ///
    /// # Errors
    /// It opens nothing. What was wrong is told only of keys whose secret is right.
    pub fn authenticate(&self, token: &str, now: Timestamp) -> Result<KeyGrant<'_>, KeyRefusal> {
        let id = id_of(token).ok_or(KeyRefusal::Malformed)?;
        let secret = self.secret.as_ref().ok_or(KeyRefusal::NotConfigured)?;
        let key = self.held.get(id).ok_or(if self.is_filled {
            KeyRefusal::Unknown
        } else {
            KeyRefusal::NotRead
        })?;
        if !secret.is_of(token, &key.hash) {
            return Err(KeyRefusal::Unknown);
        }
        match key.ends.state_at(now) {
            KeyState::Usable => {}
            KeyState::Revoked => return Err(KeyRefusal::Revoked),
            KeyState::Expired => return Err(KeyRefusal::Expired),
            KeyState::Retired => return Err(KeyRefusal::Retired),
        }
        key.uses.note(now);
        Ok(KeyGrant(key))
    }
}

impl<'k> KeyGrant<'k> {
    /// Which key it is, for logs; no secret.
    pub fn id(self) -> &'k ApiKeyId {
        &self.0.id
    }

    /// The tenant the key belongs to.
    pub fn owner(self) -> &'k TenantId {
        &self.0.tenant
    }

    /// Tells this revision of the key from every other of any key.
    pub fn number(self) -> u64 {
        self.0.number
    }

    /// The tenants it may be used for.
    pub fn allowed(self) -> &'k AllowedTenants {
        &self.0.allowed
    }

    /// What it may be used for, administration only with the tenant that it belongs to.
    pub fn scopes(self) -> Scopes {
        self.0.scopes
    }

    /// The tenant the key names, if it is for one alone. With any other, the request has to say.
    pub fn sole_tenant(self) -> Option<&'k TenantId> {
        match &self.0.allowed {
            AllowedTenants::Own => Some(&self.0.tenant),
            AllowedTenants::These(tenants) if tenants.len() == 1 => tenants.first(),
            AllowedTenants::These(_) | AllowedTenants::All => None,
        }
    }

    /// Whether it may be used for a tenant at all.
    pub fn allows(self, tenant: &str) -> bool {
        match &self.0.allowed {
            AllowedTenants::Own => self.0.tenant.as_str() == tenant,
            AllowedTenants::These(tenants) => tenants.contains(tenant),
            AllowedTenants::All => true,
        }
    }

    /// Whether it may be used for a tenant to do this. What is neither reading nor writing is for
    /// the tenant that it belongs to, whichever else are allowed.
    pub fn permits(self, tenant: &str, signal: Signal, access: Access) -> bool {
        self.0.scopes.allows(Scope { signal, access })
            && self.allows(tenant)
            && (access != Access::Admin || self.0.tenant.as_str() == tenant)
    }
}

impl HeldKey {
    fn of(stored: &Stored<ApiKey>, before: Option<&Self>) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let key = &stored.value;
        let known_uses = before.map(|before| before.uses.clone());
        let last = || stored.used_at.map_or(0, Timestamp::as_second);
        Self {
            id: key.id.clone(),
            tenant: key.tenant.clone(),
            allowed: key.allowed.clone(),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            scopes: key.scopes.iter().copied().collect(),
            ends: Ends {
                revoked: key.revoked_at.is_some(),
                expires_at: key.expires_at,
                retires_at: key.retires_at,
            },
            hash: key.hash.bytes(),
            uses: known_uses.unwrap_or_else(|| Arc::new(Uses::since(last()))),
        }
    }
}

impl Ends {
    /// As [`ApiKey::state_at`].
    fn state_at(self, now: Timestamp) -> KeyState {
        let over = |end: Option<Timestamp>| end.is_some_and(|end| now >= end);
        if self.revoked {
            KeyState::Revoked
        } else if over(self.expires_at) {
            KeyState::Expired
        } else if over(self.retires_at) {
            KeyState::Retired
        } else {
            KeyState::Usable
        }
    }
}

impl Uses {
    fn since(second: i64) -> Self {
        Self {
            last: second.into(),
            noted: second.into(),
        }
    }

    fn note(&self, now: Timestamp) {
        let (now, last) = (now.as_second(), self.last.load(Ordering::Relaxed));
        if now - last >= USES.as_secs().cast_signed() {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    fn unnoted(&self) -> Option<i64> {
        let last = self.last.load(Ordering::Relaxed);
        (last > self.noted.load(Ordering::Relaxed)).then_some(last)
    }
}

#[cfg(test)]
mod tests;
