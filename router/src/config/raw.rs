//! `mirador.yaml` as it is written, with its defaults. What the values must be to each other is
//! decided in [`super::build`].
//!
//! Every field here has a row in `docs/config.md`; a test compares the two.

mod admin;
mod health;
mod identify;
mod listen;
mod notify;
mod store;
mod upstream;

use std::path::PathBuf;

use serde::Deserialize;
use tenant_store::model::HumanDuration;

pub(super) use self::{
    admin::{RawAdmin, RawArgocd, RawAudit, RawAuditLog, RawCertificate, RawKeys, RawOperator},
    health::{RawHealth, RawHistory},
    identify::{
        RawAuthentication, RawIdentify, RawIssuer, RawIssuers, RawOperatorIssuer, RawTrust,
    },
    listen::{
        LongListener, RawClientCertificates, RawLimits, RawListen, RawListener, RawListeners,
        RawTls,
    },
    notify::{RawNotify, RawReceiver},
    store::{RawCache, RawStore, RawStoreKind, RawStoreTls},
    upstream::{RawDns, RawFamily, RawHedge, RawUpstream},
};
use super::value::{LogFilter, LogFormat, Network, Share, Workers};

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
    pub(super) dns: RawDns,
    pub(super) health: RawHealth,
    pub(super) history: RawHistory,
    pub(super) metrics: RawMetrics,
    pub(super) notify: RawNotify,
    pub(super) shutdown: RawShutdown,
    pub(super) tenants: Vec<PathBuf>,
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
pub(super) struct RawMetrics {
    pub(super) max_tenants: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawShutdown {
    pub(super) delay: HumanDuration,
    pub(super) drain: HumanDuration,
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
