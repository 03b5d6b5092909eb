//! Who is told of changes of tenants' health, of which, and how soon.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::Deserialize;
use tenant_store::model::Tier;
use url::Url;

use super::value::Secret;

/// The labels that every alert has; others must not take their places.
pub(super) const LABELS_OF_ALERTS: [&str; 6] = [
    "alertname",
    "instance",
    "severity",
    "signal",
    "tenant",
    "tier",
];

/// Who is told of changes of tenants' health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    /// Whom; nobody if there is none.
    pub receivers: Vec<ReceiverConfig>,
    /// Which conditions of a deployment are worth telling.
    pub conditions: Vec<NotableCondition>,
    /// The tiers whose tenants are told of; all if there is none.
    pub tiers: Vec<Tier>,
    /// Labels that each alert has beside its own.
    pub labels: BTreeMap<String, String>,
    /// What this router calls itself.
    pub instance: String,
    /// For how long a tenant is watched after a change before its condition counts.
    pub wait: Duration,
    /// Between two messages about one tenant to a webhook.
    pub interval: Duration,
    /// After which a webhook is told again of what has not changed.
    pub repeat: Duration,
    /// Where people find this router's health pages.
    pub page_url: Option<Url>,
}

/// A condition of a deployment that is worth telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotableCondition {
    /// Requests find no endpoint.
    Unhealthy,
    /// Requests are served, but not by all that should.
    Degraded,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// What it understands.
    pub kind: ReceiverKind,
    /// Where messages are posted to.
    pub url: ReceiverUrl,
    /// Sent as a bearer token.
    pub token: Option<Secret>,
    /// Whose certificates are believed, instead of those the system believes.
    pub ca_file: Option<PathBuf>,
    /// For one message to be taken.
    pub timeout: Duration,
}

/// What a receiver understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverKind {
    /// The API of Alertmanager, which groups, silences and repeats by itself.
    Alertmanager,
    /// What Alertmanager posts to webhooks.
    Webhook,
}

impl ReceiverKind {
    /// The name used in the configuration and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Webhook => "webhook",
        }
    }
}

/// A URL whose path may be a secret: shown as scheme, host and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiverUrl(pub(super) Url);

impl ReceiverUrl {
    /// All of it, for posting to.
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/***")
    }
}

#[cfg(test)]
impl ReceiverConfig {
    /// A receiver for tests.
    pub(crate) fn at(kind: ReceiverKind, url: &str) -> Self {
        Self {
            kind,
            url: ReceiverUrl(url.parse().expect("a URL")),
            token: None,
            ca_file: None,
            timeout: Duration::from_secs(5),
        }
    }
}
