//! An admin app on a port of its own, and how it is asked.

use std::{fs, future, net::SocketAddr, path::Path, sync::Arc};

use ::health::{self, Monitor, MonitorConfig, Resolver, ResolverConfig};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use rustls::RootCertStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenant_store::{
    cache::{CacheConfig, TenantCache},
    repository::{AuditQuery, Repository, TenantRepository, sqlite::SqliteRepository},
};
use tokio::{net::TcpListener, runtime::Handle};

use crate::{
    admin,
    config::{Config, Overrides, TokenHash},
    control::{Control, Parts, Phase},
    history::History,
    keys::KeyRing,
    names::Names,
    proxy::route::RouteBuilder,
    telemetry::Telemetry,
    tiers::Tiers,
    tls,
};

pub(crate) const TOKEN: &str = "correct-horse-battery-staple";

/// The token of Argo CD's generator.
pub(crate) const ARGOCD_TOKEN: &str = "argo-is-a-ship";

const CONFIG: &str = "mirador.yaml";
const TOKEN_FILE: &str = "admin.token";

/// A running admin app over an empty store.
pub(crate) struct Admin {
    pub(crate) control: Arc<Control>,
    pub(crate) repository: Arc<Repository>,
    address: SocketAddr,
    client: Client,
    directory: TempDir,
}

impl Admin {
    pub(crate) async fn start() -> Self {
        Self::start_with(Some(TOKEN)).await
    }

    pub(crate) async fn start_with(token: Option<&str>) -> Self {
        let directory = TempDir::new().expect("a directory");
        write_config(directory.path(), token);
        let config = Config::load(Some(&directory.path().join(CONFIG)), &Overrides::default());
        let repository = open(&directory.path().join("mirador.db")).await;
        let config = config.expect("a configuration");
        let parts = parts(repository.clone(), &config).await;
        let control = Control::new(parts, config);
        let monitor = control.monitor().clone();
        tokio::spawn(control.standing().clone().follow(monitor));
        control.enter(Phase::Serving);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(admin::serve(
            listener,
            None,
            control.clone(),
            future::pending(),
        ));
        let client = health::client_builder().build().expect("a client");
        Self {
            control,
            repository,
            address,
            client,
            directory,
        }
    }

    /// Replaces the configuration file.
    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.directory.path().join(CONFIG), text).expect("written");
    }

    /// Replaces the token's file.
    pub(crate) fn write_token(&self, token: &str) {
        fs::write(self.directory.path().join(TOKEN_FILE), token).expect("written");
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(TOKEN)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Puts a tenant at the path its id says.
    pub(crate) async fn put(&self, tenant: &Value) -> Answer {
        let present = self.putting(tenant, "").header("If-Match", "*");
        let answer = Answer::of(present).await;
        if answer.status != StatusCode::PRECONDITION_FAILED {
            return answer;
        }
        let absent = self.putting(tenant, "").header("If-None-Match", "*");
        Answer::of(absent).await
    }

    /// Puts a tenant without a condition, with a query; not sent yet.
    pub(crate) fn putting(&self, tenant: &Value, query: &str) -> RequestBuilder {
        let id = tenant["id"].as_str().unwrap_or_default();
        self.request(Method::PUT, &format!("/api/v1/tenants/{id}{query}"))
            .json(tenant)
    }

    pub(crate) async fn delete(&self, id: &str) -> Answer {
        let request = self.request(Method::DELETE, &format!("/api/v1/tenants/{id}"));
        Answer::of(request.header("If-Match", "*")).await
    }

    /// Where the store is in its sequence of changes, and how many were written.
    pub(crate) async fn state(&self) -> (u64, usize) {
        let position = self.repository.position().await.expect("a position");
        let events = self
            .repository
            .audit(&AuditQuery::newest(1000))
            .await
            .expect("the audit");
        (position.0, events.len())
    }

    /// How many changes were written.
    pub(crate) async fn changes(&self) -> usize {
        let page = self.get("/api/v1/audit?limit=1000").await.body;
        page["events"].as_array().map_or(0, Vec::len)
    }
}

/// An operator whose token is the name.
fn operator(name: &str, role: &str) -> String {
    let hash = TokenHash::of(name);
    format!("{{name: {name}, role: {role}, token_sha256: {hash}}}")
}

fn write_config(directory: &Path, token: Option<&str>) {
    let text = match token {
        Some(token) => {
            fs::write(directory.join(TOKEN_FILE), token).expect("written");
            fs::write(directory.join("argocd.token"), ARGOCD_TOKEN).expect("written");
            fs::write(directory.join("keys.secret"), "s".repeat(32)).expect("written");
            format!(
                "admin: {{token_file: {TOKEN_FILE}, max_failures_per_minute: 100000, \
                 argocd: {{token_file: argocd.token}}, operators: [{}, {}]}}\nkeys: {{secret_file: keys.secret}}\n",
                operator("vera", "viewer"),
                operator("otto", "operator"),
            )
        }
        None => "workers: 1\n".to_owned(),
    };
    fs::write(directory.join(CONFIG), text).expect("written");
}

/// What `serve` puts together, but for listeners and logging.
async fn parts(repository: Arc<Repository>, config: &Config) -> Parts {
    tls::install_crypto();
    let telemetry = Telemetry::new(10).expect("metrics");
    let monitor = Monitor::new(MonitorConfig::default());
    let roots = Arc::new(RootCertStore::empty());
    let tiers = Tiers::new(repository.clone());
    let builder = RouteBuilder::new(telemetry.clone(), monitor.clone(), roots, tiers.clone())
        .expect("a builder");
    let routes = Arc::new(builder);
    let names = Names {
        resolver: Resolver::new(ResolverConfig::default()),
        routes: routes.clone(),
    };
    let tenants = TenantCache::new(
        repository.clone(),
        CacheConfig::default(),
        Handle::current(),
        move |record, previous| routes.build(record, previous),
    );
    let keys = KeyRing::new(repository.clone(), config.settings.key_secret.clone());
    let history = History::open(config.history.clone(), &repository).await;
    // A store that fails has none to be read.
    let _ = keys.fill().await;
    Parts {
        keys,
        history: history.expect("history"),
        repository,
        tenants,
        tiers,
        monitor,
        names,
        telemetry,
        certificates: Vec::new(),
        admin_certificate: None,
        log_level: None,
    }
}

async fn open(path: &Path) -> Arc<Repository> {
    let store = SqliteRepository::open(path).await.expect("a store");
    Arc::new(Repository::new(store))
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    headers: HeaderMap,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("answered");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            body,
            headers,
        }
    }

    /// A header's value; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn outcome(&self) -> &str {
        self.header("x-mirador-outcome")
    }
}

/// A tenant that every test may change as it likes. Nothing listens at its endpoints.
pub(crate) fn acme() -> Value {
    json!({
        "id": "acme",
        "display_name": "ACME Corp",
        "tier": "pro",
        "deployments": { "metrics": { "endpoints": [
            { "url": "http://127.0.0.1:1", "zone": "a" },
            { "url": "http://127.0.0.1:2", "zone": "b", "priority": 1 },
        ] } },
    })
}

/// The least a tenant can be.
pub(crate) fn tenant(id: &str) -> Value {
    json!({ "id": id })
}
