//! `listen` as it is written.

use std::{fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{
        self,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use tenant_store::model::HumanDuration;

use crate::config::value::{Address, AddressOrNone, ByteSize};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawListen {
    pub(in crate::config) public: RawListeners,
    pub(in crate::config) admin: AddressOrNone,
    pub(in crate::config) metrics: RawListeners,
    pub(in crate::config) logs: RawListeners,
    pub(in crate::config) traces: RawListeners,
    pub(in crate::config) limits: RawLimits,
}

/// One listener, or a list.
#[derive(Debug)]
pub(in crate::config) enum RawListeners {
    One(RawListener),
    Many(Vec<RawListener>),
}

/// An address, or a map that says more of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct LongListener {
    pub(in crate::config) address: Address,
    #[serde(default)]
    pub(in crate::config) tls: Option<RawTls>,
    #[serde(default)]
    pub(in crate::config) proxy_protocol: bool,
    #[serde(default)]
    pub(in crate::config) limits: RawLimits,
}

#[derive(Debug)]
pub(in crate::config) struct RawListener(pub(in crate::config) LongListener);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawTls {
    pub(in crate::config) cert_file: PathBuf,
    pub(in crate::config) key_file: PathBuf,
    #[serde(default)]
    pub(in crate::config) client_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) client_certificates: Option<RawClientCertificates>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawClientCertificates {
    Optional,
    Required,
}

/// Limits that may be left to those of all listeners, and these to their defaults.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawLimits {
    pub(in crate::config) max_connections: Option<u32>,
    pub(in crate::config) max_headers: Option<u32>,
    pub(in crate::config) max_head_bytes: Option<ByteSize>,
    pub(in crate::config) head_timeout: Option<HumanDuration>,
    pub(in crate::config) idle_timeout: Option<HumanDuration>,
    pub(in crate::config) write_timeout: Option<HumanDuration>,
}

impl Default for RawListen {
    fn default() -> Self {
        let none = || RawListeners::Many(Vec::new());
        Self {
            public: RawListeners::One(([127, 0, 0, 1], 8427).into()),
            admin: AddressOrNone(Some(([127, 0, 0, 1], 9427).into())),
            metrics: none(),
            logs: none(),
            traces: none(),
            limits: RawLimits::default(),
        }
    }
}

impl<A: Into<std::net::SocketAddr>> From<A> for RawListener {
    fn from(address: A) -> Self {
        let address = Address(address.into());
        Self(LongListener {
            address,
            tls: None,
            proxy_protocol: false,
            limits: RawLimits::default(),
        })
    }
}

impl<'de> Deserialize<'de> for RawListeners {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenersVisitor)
    }
}

impl<'de> Deserialize<'de> for RawListener {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenerVisitor)
    }
}

// By hand, not `untagged`: that would lose the path of a fault inside.

struct ListenersVisitor;

impl<'de> de::Visitor<'de> for ListenersVisitor {
    type Value = RawListeners;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as 127.0.0.1:8427, a map with `address`, or a list of these")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawListeners, E> {
        ListenerVisitor.visit_str(text).map(RawListeners::One)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RawListeners, A::Error> {
        ListenerVisitor.visit_map(map).map(RawListeners::One)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<RawListeners, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawListeners::Many)
    }
}

struct ListenerVisitor;

impl<'de> de::Visitor<'de> for ListenerVisitor {
    type Value = RawListener;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as 127.0.0.1:8427, or a map with `address`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawListener, E> {
        let address: Address = text.parse().map_err(E::custom)?;
        Ok(address.0.into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RawListener, A::Error> {
        LongListener::deserialize(MapAccessDeserializer::new(map)).map(RawListener)
    }
}
