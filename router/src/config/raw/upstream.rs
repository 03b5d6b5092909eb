//! `upstream` and `dns` as they are written: how endpoints are found and asked.

use serde::Deserialize;
use tenant_store::model::HumanDuration;

use crate::config::value::{Address, ByteSize, Share};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawUpstream {
    pub(in crate::config) connect_timeout: HumanDuration,
    pub(in crate::config) idle_timeout: HumanDuration,
    pub(in crate::config) max_idle_per_endpoint: u32,
    pub(in crate::config) max_idle: u32,
    pub(in crate::config) retry_window: ByteSize,
    pub(in crate::config) stream_idle_timeout: HumanDuration,
    pub(in crate::config) retry: RawRetry,
    pub(in crate::config) hedge: RawHedge,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawRetry {
    pub(in crate::config) budget_ratio: Share,
    pub(in crate::config) budget_burst: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawHedge {
    pub(in crate::config) enabled: bool,
    pub(in crate::config) min_delay: HumanDuration,
    pub(in crate::config) initial_delay: HumanDuration,
    pub(in crate::config) budget_ratio: Share,
    pub(in crate::config) budget_burst: u32,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawDns {
    pub(in crate::config) refresh: HumanDuration,
    pub(in crate::config) timeout: HumanDuration,
    pub(in crate::config) family: RawFamily,
    pub(in crate::config) servers: Vec<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawFamily {
    Auto,
    Ipv4,
    Ipv6,
}

impl Default for RawDns {
    fn default() -> Self {
        Self {
            refresh: HumanDuration::from_secs(30),
            timeout: HumanDuration::from_secs(5),
            family: RawFamily::Auto,
            servers: Vec::new(),
        }
    }
}
