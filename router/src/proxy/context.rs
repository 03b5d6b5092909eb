//! What one worker lends to its requests: its view of settings and routes, its upstream
//! connections, and the time.
//!
//! Belongs to one thread: nothing here is locked. The worker keeps it current on its tick.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tenant_store::{
    cache::{Known, TenantCache},
    model::{Signal, Status, TenantId},
};
use tokio::time::Instant;

use super::{
    LocalRoute,
    body::Upload,
    error::ProxyError,
    front::FrontCache,
    identify::{CredentialKind, Principal},
    rewrite,
    route::TenantRoute,
    settings::Settings,
    upstream::Pool,
};
use crate::{
    clock::Clock,
    config,
    credentials::Credentials,
    public_page::PublicPage,
    telemetry::{LocalCounts, Telemetry, WorkerCounts},
};

/// What one worker lends to its requests.
#[derive(Debug)]
pub struct ProxyContext {
    tenants: Arc<TenantCache<TenantRoute>>,
    telemetry: Arc<Telemetry>,
    credentials: Arc<Credentials>,
    counts: WorkerCounts,
    /// By signal: of requests that name no known tenant.
    unknown: [LocalCounts; 3],
    settings: RefCell<Rc<Settings>>,
    front: FrontCache,
    pool: Pool,
    random: RefCell<SmallRng>,
    clock: Clock,
    no_upload: Rc<Upload>,
    stance: Cell<Stance>,
    public_page: Option<Arc<PublicPage>>,
}

/// Whether the router wants requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// Not yet: something is still starting.
    Starting,
    /// It does.
    Serving,
    /// It serves them, but asks clients to go elsewhere.
    Draining,
}

impl ProxyContext {
    /// The context of a worker that has just started.
    pub fn new(
        tenants: Arc<TenantCache<TenantRoute>>,
        telemetry: Arc<Telemetry>,
        credentials: Arc<Credentials>,
        settings: &Arc<config::Settings>,
    ) -> Self {
        let settings = Rc::new(Settings::new(settings, &credentials));
        let clock = Clock::new();
        let none = std::iter::empty();
        Self {
            tenants,
            counts: telemetry.worker(),
            unknown: Signal::ALL.map(|signal| telemetry.unknown(signal).open(none.clone())),
            telemetry,
            credentials,
            front: FrontCache::default(),
            pool: Pool::new(settings.pool, clock.clone()),
            settings: RefCell::new(settings),
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            clock,
            no_upload: Rc::new(Upload::whole()),
            stance: Cell::new(Stance::Starting),
            public_page: None,
        }
    }

    /// With the page that anybody may see, should it be switched on.
    #[must_use]
    pub fn with_public_page(self, page: Arc<PublicPage>) -> Self {
        Self {
            public_page: Some(page),
            ..self
        }
    }

    /// The page that anybody may see.
    pub fn public_page(&self) -> Option<&PublicPage> {
        self.public_page.as_deref()
    }

    /// Moves the clock, and takes in settings if they are others.
    pub fn tick(&self, now: Instant, current: &Arc<config::Settings>) {
        self.clock.tick(now);
        if !self.settings.borrow().is_made_from(current) {
            let settings = Rc::new(Settings::new(current, &self.credentials));
            self.pool.set_limits(settings.pool);
            *self.settings.borrow_mut() = settings;
        }
    }

    /// Lets go of connections and routes that are of no use any more.
    pub fn sweep(&self) {
        self.pool.reap(self.now());
        self.front.sweep(self.now());
    }

    /// Whether the router wants requests, from now on.
    pub fn take_stance(&self, stance: Stance) {
        self.stance.set(stance);
    }

    /// Whether the router wants requests.
    pub fn stance(&self) -> Stance {
        self.stance.get()
    }

    /// The settings in force, at most a tick old.
    pub fn settings(&self) -> Rc<Settings> {
        self.settings.borrow().clone()
    }

    /// This worker's upstream connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The router's metrics.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// What this worker counts of connections.
    pub fn counts(&self) -> &WorkerCounts {
        &self.counts
    }

    /// What this worker counts of requests that name no known tenant.
    pub fn unknown(&self, signal: Signal) -> &LocalCounts {
        &self.unknown[signal as usize]
    }

    /// The worker's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time, at most a tick old.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What has come of a body that is none.
    pub fn no_upload(&self) -> &Rc<Upload> {
        &self.no_upload
    }

    /// Has a tenant's record read again and its route built anew, while what is known stays.
    pub fn reread(&self, tenant: &TenantId) {
        self.tenants.rebuild(tenant);
    }

    /// Whether a tenant that was served is so no longer. One that is merely not cached any more
    /// is believed to be served.
    pub fn is_withdrawn(&self, tenant: &TenantId) -> bool {
        match self.tenants.known(tenant.as_str()) {
            Known::Tenant(entry) => entry.route().status() != Status::Active,
            Known::NoSuchTenant => true,
            Known::NeverAsked => false,
        }
    }

    /// Whether what let a request in would do so no longer, where that can be taken back: an API key
    /// can. A token and a certificate are good until they end, and so long requests go on that began
    /// before.
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        let keys = match principal.kind {
            CredentialKind::ApiKey => self.credentials.api_keys.as_ref(),
            CredentialKind::Token | CredentialKind::Certificate => None,
        };
        keys.is_some_and(|keys| {
            let keys = keys.load();
            !keys.still_open(&principal.subject, Timestamp::now())
        })
    }

    /// A tenant's route; `None` if there is no such tenant. Waits for the store only the first
    /// time somebody asks for a tenant.
    ///
    /// # Errors
    /// The tenant is not known and the store does not answer.
    pub async fn route(&self, tenant: &str) -> Result<Option<Rc<LocalRoute>>, ProxyError> {
        if let Some(route) = self.front.get(tenant, self.now()) {
            return Ok(Some(route));
        }
        let entry = match self.tenants.known(tenant) {
            Known::Tenant(entry) => entry,
            Known::NoSuchTenant => return Ok(None),
            Known::NeverAsked => {
                let Ok(id) = tenant.parse::<TenantId>() else {
                    return Ok(None);
                };
                // Boxed, as what is rare would make every request's future larger.
                match Box::pin(self.tenants.fetch(&id)).await {
                    Ok(Some(entry)) => entry,
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        // Not louder: an outage would tell it for each request, which the access
                        // log does already; that the store fails is told by who follows it.
                        tracing::debug!(%tenant, %error, "tenant can't be looked up");
                        return Err(ProxyError::LookupUnavailable);
                    }
                }
            }
        };
        Ok(Some(self.front.insert(entry, self.now())))
    }

    /// The id of a request: the client's, or else 128 random bits in hexadecimal, as `traceparent`
    /// has trace ids.
    pub fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        rewrite::request_id(headers)
            .cloned()
            .unwrap_or_else(|| self.new_request_id())
    }

    fn new_request_id(&self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bits: [u8; 16] = self.random.borrow_mut().random();
        let mut id = [0; 32];
        for (pair, byte) in id.chunks_exact_mut(2).zip(bits) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        HeaderValue::from_bytes(&id).unwrap_or_else(|_| HeaderValue::from_static("unavailable"))
    }
}
