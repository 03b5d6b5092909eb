//! The demo as a client: of the router's public listener, of its admin API, and, to load and watch
//! them, of the backends themselves.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use super::DemoError;
use crate::tls;

/// Deadline for one whole answer, the large export included.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Knows where the router is, and has the admin token.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    public: String,
    admin: String,
    token: String,
}

impl Client {
    /// A client for the router with these base URLs.
    pub(super) fn new(public: String, admin: String, token: String) -> Result<Self, DemoError> {
        let tls = tls::client_config(&Arc::new(RootCertStore::empty()), None, b"http/1.1")
            .map_err(|error| DemoError::Client(error.into()))?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .tls_backend_preconfigured(ClientConfig::clone(&tls))
            .build()
            .map_err(|error| DemoError::Client(error.into()))?;
        Ok(Self {
            http,
            public,
            admin,
            token,
        })
    }

    /// The router as seen by a tenant.
    pub(super) fn tenant<'c>(&'c self, id: &'c str) -> Backends<'c> {
        Backends {
            http: &self.http,
            base: &self.public,
            tenant: Some(id),
        }
    }

    /// The router as seen by somebody who names no tenant.
    pub(super) fn nobody(&self) -> Backends<'_> {
        Backends {
            http: &self.http,
            base: &self.public,
            tenant: None,
        }
    }

    /// One backend, past the router.
    pub(super) fn direct<'c>(&'c self, url: &'c str) -> Backends<'c> {
        Backends {
            http: &self.http,
            base: url,
            tenant: None,
        }
    }

    /// Whether the router says that it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.admin)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// How many requests an endpoint has answered, as the router counts them.
    pub(super) async fn answers_of(&self, tenant: &str, endpoint: &str) -> Result<u64, DemoError> {
        let labels = [("tenant", tenant), ("endpoint", endpoint)];
        let page = self.direct(&self.admin).metrics().await?;
        Ok(page.sum("mirador_endpoint_requests_total", &labels))
    }

    /// A tenant's document, as the admin API has it.
    pub(super) async fn document(&self, tenant: &str) -> Result<Value, DemoError> {
        json(
            &format!("GET tenant {tenant}"),
            self.admin(Method::GET, tenant),
        )
        .await
    }

    /// Replaces a tenant's document.
    pub(super) async fn replace(&self, tenant: &str, document: &Value) -> Result<(), DemoError> {
        // The demo is the only operator of its router.
        let request = self
            .admin(Method::PUT, tenant)
            .header("If-Match", "*")
            .json(document);
        json(&format!("PUT tenant {tenant}"), request)
            .await
            .map(drop)
    }

    fn admin(&self, method: Method, tenant: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/tenants/{tenant}", self.admin);
        self.http.request(method, url).bearer_auth(&self.token)
    }
}

/// The query and ingestion APIs of the backends, at one base URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backends<'c> {
    http: &'c reqwest::Client,
    base: &'c str,
    tenant: Option<&'c str>,
}

