//! Everything a route is built from, and routes.

use std::{fmt::Write as _, sync::Arc};

use health::{Monitor, MonitorConfig};
use jiff::Timestamp;
use router::{
    config::{Config, Overrides, Settings},
    keys::{KeyRing, KeySecret, new_id, new_token},
    proxy::{
        context::ProxyContext,
        route::{RouteBuilder, TenantRoute},
    },
    standing::Standing,
    telemetry::Telemetry,
    tiers::Tiers,
    tls,
};
use rustls::RootCertStore;
use serde_json::json;
use tempfile::TempDir;
use tenant_store::{
    cache::{CacheConfig, TenantCache},
    document,
    model::{Revision, TenantRecord},
    repository::{KeptWritten, Outcome, Repository, Stored, sqlite::SqliteRepository},
};
use tokio::runtime::Runtime;

/// Tenants that get metrics of their own.
const TENANTS_MAX: usize = 1000;

/// What `router::serve` would have put together, without sockets and threads.
#[derive(Debug)]
pub struct World {
    telemetry: Arc<Telemetry>,
    builder: Arc<RouteBuilder>,
    settings: Arc<Settings>,
    runtime: Runtime,
    folder: TempDir,
}

impl World {
    /// A router without tenants, of default settings.
    ///
    /// # Panics
    /// The system gives no folder or no runtime. Nothing can be measured then.
    #[expect(clippy::expect_used, reason = "nothing can be measured without")]
    pub fn new() -> Self {
        tls::install_crypto();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let telemetry = Telemetry::new(TENANTS_MAX).expect("metrics of different names");
        let monitor = Monitor::new(MonitorConfig::default());
        let roots = Arc::new(RootCertStore::empty());
        let tiers = Arc::new(Tiers::of_no_store());
        let builder = RouteBuilder::new(telemetry.clone(), monitor, roots, tiers);
        let config = Config::load(None, &Overrides::default()).expect("faultless defaults");
        Self {
            telemetry,
            builder: Arc::new(builder.expect("a client for probes")),
            settings: config.settings,
            runtime,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Does something on the world's runtime.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// What builds routes.
    pub fn builder(&self) -> &RouteBuilder {
        &self.builder
    }

    /// The record of a tenant with so many endpoints for each of the three signals.
    ///
    /// # Panics
    /// The id is none.
    #[expect(clippy::expect_used, reason = "written here")]
    pub fn record(&self, id: &str, endpoints: usize) -> TenantRecord {
        let mut text = format!("id: {id}\ndeployments:\n");
        for (signal, port) in [("metrics", 8428), ("logs", 9428), ("traces", 10428)] {
            // Writing into a `String` does not fail.
            let _ = write!(text, "  {signal}:\n    endpoints:\n");
            for number in 0..endpoints {
                let _ = writeln!(text, "    - http://{signal}-{number}.{id}.test:{port}");
            }
            let _ = writeln!(text, "    health_check: {{enabled: false}}");
        }
        let tenant = document::tenant(&text).expect("a tenant");
        TenantRecord {
            tenant,
            revision: Revision(1),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// The route of such a tenant.
    pub fn route(&self, id: &str, endpoints: usize) -> TenantRoute {
        self.builder.build(&self.record(id, endpoints), None)
    }

    /// A cache that knows so many tenants with one endpoint for each signal: `tenant-00000` and on.
    ///
    /// # Panics
    /// No store can be opened.
    pub fn tenants(&self, count: u32) -> Arc<TenantCache<TenantRoute>> {
        self.tenants_with(count, 1)
    }

    /// What tells how so many tenants are that have so many endpoints for each signal.
    ///
    /// # Panics
    /// No store can be opened.
    pub fn standing(&self, count: u32, endpoints: usize) -> Arc<Standing> {
        Standing::new(self.tenants_with(count, endpoints), self.telemetry.clone())
    }

    #[expect(clippy::expect_used, reason = "nothing can be measured without")]
    fn tenants_with(&self, count: u32, endpoints: usize) -> Arc<TenantCache<TenantRoute>> {
        let file = self.folder.path().join(format!("{count}-{endpoints}.db"));
        let repository = self.runtime.block_on(SqliteRepository::open(&file));
        let builder = self.builder.clone();
        let cache = TenantCache::new(
            Arc::new(Repository::new(repository.expect("a store"))),
            CacheConfig::default(),
            self.runtime.handle().clone(),
            move |record, previous| builder.build(record, previous),
        );
        for number in 0..count {
            cache.store(&self.record(&format!("tenant-{number:05}"), endpoints));
        }
        cache
    }

    /// A ring of so many keys, each of a tenant of its own, and their tokens.
    ///
    /// # Panics
    /// No store can be opened.
    #[expect(clippy::expect_used, reason = "nothing can be measured without")]
    pub fn keys(&self, count: u32) -> (Arc<KeyRing>, Vec<String>) {
        let file = self.folder.path().join("keys.db");
        let store = self.runtime.block_on(SqliteRepository::open(&file));
        let repository = Arc::new(Repository::new(store.expect("a store")));
        let secret = KeySecret::new("the server's own");
        let ring = KeyRing::new(repository, Some(secret.clone()));
        let mut tokens = Vec::new();
        for number in 0..count {
            let id = new_id();
            let token = new_token(&id);
            let key = json!({
                "id": id.as_str(), "name": "agents", "tenant": format!("tenant-{number:05}"),
                "scopes": ["logs:read", "metrics:write"], "hash": secret.hash(&token).as_str(),
            });
            ring.take_in(&KeptWritten {
                record: Stored {
                    value: serde_json::from_value(key).expect("a key"),
                    revision: Revision(1),
                    created_at: Timestamp::UNIX_EPOCH,
                    updated_at: Timestamp::UNIX_EPOCH,
                    used_at: None,
                    deleted: false,
                },
                outcome: Outcome::Created,
            });
            tokens.push(token);
        }
        (ring, tokens)
    }

    /// The context of a worker that knows these tenants. Its clock stands still.
    pub fn context(&self, tenants: Arc<TenantCache<TenantRoute>>) -> ProxyContext {
        let telemetry = self.telemetry.clone();
        ProxyContext::new(tenants, telemetry, Arc::default(), &self.settings)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
