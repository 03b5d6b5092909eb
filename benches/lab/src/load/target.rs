//! Whom a generator asks, and in whose name.

use std::{io, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::Identity;
use crate::{
    http1::{
        Connection,
        wire::{Sessions, Tls, Wire, connect_from},
    },
    lab::{bearer_of, tenant_id},
};

/// The path of the request that is measured: an instant query as Grafana's health check sends it.
pub(crate) const QUERY: &str = "/api/v1/query?query=1%2B1";
const USER_AGENT: &str = "benches";

/// A proxy to ask, or an upstream, in the name of its first tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Identity,
    /// PEM file of the certificate it shows, if it speaks TLS.
    pub(crate) certificate: Option<PathBuf>,
}

impl Target {
    /// A head with these lines beside those that all requests have.
    pub(crate) fn head(&self, method: &str, path: &str, more: &str) -> Vec<u8> {
        self.head_of(0, method, path, more)
    }

    /// The same in the name of the tenant of that number.
    pub(crate) fn head_of(&self, tenant: u32, method: &str, path: &str, more: &str) -> Vec<u8> {
        let (name, value) = self.identity.header(tenant);
        let host = self.address;
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n\
             Accept: application/json\r\n{name}: {value}\r\n{more}\r\n"
        )
        .into_bytes()
    }

    /// The request that is measured, for HTTP/2.
    pub(crate) fn query(&self) -> Result<http::Request<()>, http::Error> {
        let (name, value) = self.identity.header(0);
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        http::Request::builder()
            .version(http::Version::HTTP_2)
            .uri(format!("{scheme}://{}{QUERY}", self.address))
            .header(http::header::USER_AGENT, USER_AGENT)
            .header(http::header::ACCEPT, "application/json")
            .header(name, value)
            .body(())
    }

    /// How it is spoken to over TLS, if it is.
    pub(crate) fn tls(&self, protocol: &str, sessions: Sessions) -> io::Result<Option<Tls>> {
        let certificate = self.certificate.as_deref();
        certificate
            .map(|certificate| Tls::trusting(certificate, protocol, sessions))
            .transpose()
    }

    /// Connects for HTTP/1.1, from the source of that number.
    pub(crate) async fn connect(&self, number: u32, tls: Option<&Tls>) -> io::Result<Connection> {
        let stream = connect_from(number, self.address).await?;
        Ok(Connection::over(Wire::open(stream, tls).await?))
    }
}

impl Identity {
    /// The header that tells the tenant of that number.
    pub(crate) fn header(self, tenant: u32) -> (&'static str, String) {
        match self {
            Self::Header => ("x-tenant-id", tenant_id(tenant)),
            Self::Bearer => ("authorization", format!("Bearer {}", bearer_of(tenant))),
        }
    }
}
