//! Somebody to connect to: an address, a protocol, and how to be sure it is the right one.
//!
//! Peers are interned by the builder: endpoints that agree in all of this share connections.

use std::{net::IpAddr, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tenant_store::model::{EndpointProtocol, EndpointUrl, UpstreamTls};

/// Somebody to connect to.
#[derive(Debug)]
pub struct Peer {
    pub(super) id: u64,
    pub(super) host: PeerHost,
    pub(super) port: u16,
    pub(super) protocol: EndpointProtocol,
    pub(super) tls: Option<PeerTls>,
}

/// A host, by address or by name; names are resolved anew for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerHost {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(Arc<str>),
}

/// How to be sure it is the right one.
#[derive(Debug, Clone)]
pub struct PeerTls {
    /// The name to send and to verify.
    pub server_name: ServerName<'static>,
    /// Trusted authorities, client certificate, ALPN.
    pub config: Arc<ClientConfig>,
}

/// What makes two endpoints the same peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PeerKey {
    pub(super) https: bool,
    pub(super) authority: String,
    pub(super) protocol: EndpointProtocol,
    /// The settings, and a fingerprint of the files they name: renewed certificates make another
    /// peer.
    // Boxed, as most peers have none.
    pub(super) tls: Option<Box<(UpstreamTls, u64)>>,
}

impl Peer {
    /// Unique among all peers of this process; what connection pools are keyed by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it is.
    pub fn host(&self) -> &PeerHost {
        &self.host
    }

    /// On which port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> EndpointProtocol {
        self.protocol
    }

    /// How it is verified; `None` in clear.
    pub fn tls(&self) -> Option<&PeerTls> {
        self.tls.as_ref()
    }
}

impl PeerHost {
    pub(super) fn of(url: &EndpointUrl) -> Self {
        match url.as_url().host() {
            Some(url::Host::Ipv4(address)) => Self::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Self::Address(address.into()),
            Some(url::Host::Domain(name)) => Self::Name(name.into()),
            None => Self::Name("".into()),
        }
    }
}
