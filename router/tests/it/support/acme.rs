//! The world of most tests: one router, one tenant named acme, one backend for all its signals.

use std::net::SocketAddr;

use serde_json::Value;

use super::{client::RawClient, mirador::Mirador, tenant::Tenant, upstream::Upstream, wire::End};

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

/// Sends bytes on a connection of their own, and answers the statuses of all replies to them. The
/// connection has to end by itself.
pub(crate) async fn statuses(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<u16> {
    let mut client = RawClient::connect(address).await;
    client.send(bytes).await;
    let mut statuses = Vec::new();
    loop {
        match client.reply().await {
            Ok(reply) => statuses.push(reply.status()),
            Err(End::Fin | End::Reset) => return statuses,
            Err(other) => panic!("the connection ended with {other:?}"),
        }
    }
}
