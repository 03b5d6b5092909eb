//! `mirador.yaml` as it is written, with its defaults. What the values must be to each other is
//! decided in [`super::build`].
//!
//! Every field here has a row in `docs/config.md`; a test compares the two.

mod identify;
mod notify;

use std::{fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{
        self,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use tenant_store::model::HumanDuration;

pub(super) use self::{
    identify::{
        RawAuthentication, RawIdentify, RawIssuer, RawIssuers, RawOperatorIssuer, RawTrust,
    },
    notify::{RawNotify, RawReceiver},
};
use super::{
    Role,
    value::{
        Address, AddressOrNone, ByteSize, LogFilter, LogFormat, Network, SecretText, Share,
        TenantHeader, Workers,
    },
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) listen: RawListen,
    pub(super) admin: RawAdmin,
    pub(super) store: RawStore,
    pub(super) workers: RawWorkers,
    pub(super) zone: Option<String>,
    pub(super) log: RawLog,
    pub(super) identify: RawIdentify,
    pub(super) trusted_proxies: Vec<Network>,
    pub(super) audit: RawAudit,
    pub(super) keys: RawKeys,
    pub(super) cache: RawCache,
    pub(super) upstream: RawUpstream,
    pub(super) health: RawHealth,
    pub(super) history: RawHistory,
    pub(super) metrics: RawMetrics,
    pub(super) notify: RawNotify,
    pub(super) shutdown: RawShutdown,
    pub(super) tenants: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawListen {
    pub(super) public: RawListeners,
    pub(super) admin: AddressOrNone,
    pub(super) metrics: RawListeners,
    pub(super) logs: RawListeners,
    pub(super) traces: RawListeners,
    pub(super) limits: RawLimits,
}

/// One listener, or a list.
#[derive(Debug)]
pub(super) enum RawListeners {
    One(RawListener),
    Many(Vec<RawListener>),
}

/// An address, or a map that says more of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongListener {
    pub(super) address: Address,
    #[serde(default)]
    pub(super) tls: Option<RawTls>,
    #[serde(default)]
    pub(super) proxy_protocol: bool,
    #[serde(default)]
    pub(super) limits: RawLimits,
}

#[derive(Debug)]
pub(super) struct RawListener(pub(super) LongListener);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    #[serde(default)]
    pub(super) client_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) client_certificates: Option<RawClientCertificates>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawClientCertificates {
    Optional,
    Required,
}

