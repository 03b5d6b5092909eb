//! The world of most tests: one router, one tenant named acme, one backend for all its signals.

use serde_json::Value;

use super::{mirador::Mirador, tenant::Tenant, upstream::Upstream};

/// Starts a router that serves acme from `upstream`, with `config` merged into its configuration.
pub(crate) async fn acme(upstream: &Upstream, config: Value) -> Mirador {
    let mirador = Mirador::with(config).await;
    let tenant = Tenant::new("acme").everything(&[upstream.url()]);
    mirador.apply(&tenant).await;
    mirador
}

/// A request as bytes; `line` is its method and target, `headers` are whole lines.
pub(crate) fn request(line: &str, headers: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: mirador.test\r\n{headers}\r\n{body}")
}

/// A request of acme's without a body.
pub(crate) fn of_acme(line: &str, headers: &str) -> String {
    request(line, &format!("X-Tenant-ID: acme\r\n{headers}"), "")
}
