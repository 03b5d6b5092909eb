//! Two tenants on real servers of their own: whatever one of them asks or sends, by whichever way,
//! concerns its own data and nobody else's.

mod denied;
mod reads;
mod spoofing;
mod writes;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    mirador::Mirador,
    port::Port,
    tenant::Tenant,
    traces::{RealTraces, Traces},
    victoria::Victoria,
};

/// The tenants, and what marks the data of each.
const TENANTS: [(&str, &str); 2] = [("acme", "acmemark"), ("globex", "globexmark")];

/// Both headers that name a tenant.
const NAMES: [&str; 2] = ["X-Tenant-ID", "X-Scope-OrgID"];

/// A router with one listener for everything and one for each signal, and two tenants.
struct World {
    mirador: Mirador,
    metrics: Port,
    logs: Port,
    traces: Port,
    acme: Backends,
    globex: Backends,
}

/// The backends of one tenant.
struct Backends {
    metrics: Victoria,
    logs: Victoria,
    traces: TracesBackend,
}

enum TracesBackend {
    Double(Traces),
    Real(RealTraces),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Metrics,
    Logs,
    Traces,
}

impl World {
    /// Starts it, with `config` merged into the router's configuration.
    async fn start(config: Value) -> Self {
        Self::of(config, Backends::start().await, Backends::start().await).await
    }

    /// The same with real servers for traces, where there is one.
    async fn with_real_traces() -> Option<Self> {
        let (mut acme, mut globex) = (Backends::start().await, Backends::start().await);
        acme.traces = TracesBackend::Real(RealTraces::start().await?);
        globex.traces = TracesBackend::Real(RealTraces::start().await?);
        Some(Self::of(json!({}), acme, globex).await)
    }

    async fn of(mut config: Value, acme: Backends, globex: Backends) -> Self {
        let (metrics, logs, traces) = (Port::take(), Port::take(), Port::take());
        config["listen"] = json!({
            "metrics": metrics.address().to_string(),
            "logs": logs.address().to_string(),
            "traces": traces.address().to_string(),
        });
        let mirador = Mirador::with(config).await;
        for (backends, (id, _)) in [&acme, &globex].into_iter().zip(TENANTS) {
            mirador.apply(&backends.tenant(id)).await;
        }
        Self {
            mirador,
            metrics,
            logs,
            traces,
            acme,
            globex,
        }
    }

    /// The backends of a tenant.
    fn backends(&self, tenant: &str) -> &Backends {
        if tenant == "acme" {
            &self.acme
        } else {
            &self.globex
        }
    }

    /// Every URL by which a native path of this signal can be asked for.
    fn ways(&self, signal: Signal, path: &str) -> Vec<String> {
        let (own, prefix) = match signal {
            Signal::Metrics => (&self.metrics, "/vm"),
            Signal::Logs => (&self.logs, "/vl"),
            Signal::Traces => (&self.traces, "/vt"),
        };
        vec![
            self.mirador.url(path),
            self.mirador.url(&format!("{prefix}{path}")),
            own.url() + path,
        ]
    }

    /// A request of a tenant that it names by this header.
    fn request(&self, method: Method, url: &str, name: &str, tenant: &str) -> RequestBuilder {
        self.mirador.http.request(method, url).header(name, tenant)
    }
}

impl Backends {
    async fn start() -> Self {
        let (metrics, logs) = tokio::join!(Victoria::metrics(), Victoria::logs());
        Self {
            metrics,
            logs,
            traces: TracesBackend::Double(Traces::start().await),
        }
    }

    /// The tenant that has these backends. They are not probed, so that a backend's own count of
    /// requests tells whether any has come through.
    fn tenant(&self, id: &str) -> Tenant {
        let traces = match &self.traces {
            TracesBackend::Double(double) => double.url(),
            TracesBackend::Real(real) => real.url(),
        };
        let tenant = Tenant::new(id)
            .metrics(&[self.metrics.url()])
            .logs(&[self.logs.url()])
            .traces(&[traces]);
        ["metrics", "logs", "traces"]
            .iter()
            .fold(tenant, |tenant, signal| {
                let pointer = format!("/deployments/{signal}/health_check");
                tenant.set(&pointer, json!({"enabled": false}))
            })
    }

    fn url(&self, signal: Signal) -> String {
        match (signal, &self.traces) {
            (Signal::Metrics, _) => self.metrics.url(),
            (Signal::Logs, _) => self.logs.url(),
            (Signal::Traces, TracesBackend::Double(double)) => double.url(),
            (Signal::Traces, TracesBackend::Real(real)) => real.url(),
        }
    }

    /// All that a backend holds for the tenant `account` of its own.
    async fn dump(&self, signal: Signal, account: u32) -> String {
        let (path, query) = match signal {
            Signal::Metrics => ("/api/v1/export", [("match[]", "{__name__!=''}")]),
            Signal::Logs => ("/select/logsql/query", [("query", "*")]),
            Signal::Traces => ("/select/jaeger/api/services", [("", "")]),
        };
        let url = self.url(signal) + path;
        let request = crate::support::mirador::http_client()
            .get(url)
            .query(&query)
            .header("AccountID", account);
        let reply = request.send().await.expect("an answer");
        assert!(reply.status().is_success(), "{reply:?}");
        reply.text().await.expect("a whole body")
    }
}
