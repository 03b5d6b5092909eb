//! One signal of one tenant that is not well, in the terms of Alertmanager.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tenant_store::model::{Signal, TenantId};
use url::Url;

use crate::{
    config::NotifySettings,
    standing::{Condition, DeploymentHealth, TenantHealth},
};

/// What is firing, by tenant.
pub(super) type Firing = BTreeMap<TenantId, BTreeMap<Fingerprint, Arc<Alert>>>;

/// One signal of one tenant that is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) since: Timestamp,
    /// Where there is more to see; empty if nobody said.
    pub(super) page: String,
}

/// Tells alerts apart: a digest of the labels, the one that Alertmanager makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fingerprint(u64);

impl Alert {
    pub(super) fn of(
        health: &TenantHealth,
        signal: Signal,
        deployment: &DeploymentHealth,
        settings: &NotifySettings,
    ) -> Self {
        let (name, severity) = match deployment.condition {
            Condition::Unhealthy => ("MiradorTenantUnhealthy", "critical"),
            _ => ("MiradorTenantDegraded", "warning"),
        };
        let mut labels = settings.labels.clone();
        let own = [
            ("alertname", name),
            ("instance", &settings.instance),
            ("severity", severity),
            ("signal", signal.as_str()),
            ("tenant", health.tenant.as_str()),
            ("tier", health.tier.as_str()),
        ];
        labels.extend(own.map(|(label, value)| (label.to_owned(), value.to_owned())));
        Self {
            labels,
            annotations: annotations(health, deployment),
            since: Timestamp::now(),
            page: settings
                .page_url
                .as_ref()
                .map_or_else(String::new, |url| page(url, &health.tenant)),
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.labels)
    }
}

fn annotations(health: &TenantHealth, deployment: &DeploymentHealth) -> BTreeMap<String, String> {
    let name = health.display_name.as_deref();
    let name = name.unwrap_or(health.tenant.as_str());
    let mut annotations = BTreeMap::new();
    let mut say = |key: &str, text: String| annotations.insert(key.to_owned(), text);
    say("summary", format!("{name}: {}", deployment.sentence));
    let sentences = deployment.endpoints.iter();
    let sentences: Vec<&str> = deployment
        .fault
        .as_deref()
        .into_iter()
        .chain(sentences.filter_map(|endpoint| endpoint.sentence.as_deref()))
        .collect();
    if !sentences.is_empty() {
        say("description", sentences.join("\n"));
    }
    if !deployment.served_by.is_empty() {
        say("served_by", deployment.served_by.join(", "));
    }
    annotations
}

/// The tenant's page below the one that health pages begin at.
fn page(base: &Url, tenant: &TenantId) -> String {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments
            .pop_if_empty()
            .extend(["health", "tenants", tenant.as_str()]);
    }
    url.into()
}

impl Fingerprint {
    /// FNV-1a over names and values in the order of the names, each followed by a byte that no
    /// UTF-8 text has.
    fn of(labels: &BTreeMap<String, String>) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let texts = labels.iter().flat_map(|(name, value)| [name, value]);
        let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
        Self(bytes.fold(OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        }))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An alert of a tenant's metrics, for tests.
#[cfg(test)]
pub(super) fn sample(tenant: &str, name: &str) -> Alert {
    let text = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    Alert {
        labels: text(&[
            ("alertname", name),
            ("instance", "r1"),
            ("severity", "warning"),
            ("signal", "metrics"),
            ("tenant", tenant),
            ("tier", "pro"),
        ]),
        annotations: text(&[("summary", "metrics degraded: a:1 refused connections")]),
        since: "2026-11-28T12:03:00Z".parse().expect("a time"),
        page: String::new(),
    }
}

/// What is firing, for tests: each of these, under its tenant.
#[cfg(test)]
pub(super) fn firing(alerts: &[Alert]) -> Firing {
    let mut firing = Firing::new();
    for alert in alerts {
        let tenant = alert.labels["tenant"].parse().expect("an id");
        let of_tenant = firing.entry(tenant).or_default();
        of_tenant.insert(alert.fingerprint(), Arc::new(alert.clone()));
    }
    firing
}
