//! `notify` as it is written.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use tenant_store::model::{HumanDuration, Tier};

use crate::config::{
    notify::{NotableCondition, ReceiverKind},
    value::SecretText,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawNotify {
    pub(in crate::config) receivers: Vec<RawReceiver>,
    pub(in crate::config) conditions: Vec<NotableCondition>,
    pub(in crate::config) tiers: Vec<Tier>,
    pub(in crate::config) labels: BTreeMap<String, String>,
    pub(in crate::config) instance: Option<String>,
    pub(in crate::config) wait: HumanDuration,
    pub(in crate::config) interval: HumanDuration,
    pub(in crate::config) repeat: HumanDuration,
    pub(in crate::config) page_url: Option<String>,
}

/// The URL is a secret, as that of a webhook often is one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawReceiver {
    pub(in crate::config) kind: ReceiverKind,
    #[serde(default)]
    pub(in crate::config) url: Option<SecretText>,
    #[serde(default)]
    pub(in crate::config) url_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) url_env: Option<String>,
    #[serde(default)]
    pub(in crate::config) token_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) token_env: Option<String>,
    #[serde(default)]
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(default = "ten_seconds")]
    pub(in crate::config) timeout: HumanDuration,
}

fn ten_seconds() -> HumanDuration {
    HumanDuration::from_secs(10)
}

impl Default for RawNotify {
    fn default() -> Self {
        Self {
            receivers: Vec::new(),
            conditions: vec![NotableCondition::Unhealthy, NotableCondition::Degraded],
            tiers: Vec::new(),
            labels: BTreeMap::new(),
            instance: None,
            wait: HumanDuration::from_secs(10),
            interval: HumanDuration::from_secs(60),
            repeat: HumanDuration::from_secs(4 * 3600),
            page_url: None,
        }
    }
}
