//! Somebody to connect to: an address, a protocol, and how to be sure it is the right one.
//!
//! Peers are interned: endpoints that agree in all of this share connections.

use std::{
    collections::HashMap,
    hash::Hash,
    io,
    net::IpAddr,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use health::Place;
use parking_lot::Mutex;

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
    /// The peer as its URL names it, of which this is one address.
    pub(super) origin: Option<Arc<Peer>>,
}

/// A host, by address or by name. A name is one whose addresses are not known yet; it is resolved
/// anew for each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerHost {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(Arc<str>),
    /// A service: nobody can be connected to before its records are known.
    Service(Arc<str>),
}

/// How to be sure it is the right one.
#[derive(Debug, Clone)]
pub struct PeerTls {
    /// The name to send and to verify.
    pub server_name: ServerName<'static>,
    /// Trusted authorities, client certificate, ALPN.
    pub config: Arc<ClientConfig>,
}

/// Why nobody can be connected to at a service whose records are not known.
pub(crate) fn unresolved(service: &str) -> io::Error {
    let message = format!("the SRV records of {service} are not known yet");
    io::Error::new(io::ErrorKind::NotFound, message)
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

/// Peers by what makes them the same, for as long as somebody has them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    named: Mutex<HashMap<PeerKey, Weak<Peer>>>,
    addressed: Mutex<HashMap<PlaceKey, Weak<Peer>>>,
    last_id: AtomicU64,
}

/// An address of a peer: whose, where, and by the name of which host.
type PlaceKey = (u64, IpAddr, Option<(Arc<str>, u16)>);

impl Peers {
    /// The one peer for this key, or else the one that `make` makes, given its id.
    pub(super) fn named<E>(
        &self,
        key: PeerKey,
        make: impl FnOnce(u64) -> Result<Peer, E>,
    ) -> Result<Arc<Peer>, E> {
        interned(&self.named, key, || make(self.next_id()))
    }

    /// The one peer for this address of `origin`, or else the one that `make` makes, given its id.
    pub(super) fn addressed<E>(
        &self,
        origin: &Arc<Peer>,
        place: &Place,
        make: impl FnOnce(u64) -> Result<Peer, E>,
    ) -> Result<Arc<Peer>, E> {
        let service = place.service.as_ref();
        let target = service.map(|target| (target.host.clone(), target.port));
        let key = (origin.id, place.address, target);
        interned(&self.addressed, key, || make(self.next_id()))
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }
}

fn interned<K: Eq + Hash, E>(
    peers: &Mutex<HashMap<K, Weak<Peer>>>,
    key: K,
    make: impl FnOnce() -> Result<Peer, E>,
) -> Result<Arc<Peer>, E> {
    let known = peers.lock().get(&key).and_then(Weak::upgrade);
    if let Some(peer) = known {
        return Ok(peer);
    }
    let peer = Arc::new(make()?);
    let mut peers = peers.lock();
    if let Some(other) = peers.get(&key).and_then(Weak::upgrade) {
        return Ok(other); // made by somebody else meanwhile
    }
    if peers.len() > 1024 && peers.len().is_power_of_two() {
        peers.retain(|_, peer| peer.strong_count() > 0);
    }
    peers.insert(key, Arc::downgrade(&peer));
    Ok(peer)
}

impl Peer {
    /// Unique among all peers of this process; what connection pools are keyed by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer as its URL names it, if this is one address of that.
    pub fn origin(&self) -> Option<&Arc<Self>> {
        self.origin.as_ref()
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
        if let Some(service) = url.service() {
            return Self::Service(service.into());
        }
        match url.as_url().host() {
            Some(url::Host::Ipv4(address)) => Self::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Self::Address(address.into()),
            Some(url::Host::Domain(name)) => Self::Name(name.into()),
            None => Self::Name("".into()),
        }
    }
}