/// Limits that may be left to those of all listeners, and these to their defaults.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) max_connections: Option<u32>,
    pub(super) max_headers: Option<u32>,
    pub(super) max_head_bytes: Option<ByteSize>,
    pub(super) head_timeout: Option<HumanDuration>,
    pub(super) idle_timeout: Option<HumanDuration>,
    pub(super) write_timeout: Option<HumanDuration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAdmin {
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_env: Option<String>,
    pub(super) operators: Vec<RawOperator>,
    pub(super) jwt: RawIssuers<RawOperatorIssuer>,
    pub(super) max_failures_per_minute: u32,
    pub(super) tls: Option<RawAdminTls>,
    pub(super) argocd: RawArgocd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawArgocd {
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperator {
    pub(super) name: String,
    pub(super) role: Role,
    #[serde(default)]
    pub(super) token_sha256: Option<String>,
    #[serde(default)]
    pub(super) certificate: Option<RawCertificate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCertificate {
    pub(super) common_name: Option<String>,
    pub(super) san: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "as they are written, and as elsewhere"
)]
pub(super) struct RawAdminTls {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    #[serde(default)]
    pub(super) client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawKeys {
    pub(super) secret_file: Option<PathBuf>,
    pub(super) secret_env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAudit {
    pub(super) log: RawAuditLog,
}

/// `none`, `stdout`, or a file.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct RawAuditLog(pub(super) PathBuf);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStore {
    pub(super) kind: RawStoreKind,
    pub(super) path: Option<PathBuf>,
    pub(super) busy_timeout: HumanDuration,
    pub(super) url: Option<SecretText>,
    pub(super) url_file: Option<PathBuf>,
    pub(super) url_env: Option<String>,
    pub(super) tls: Option<RawStoreTls>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) max_connections: u32,
    pub(super) timeout: HumanDuration,
    pub(super) poll_interval: Option<HumanDuration>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) api_key_env: Option<String>,
    pub(super) replication_factor: Option<u32>,
    pub(super) settling: Option<HumanDuration>,
    pub(super) class_prefix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawStoreKind {
    Sqlite,
    Postgres,
    Weaviate,
    Files,
}

impl RawStoreKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Weaviate => "weaviate",
            Self::Files => "files",
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawStoreTls {
    Verify,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct RawWorkers(pub(super) Workers);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLog {
    pub(super) format: LogFormat,
    pub(super) level: LogFilter,
    pub(super) access: RawAccess,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAccess {
    pub(super) success: Share,
    pub(super) errors: Share,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCache {
    pub(super) capacity: u64,
    pub(super) soft_ttl: HumanDuration,
    pub(super) hard_ttl: HumanDuration,
    pub(super) negative_ttl: HumanDuration,
    pub(super) negative_capacity: u64,
    pub(super) load_timeout: HumanDuration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawUpstream {
    pub(super) connect_timeout: HumanDuration,
    pub(super) idle_timeout: HumanDuration,
    pub(super) max_idle_per_endpoint: u32,
    pub(super) max_idle: u32,
    pub(super) retry_window: ByteSize,
    pub(super) stream_idle_timeout: HumanDuration,
    pub(super) retry: RawRetry,
    pub(super) hedge: RawHedge,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRetry {
    pub(super) budget_ratio: Share,
    pub(super) budget_burst: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHedge {
    pub(super) enabled: bool,
    pub(super) min_delay: HumanDuration,
    pub(super) initial_delay: HumanDuration,
    pub(super) budget_ratio: Share,
    pub(super) budget_burst: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHealth {
    pub(super) max_concurrent_probes: u32,
    pub(super) ejection: RawEjection,
    pub(super) public_page: bool,
    pub(super) outliers: RawOutliers,
    pub(super) slow_start: HumanDuration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEjection {
    pub(super) consecutive_failures: u32,
    pub(super) base: HumanDuration,
    pub(super) max: HumanDuration,
    pub(super) max_ejected: Share,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOutliers {
    pub(super) window: HumanDuration,
    pub(super) min_requests: u32,
    pub(super) failure_ratio: Share,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHistory {
    pub(super) path: Option<PathBuf>,
    pub(super) write_interval: HumanDuration,
    pub(super) keep_for: HumanDuration,
    pub(super) max_changes_per_tenant: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMetrics {
    pub(super) max_tenants: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawShutdown {
    pub(super) delay: HumanDuration,
    pub(super) drain: HumanDuration,
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

impl Default for RawAdmin {
    fn default() -> Self {
        Self {
            token_file: None,
            token_env: None,
            operators: Vec::new(),
            jwt: RawIssuers::default(),
            max_failures_per_minute: 60,
            tls: None,
            argocd: RawArgocd::default(),
        }
    }
}

impl Default for RawAudit {
    fn default() -> Self {
        Self {
            log: RawAuditLog("none".into()),
        }
    }
}

impl Default for RawStore {
    fn default() -> Self {
        Self {
            kind: RawStoreKind::Sqlite,
            path: None,
            busy_timeout: HumanDuration::from_secs(1),
            url: None,
            url_file: None,
            url_env: None,
            tls: None,
            ca_file: None,
            max_connections: 8,
            timeout: HumanDuration::from_secs(2),
            poll_interval: None,
            api_key_file: None,
            api_key_env: None,
            replication_factor: None,
            settling: None,
            class_prefix: None,
        }
    }
}

impl Default for RawWorkers {
    fn default() -> Self {
        Self(Workers::Auto)
    }
}

impl Default for RawLog {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: LogFilter("info".into()),
            access: RawAccess::default(),
        }
    }
}

impl Default for RawAccess {
    fn default() -> Self {
        Self {
            success: Share(0.0),
            errors: Share(1.0),
        }
    }
}

impl Default for RawCache {
    fn default() -> Self {
        Self {
            capacity: 100_000,
            soft_ttl: HumanDuration::from_secs(30),
            hard_ttl: HumanDuration::from_secs(24 * 3600),
            negative_ttl: HumanDuration::from_secs(10),
            negative_capacity: 10_000,
            load_timeout: HumanDuration::from_secs(2),
        }
    }
}

impl Default for RawUpstream {
    fn default() -> Self {
        Self {
            connect_timeout: HumanDuration::from_secs(2),
            idle_timeout: HumanDuration::from_secs(50),
            max_idle_per_endpoint: 64,
            max_idle: 4096,
            retry_window: ByteSize(64 << 10),
            stream_idle_timeout: HumanDuration::from_secs(300),
            retry: RawRetry::default(),
            hedge: RawHedge::default(),
        }
    }
}

impl Default for RawRetry {
    fn default() -> Self {
        Self {
            budget_ratio: Share(0.2),
            budget_burst: 256,
        }
    }
}

impl Default for RawHedge {
    fn default() -> Self {
        Self {
            enabled: false,
            min_delay: HumanDuration::from_millis(5),
            initial_delay: HumanDuration::from_millis(100),
            budget_ratio: Share(0.1),
            budget_burst: 32,
        }
    }
}

impl Default for RawHealth {
    fn default() -> Self {
        Self {
            max_concurrent_probes: 64,
            ejection: RawEjection::default(),
            public_page: false,
            outliers: RawOutliers::default(),
            slow_start: HumanDuration::from_secs(0),
        }
    }
}

impl Default for RawEjection {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            base: HumanDuration::from_secs(1),
            max: HumanDuration::from_secs(30),
            max_ejected: Share(0.5),
        }
    }
}

impl Default for RawOutliers {
    fn default() -> Self {
        Self {
            window: HumanDuration::from_secs(10),
            min_requests: 100,
            failure_ratio: Share(0.5),
        }
    }
}

impl Default for RawHistory {
    fn default() -> Self {
        Self {
            path: None,
            write_interval: HumanDuration::from_secs(60),
            keep_for: HumanDuration::from_secs(30 * 24 * 3600),
            max_changes_per_tenant: 500,
        }
    }
}

impl Default for RawMetrics {
    fn default() -> Self {
        Self { max_tenants: 1000 }
    }
}

impl Default for RawShutdown {
    fn default() -> Self {
        Self {
            delay: HumanDuration::from_secs(0),
            drain: HumanDuration::from_secs(30),
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
