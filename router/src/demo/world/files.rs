//! The files an operator would write: the router's configuration, its token, a file per tenant.

use std::{fmt::Write as _, net::SocketAddr};

use super::TenantWorld;
use crate::demo::backend::Backend;

/// Health checks are quicker than the default so that one sees an endpoint go and come back.
const HEALTH_CHECK: &str = "health_check: {path: /health, interval: 1s, timeout: 1s, healthy_after: 2, unhealthy_after: 3}";

/// A token that nobody else knows.
pub(super) fn random_token() -> String {
    format!("{:032x}\n", rand::random::<u128>())
}

/// `mirador.yaml`.
pub(super) fn router_config(public: SocketAddr, admin: SocketAddr) -> String {
    format!(
        "listen:\n  public: {public}\n  admin: {admin}\n\
         admin:\n  token_file: admin.token\n\
         store:\n  kind: sqlite\n  path: mirador.db\n\
         log: {{format: json, level: info}}\n"
    )
}

/// `tenants/<id>.yaml`.
pub(super) fn tenant_file(tenant: &TenantWorld) -> String {
    let TenantWorld {
        id,
        display_name,
        metrics,
        logs,
        traces,
        ..
    } = tenant;
    let mut file = format!(
        "id: {id}\ndisplay_name: {display_name}\nadmin_email: sre@{id}.example\ntier: pro\n\
         status: active\ndeployments:\n  metrics:\n    endpoints:\n"
    );
    for (priority, (endpoint, zone)) in metrics.iter().zip(["a", "b"]).enumerate() {
        let url = endpoint.url();
        let _ = writeln!(
            file,
            "      - {{url: \"{url}\", zone: {zone}, priority: {priority}}}"
        );
    }
    let _ = write!(file, "    policy: first_available\n    {HEALTH_CHECK}\n");
    for single in [Some(logs), traces.as_ref()].into_iter().flatten() {
        single_endpoint(&mut file, single);
    }
    file
}

fn single_endpoint(file: &mut String, backend: &Backend) {
    let (signal, url) = (backend.signal(), backend.url());
    let _ = write!(
        file,
        "  {signal}:\n    endpoints: [\"{url}\"]\n    {HEALTH_CHECK}\n"
    );
}