impl Backends<'_> {
    /// Whether `/health` answers well.
    pub(super) async fn is_healthy(&self) -> bool {
        let answer = self.request(Method::GET, "/health").send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The values of an instant query at `at`, in Unix seconds, in no particular order. They have
    /// to be whole numbers.
    pub(super) async fn instant(&self, query: &str, at: i64) -> Result<Vec<u64>, DemoError> {
        let request = self.request(Method::GET, "/api/v1/query");
        let request = request.query(&[("query", query), ("time", &at.to_string())]);
        let page = json(query, request).await?;
        let series = page["data"]["result"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let values = series
            .iter()
            .map(|one| one["value"][1].as_str()?.parse().ok());
        let values: Option<_> = values.collect();
        values.ok_or_else(|| DemoError::Unexpected(format!("{query} answered {page}")))
    }

    /// The status that a query gets.
    pub(super) async fn status_of_query(&self, query: &str) -> Result<StatusCode, DemoError> {
        let request = self
            .request(Method::GET, "/api/v1/query")
            .query(&[("query", query)]);
        let answer = request
            .send()
            .await
            .map_err(|error| DemoError::http(query, error))?;
        Ok(answer.status())
    }

    /// The status that a search in the logs gets.
    pub(super) async fn status_of_search(&self, filter: &str) -> Result<StatusCode, DemoError> {
        let answer = self.search(filter, "limit 1").send().await;
        Ok(answer
            .map_err(|error| DemoError::http(filter, error))?
            .status())
    }

    /// How many log lines fit `filter`, which is in `LogsQL`.
    pub(super) async fn count_logs(&self, filter: &str) -> Result<u64, DemoError> {
        let page = json(filter, self.search(filter, "stats count() as lines")).await?;
        let lines = page["lines"].as_str().and_then(|lines| lines.parse().ok());
        lines.ok_or_else(|| DemoError::Unexpected(format!("{filter} answered {page}")))
    }

    /// Begins to read all samples of the series that `selector` selects.
    pub(super) async fn export(&self, selector: &str) -> Result<Response, DemoError> {
        let request = self.request(Method::GET, "/api/v1/export");
        send("the export", request.query(&[("match[]", selector)])).await
    }

    /// What a server tells about itself.
    pub(super) async fn metrics(&self) -> Result<Metrics, DemoError> {
        let what = "GET /metrics";
        let answer = send(what, self.request(Method::GET, "/metrics")).await?;
        text(what, answer).await.map(Metrics)
    }

    /// Imports samples, as lines of JSON.
    pub(super) async fn import_samples(
        &self,
        lines: impl Into<reqwest::Body>,
    ) -> Result<(), DemoError> {
        let request = self.request(Method::POST, "/api/v1/import").body(lines);
        send("the import of samples", request).await.map(drop)
    }

    /// Has all samples written to disk. Backends do so directly only: the router lets no tenant.
    pub(super) async fn take_snapshot(&self) -> Result<(), DemoError> {
        let request = self.request(Method::POST, "/snapshot/create");
        send("the snapshot", request).await.map(drop)
    }

    /// Ingests log lines in JSON, whose `stream_fields` name the streams they belong to.
    pub(super) async fn insert_logs(
        &self,
        lines: String,
        stream_fields: &str,
    ) -> Result<(), DemoError> {
        let request = self
            .request(Method::POST, "/insert/jsonline")
            .query(&[("_stream_fields", stream_fields)])
            .header("Content-Type", "application/stream+json")
            .body(lines);
        send("the ingestion of logs", request).await.map(drop)
    }

    fn search(&self, filter: &str, pipe: &str) -> RequestBuilder {
        let query = format!("{filter} | {pipe}");
        self.request(Method::GET, "/select/logsql/query")
            .query(&[("query", query)])
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match self.tenant {
            Some(tenant) => request.header("X-Tenant-ID", tenant),
            None => request,
        }
    }
}

async fn json(what: &str, request: RequestBuilder) -> Result<Value, DemoError> {
    let answer = send(what, request).await?;
    answer
        .json()
        .await
        .map_err(|error| DemoError::http(what, error))
}

async fn send(what: &str, request: RequestBuilder) -> Result<Response, DemoError> {
    let answer = request
        .send()
        .await
        .map_err(|error| DemoError::http(what, error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    Err(DemoError::Refused {
        what: what.into(),
        status,
        body: text(what, answer).await?,
    })
}

async fn text(what: &str, answer: Response) -> Result<String, DemoError> {
    answer
        .text()
        .await
        .map_err(|error| DemoError::http(what, error))
}

/// Metrics as a server exposes them.
#[derive(Debug)]
pub(super) struct Metrics(String);

impl Metrics {
    /// The sum of a metric's whole-numbered samples that have all these labels; 0 if there is none
    /// yet.
    pub(super) fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> u64 {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""));
        let labels: Vec<_> = labels.collect();
        let samples = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(metric)?.strip_prefix('{')?;
            let (its_labels, value) = rest.rsplit_once("} ")?;
            let fits = labels
                .iter()
                .all(|label| its_labels.split(',').any(|its| its == label));
            fits.then(|| value.parse::<u64>().ok())?
        });
        samples.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn samples_of_other_metrics_tenants_and_endpoints_are_not_counted() {
        let page = Metrics(
            r#"# TYPE answers_total counter
answers_total{code="200",endpoint="127.0.0.1:1",tenant="acme"} 40
answers_total{code="503",endpoint="127.0.0.1:1",tenant="acme"} 2
answers_total{code="200",endpoint="127.0.0.1:11",tenant="acme"} 100
answers_total{code="200",endpoint="127.0.0.1:1",tenant="globex"} 1000
answers_total_more{code="200",endpoint="127.0.0.1:1",tenant="acme"} 10000
"#
            .into(),
        );
        let labels = [("tenant", "acme"), ("endpoint", "127.0.0.1:1")];
        assert_eq!(page.sum("answers_total", &labels), 42);
        assert_eq!(page.sum("questions_total", &labels), 0);
    }
}
