//! `health` and `history` as they are written.

use std::path::PathBuf;

use serde::Deserialize;
use tenant_store::model::HumanDuration;

use crate::config::value::Share;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawHealth {
    pub(in crate::config) max_concurrent_probes: u32,
    pub(in crate::config) ejection: RawEjection,
    pub(in crate::config) public_page: bool,
    pub(in crate::config) outliers: RawOutliers,
    pub(in crate::config) slow_start: HumanDuration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawEjection {
    pub(in crate::config) consecutive_failures: u32,
    pub(in crate::config) base: HumanDuration,
    pub(in crate::config) max: HumanDuration,
    pub(in crate::config) max_ejected: Share,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawOutliers {
    pub(in crate::config) window: HumanDuration,
    pub(in crate::config) min_requests: u32,
    pub(in crate::config) failure_ratio: Share,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawHistory {
    pub(in crate::config) path: Option<PathBuf>,
    pub(in crate::config) write_interval: HumanDuration,
    pub(in crate::config) keep_for: HumanDuration,
    pub(in crate::config) max_changes_per_tenant: u32,
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
