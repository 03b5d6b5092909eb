//! Tenants as operators write them, with probes quick enough for tests.

use serde_json::{Value, json};

/// A tenant's document.
#[derive(Debug, Clone)]
pub(crate) struct Tenant(Value);

impl Tenant {
    /// An active tenant without deployments.
    pub(crate) fn new(id: &str) -> Self {
        Self(json!({"id": id, "status": "active", "deployments": {}}))
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().expect("an id")
    }

    /// The document itself.
    pub(crate) fn document(&self) -> &Value {
        &self.0
    }

    /// With its metrics at these URLs, the first being preferred.
    pub(crate) fn metrics(self, urls: &[String]) -> Self {
        self.deployment("metrics", urls)
    }

    /// With its logs at these URLs.
    pub(crate) fn logs(self, urls: &[String]) -> Self {
        self.deployment("logs", urls)
    }

    /// With its traces at these URLs.
    pub(crate) fn traces(self, urls: &[String]) -> Self {
        self.deployment("traces", urls)
    }

    /// With all three signals at the same URLs.
    pub(crate) fn everything(self, urls: &[String]) -> Self {
        self.metrics(urls).logs(urls).traces(urls)
    }

    /// With a field of its document changed; `pointer` is as in RFC 6901.
    pub(crate) fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let parent = self
            .0
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("no {parent}"));
        parent[field] = value.into();
        self
    }

    fn deployment(self, signal: &str, urls: &[String]) -> Self {
        let endpoints: Vec<Value> = (0u16..)
            .zip(urls)
            .map(|(priority, url)| json!({"url": url, "priority": priority}))
            .collect();
        let deployment = json!({
            "endpoints": endpoints,
            "timeout": "20s",
            "health_check": {
                "interval": "200ms", "timeout": "1s", "healthy_after": 1, "unhealthy_after": 2,
            },
        });
        self.set(&format!("/deployments/{signal}"), deployment)
    }
}
