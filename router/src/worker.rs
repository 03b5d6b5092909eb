//! One thread with a runtime of its own: its client connections, its upstream connections, its
//! view of settings and routes, and a clock that ticks.
//!
//! Workers share nothing that is written per request. What a worker holds is `Rc` and `Cell`; what
//! it shares are snapshots, health and counters behind `Arc`.

mod front;
mod settings;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::HeaderValue;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tenant_store::{
    cache::{Known, TenantCache},
    model::TenantId,
};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::watch,
    task::spawn_local,
    time::{Instant, MissedTickBehavior, interval},
};

use self::front::FrontCache;
use crate::{
    control::{Control, Phase},
    listener::{Connections, Listener},
    proxy::{LocalRoute, error::ProxyError, route::TenantRoute, upstream::Pool},
    telemetry::Telemetry,
};

pub use settings::Settings;

/// How often a worker looks at its clock, its settings and what has expired.
const TICK: Duration = Duration::from_millis(100);
/// Every how many ticks connections are looked through.
const SWEEP: u32 = 5;

/// One worker's own things.
#[derive(Debug)]
pub struct Worker {
    control: Arc<Control>,
    phase: watch::Receiver<Phase>,
    settings: RefCell<Rc<Settings>>,
    front: FrontCache,
    pool: Pool,
    connections: Connections,
    random: RefCell<SmallRng>,
    now: Cell<Instant>,
    draining: Cell<bool>,
}

/// Runs a worker on this thread until it has drained.
///
/// # Errors
/// The runtime can't be set up, or a listener can't be registered with it.
pub fn run(control: Arc<Control>, listeners: Vec<Listener>) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    runtime.block_on(Worker::new(control).work(listeners))
}

impl Worker {
    fn new(control: Arc<Control>) -> Rc<Self> {
        let settings = Rc::new(Settings::new(&control.settings()));
        Rc::new(Self {
            phase: control.phase(),
            front: FrontCache::default(),
            pool: Pool::new(settings.pool),
            connections: Connections::default(),
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            now: Cell::new(Instant::now()),
            draining: Cell::new(false),
            settings: RefCell::new(settings),
            control,
        })
    }

    /// Accepts and serves until told to close, then lets what is open end.
    async fn work(self: Rc<Self>, listeners: Vec<Listener>) -> std::io::Result<()> {
        let mut phase = self.phase.clone();
        spawn_local(self.clone().tick());
        let mut accepting = Vec::new();
        for listener in listeners {
            accepting.push(spawn_local(
                listener.open()?.accept_until_closing(self.clone()),
            ));
        }
        // A phase that can't change any more means that whoever controls us is gone.
        let _ = phase.wait_for(|phase| *phase >= Phase::Draining).await;
        self.draining.set(true);
        self.connections.drain_http2();
        for listener in accepting {
            let _ = listener.await;
        }
        let limit = self.control.settings().shutdown.drain;
        let _ = tokio::time::timeout(limit, self.connections.all_ended()).await;
        Ok(())
    }

    async fn tick(self: Rc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut count = 0_u32;
        loop {
            self.now.set(ticks.tick().await);
            count = count.wrapping_add(1);
            self.refresh_settings();
            if count.is_multiple_of(SWEEP) {
                self.pool.reap(self.now.get());
                self.front.sweep(self.now.get());
                self.connections
                    .expire(self.now.get(), self.draining.get(), self.telemetry());
            }
        }
    }

    fn refresh_settings(&self) {
        let current = self.control.settings();
        if !self.settings.borrow().is_made_from(&current) {
            let settings = Rc::new(Settings::new(&current));
            self.pool.set_limits(settings.pool);
            *self.settings.borrow_mut() = settings;
        }
    }

    /// The settings in force, at most a tick old.
    pub fn settings(&self) -> Rc<Settings> {
        self.settings.borrow().clone()
    }

    /// This worker's upstream connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// This worker's client connections.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The router's metrics.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        self.control.telemetry()
    }

    /// What is known of tenants.
    pub fn tenants(&self) -> &Arc<TenantCache<TenantRoute>> {
        self.control.tenants()
    }

    /// The time, at most a tick old.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Whether clients are being asked to go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether the router wants requests.
    pub fn is_ready(&self) -> bool {
        *self.phase.borrow() == Phase::Serving
    }

    pub(crate) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    /// A tenant's route; `None` if there is no such tenant. Waits for the store only the first
    /// time somebody asks for a tenant.
    ///
    /// # Errors
    /// The tenant is not known and the store does not answer.
    pub async fn route(&self, tenant: &str) -> Result<Option<LocalRoute>, ProxyError> {
        if let Some(route) = self.front.get(tenant, self.now()) {
            return Ok(Some(route));
        }
        let entry = match self.tenants().known(tenant) {
            Known::Tenant(entry) => entry,
            Known::NoSuchTenant => return Ok(None),
            Known::NeverAsked => {
                let Ok(id) = tenant.parse::<TenantId>() else {
                    return Ok(None);
                };
                match self.tenants().get(&id).await {
                    Ok(Some(entry)) => entry,
                    Ok(None) => return Ok(None),
                    Err(error) => {
                        tracing::warn!(%tenant, %error, "tenant can't be looked up");
                        return Err(ProxyError::LookupUnavailable);
                    }
                }
            }
        };
        Ok(Some(self.front.insert(entry, self.now())))
    }

    /// 128 random bits in hexadecimal, as `traceparent` has trace ids.
    pub fn new_request_id(&self) -> HeaderValue {
        let bits: u128 = self.random.borrow_mut().random();
        HeaderValue::from_str(&format!("{bits:032x}"))
            .unwrap_or_else(|_| HeaderValue::from_static("unavailable"))
    }
}
