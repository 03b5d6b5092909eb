//! The router itself: the real binary with its own folder, ports, store and token.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{eventually, metrics::Metrics, port::Port, process::Process, tenant::Tenant};

/// The bearer token of the admin API.
pub(crate) const TOKEN: &str = "an-admin-token-of-the-tests";

/// A running router.
#[derive(Debug)]
pub(crate) struct Mirador {
    pub(crate) process: Process,
    pub(crate) http: Client,
    folder: TempDir,
    config: Value,
    public: Port,
    admin: Port,
}

impl Mirador {
    /// Starts one with nothing but the required settings.
    pub(crate) async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// Starts one whose configuration has `extra` merged into it, and waits until it is ready.
    pub(crate) async fn with(extra: Value) -> Self {
        let (public, admin) = (Port::take(), Port::take());
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("admin.token"), TOKEN).expect("the token's file");
        let mut config = json!({
            "listen": {
                "public": public.address().to_string(),
                "admin": admin.address().to_string(),
            },
            "admin": {"token_file": "admin.token"},
            "store": {"kind": "sqlite", "path": "mirador.db"},
            "log": {"format": "json", "level": "info"},
        });
        merge(&mut config, extra);
        write_config(folder.path(), &config);
        let process = serve(folder.path());
        let mut mirador = Self {
            process,
            http: http_client(),
            folder,
            config,
            public,
            admin,
        };
        mirador.until_ready().await;
        mirador
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.public.address()
    }

    /// Its own folder, where relative paths of the configuration begin.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of its configuration.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("mirador.yaml")
    }

    /// Merges `extra` into the configuration file, without telling the router.
    pub(crate) fn rewrite_config(&mut self, extra: Value) {
        merge(&mut self.config, extra);
        write_config(self.folder.path(), &self.config);
    }

    /// Creates or replaces a tenant; it is served as described when this returns.
    pub(crate) async fn apply(&self, tenant: &Tenant) {
        let path = format!("/api/v1/tenants/{}", tenant.id());
        let put = async |condition| {
            let request = self.admin(Method::PUT, &path).header(condition, "*");
            let reply = request.json(tenant.document()).send().await;
            reply.expect("an answer of the admin API")
        };
        let mut reply = put("If-Match").await;
        if reply.status() == StatusCode::PRECONDITION_FAILED {
            reply = put("If-None-Match").await;
        }
        let status = reply.status();
        let text = reply.text().await.expect("its body");
        assert!(status.is_success(), "PUT {path} answered {status}: {text}");
    }

    /// A file with the token of the admin API.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("admin.token")
    }

    /// A request to the admin API, with its token.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, self.admin_url(path))
            .bearer_auth(TOKEN)
    }

    /// The URL of a path on the admin listener.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("{}{path}", self.admin.url())
    }

    /// The URL of a path on the public listener.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public.url())
    }

    /// A request of a tenant.
    pub(crate) fn request(&self, method: Method, tenant: &str, path: &str) -> RequestBuilder {
        self.http
            .request(method, self.url(path))
            .header("X-Tenant-ID", tenant)
    }

    /// Sends a tenant's GET.
    pub(crate) async fn get(&self, tenant: &str, path: &str) -> Response {
        self.request(Method::GET, tenant, path)
            .send()
            .await
            .expect("an answer of the router")
    }

    /// Sends a tenant's GET, which has to succeed, and answers its body.
    pub(crate) async fn text(&self, tenant: &str, path: &str) -> String {
        let reply = self.get(tenant, path).await;
        let status = reply.status();
        let text = reply.text().await.expect("a whole body");
        assert_eq!(status, StatusCode::OK, "GET {path} as {tenant}: {text}");
        text
    }

    /// Sends a tenant's POST, and answers its status and body.
    pub(crate) async fn post(
        &self,
        tenant: &str,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, String) {
        let reply = self
            .request(Method::POST, tenant, path)
            .body(body)
            .send()
            .await;
        let reply = reply.expect("an answer of the router");
        (reply.status(), reply.text().await.expect("a whole body"))
    }

    /// What the router says of itself at this moment.
    pub(crate) async fn metrics(&self) -> Metrics {
        let reply = self.http.get(self.admin_url("/metrics")).send().await;
        let text = reply
            .expect("the metrics page")
            .text()
            .await
            .expect("a whole page");
        Metrics::parse(&text)
    }

    /// Waits until a metric's samples with these labels add up to what `fits` accepts.
    pub(crate) async fn until_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        fits: impl Fn(f64) -> bool,
    ) {
        let what = format!("{name} with {labels:?}");
        let probe = async || fits(self.metrics().await.sum(name, labels)).then_some(());
        eventually(&what, probe).await;
    }

    /// Asks it to end in order.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Kills it and starts it again, with the same folder and ports.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        self.process = serve(self.folder.path());
        self.until_ready().await;
    }

    async fn until_ready(&mut self) {
        let ready = self.admin_url("/readyz");
        self.process.until_ready(&self.http, &ready).await;
        let announced = async || self.process.output().ends_with('\n').then_some(());
        eventually("the router to announce itself", announced).await;
    }
}

/// A client that pools connections and follows nothing.
pub(crate) fn http_client() -> Client {
    // Fails only if another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

/// Starts one on the configuration in a folder.
pub(crate) fn serve(folder: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirador"));
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.join("mirador.yaml"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MIRADOR_")) {
        command.env_remove(name);
    }
    Process::spawn("mirador", &mut command, folder)
}

/// JSON is YAML, too.
fn write_config(folder: &Path, config: &Value) {
    let text = serde_json::to_string_pretty(config).expect("JSON");
    fs::write(folder.join("mirador.yaml"), text).expect("the configuration's file");
}

fn merge(base: &mut Value, extra: Value) {
    match (base, extra) {
        (Value::Object(base), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, extra) => *base = extra,
    }
}
