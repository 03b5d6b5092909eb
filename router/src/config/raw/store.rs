//! `store` and `cache` as they are written.

use std::path::PathBuf;

use serde::Deserialize;
use tenant_store::model::HumanDuration;

use crate::config::value::SecretText;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawStore {
    pub(in crate::config) kind: RawStoreKind,
    pub(in crate::config) path: Option<PathBuf>,
    pub(in crate::config) busy_timeout: HumanDuration,
    pub(in crate::config) url: Option<SecretText>,
    pub(in crate::config) url_file: Option<PathBuf>,
    pub(in crate::config) url_env: Option<String>,
    pub(in crate::config) tls: Option<RawStoreTls>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    pub(in crate::config) max_connections: u32,
    pub(in crate::config) timeout: HumanDuration,
    pub(in crate::config) poll_interval: Option<HumanDuration>,
    pub(in crate::config) api_key_file: Option<PathBuf>,
    pub(in crate::config) api_key_env: Option<String>,
    pub(in crate::config) replication_factor: Option<u32>,
    pub(in crate::config) settling: Option<HumanDuration>,
    pub(in crate::config) class_prefix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawStoreKind {
    Sqlite,
    Postgres,
    Weaviate,
    Files,
}

impl RawStoreKind {
    pub(in crate::config) const fn as_str(self) -> &'static str {
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
pub(in crate::config) enum RawStoreTls {
    Verify,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawCache {
    pub(in crate::config) capacity: u64,
    pub(in crate::config) soft_ttl: HumanDuration,
    pub(in crate::config) hard_ttl: HumanDuration,
    pub(in crate::config) negative_ttl: HumanDuration,
    pub(in crate::config) negative_capacity: u64,
    pub(in crate::config) load_timeout: HumanDuration,
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
