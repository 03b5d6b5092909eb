//! What a webhook has to be told, in the form that Alertmanager posts: one message for each tenant
//! of which something begins or ends, not too often, and again after a while. Pure: sends nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use tenant_store::model::TenantId;
use tokio::time::Instant;
use url::Url;

use super::alert::{Alert, Fingerprint, Firing};

/// How often it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Between two messages about one tenant, at least.
    pub(super) interval: Duration,
    /// After which what goes on is told again.
    pub(super) repeat: Duration,
}

/// What one webhook knows, by tenant.
#[derive(Debug)]
pub(super) struct Known {
    pace: Pace,
    groups: BTreeMap<TenantId, Group>,
    /// The tenant whose message did not arrive: others come first.
    refused: Option<TenantId>,
}

/// What it knows of one tenant.
#[derive(Debug)]
struct Group {
    firing: BTreeMap<Fingerprint, Arc<Alert>>,
    told_at: Instant,
}

/// One message, and what is known when it has arrived.
#[derive(Debug)]
pub(super) struct Message {
    tenant: TenantId,
    firing: BTreeMap<Fingerprint, Arc<Alert>>,
    resolved: BTreeMap<Fingerprint, Arc<Alert>>,
}

/// What Alertmanager posts, version 4.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: u32,
    status: &'static str,
    receiver: &'static str,
    group_labels: BTreeMap<&'static str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<PostedAlert<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PostedAlert<'a> {
    status: &'static str,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
    starts_at: Timestamp,
    /// The year 1 if it is not over, as Go has it.
    ends_at: Timestamp,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: Fingerprint,
}

impl Known {
    pub(super) const fn nothing(pace: Pace) -> Self {
        Self {
            pace,
            groups: BTreeMap::new(),
            refused: None,
        }
    }

    /// The next message there is to send, if there is one.
    pub(super) fn due(&self, firing: &Firing, now: Instant) -> Option<Message> {
        let begun = firing
            .keys()
            .filter(|tenant| !self.groups.contains_key(*tenant));
        let is_due = |tenant: &&TenantId| {
            let moment = self.moment(tenant, firing, now);
            moment.is_some_and(|at| at <= now)
        };
        let refused = self.refused.as_ref();
        let mut others = begun
            .chain(self.groups.keys())
            .filter(|tenant| Some(*tenant) != refused);
        let due = others.find(is_due).or_else(|| refused.filter(is_due))?;
        let current = firing.get(due).cloned().unwrap_or_default();
        let mut resolved = self
            .groups
            .get(due)
            .map_or_else(BTreeMap::new, |group| group.firing.clone());
        resolved.retain(|fingerprint, _| !current.contains_key(fingerprint));
        Some(Message {
            tenant: due.clone(),
            firing: current,
            resolved,
        })
    }

    /// A message has not arrived.
    pub(super) fn has_not(&mut self, message: Message) {
        self.refused = Some(message.tenant);
    }

    /// A message has arrived.
    pub(super) fn has(&mut self, message: Message, now: Instant) {
        let group = Group {
            firing: message.firing,
            told_at: now,
        };
        self.groups.insert(message.tenant, group);
        // Those that are over are kept for as long as they delay what begins anew.
        let interval = self.pace.interval;
        self.groups
            .retain(|_, group| !group.firing.is_empty() || group.told_at + interval > now);
    }

    /// When something has to be said next.
    pub(super) fn next(&self, firing: &Firing, now: Instant) -> Option<Instant> {
        let tenants = firing.keys().chain(self.groups.keys());
        let moments = tenants.filter_map(|tenant| self.moment(tenant, firing, now));
        moments.min()
    }

    /// When a tenant has to be spoken of. At once, if it never was.
    fn moment(&self, tenant: &TenantId, firing: &Firing, now: Instant) -> Option<Instant> {
        let current = firing.get(tenant);
        let Some(Group { firing, told_at }) = self.groups.get(tenant) else {
            return current.map(|_| now);
        };
        let is_same = match current {
            Some(current) => current.keys().eq(firing.keys()),
            None => firing.is_empty(),
        };
        match (is_same, current) {
            (false, _) => Some(*told_at + self.pace.interval),
            (true, Some(_)) => Some(*told_at + self.pace.repeat),
            (true, None) => None,
        }
    }
}

impl Message {
    /// The message's text.
    pub(super) fn body(&self, now: Timestamp, page: Option<&Url>) -> serde_json::Result<Vec<u8>> {
        const NOT_OVER: &str = "0001-01-01T00:00:00Z";
        let not_over: Timestamp = NOT_OVER.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let firing = self.firing.iter();
        let firing = firing.map(|(key, alert)| posted(*key, alert, "firing", not_over));
        let resolved = self.resolved.iter();
        let resolved = resolved.map(|(key, alert)| posted(*key, alert, "resolved", now));
        let all = || self.firing.values().chain(self.resolved.values());
        let tenant = self.tenant.as_str();
        let posted = Posted {
            version: "4",
            group_key: format!("{{}}:{{tenant=\"{tenant}\"}}"),
            truncated_alerts: 0,
            status: if self.firing.is_empty() {
                "resolved"
            } else {
                "firing"
            },
            receiver: "mirador",
            group_labels: BTreeMap::from([("tenant", tenant)]),
            common_labels: common(all().map(|alert| &alert.labels)),
            common_annotations: common(all().map(|alert| &alert.annotations)),
            external_url: page.map_or("", Url::as_str),
            alerts: firing.chain(resolved).collect(),
        };
        serde_json::to_vec(&posted)
    }
}

fn posted<'a>(
    fingerprint: Fingerprint,
    alert: &'a Alert,
    status: &'static str,
    ends_at: Timestamp,
) -> PostedAlert<'a> {
    PostedAlert {
        status,
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: alert.since,
        ends_at,
        generator_url: &alert.page,
        fingerprint,
    }
}

/// What all of them say.
fn common<'a>(
    mut maps: impl Iterator<Item = &'a BTreeMap<String, String>>,
) -> BTreeMap<&'a str, &'a str> {
    let Some(first) = maps.next() else {
        return BTreeMap::new();
    };
    let mut common: BTreeMap<&str, &str> = first
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    for map in maps {
        common.retain(|key, value| map.get(*key).is_some_and(|other| other == value));
    }
    common
}

#[cfg(test)]
mod tests;
