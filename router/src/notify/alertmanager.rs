//! What an Alertmanager has to be told: alerts that are new or different, those that are over, and
//! from time to time all that go on, as it forgets those nobody speaks of. Pure: sends nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::Instant;

use super::alert::{Alert, Fingerprint, Firing};

/// How often it is told of what goes on, as by Prometheus.
const REFRESH: Duration = Duration::from_mins(1);
/// After so long without a word it takes an alert for over: three messages may be lost.
const VALIDITY: SignedDuration = SignedDuration::from_secs(240);
/// Alerts in one message.
const BATCH: usize = 500;

/// What one Alertmanager knows.
#[derive(Debug)]
pub(super) struct Known {
    told: BTreeMap<Fingerprint, Arc<Alert>>,
    /// When each has to be told again.
    refresh: BTreeMap<Fingerprint, Instant>,
}

/// One message, and what is known when it has arrived.
#[derive(Debug)]
pub(super) struct Message {
    going_on: Vec<Arc<Alert>>,
    over: Vec<Arc<Alert>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
}

impl Known {
    pub(super) const fn nothing() -> Self {
        Self {
            told: BTreeMap::new(),
            refresh: BTreeMap::new(),
        }
    }

    /// The next message there is to send, if there is one.
    pub(super) fn due(&self, firing: &Firing, now: Instant) -> Option<Message> {
        let is_news = |(fingerprint, alert): &(&Fingerprint, &Arc<Alert>)| {
            self.told.get(fingerprint) != Some(alert)
                || self.refresh.get(fingerprint).is_none_or(|at| *at <= now)
        };
        let going_on: Vec<_> = all(firing)
            .filter(is_news)
            .take(BATCH)
            .map(|(_, alert)| alert.clone())
            .collect();
        let is_over = |alert: &&Arc<Alert>| !is_firing(firing, alert);
        let over = self.told.values().filter(is_over);
        let over: Vec<_> = over.take(BATCH - going_on.len()).cloned().collect();
        let message = Message { going_on, over };
        (!message.going_on.is_empty() || !message.over.is_empty()).then_some(message)
    }

    /// A message has arrived.
    pub(super) fn has(&mut self, message: Message, now: Instant) {
        for alert in message.going_on {
            let fingerprint = alert.fingerprint();
            self.refresh.insert(fingerprint, now + REFRESH);
            self.told.insert(fingerprint, alert);
        }
        for alert in message.over {
            let fingerprint = alert.fingerprint();
            self.refresh.remove(&fingerprint);
            self.told.remove(&fingerprint);
        }
    }

    /// When something has to be said though nothing is new.
    pub(super) fn next(&self) -> Option<Instant> {
        self.refresh.values().copied().min()
    }
}

impl Message {
    /// The message's text: a list of alerts, as `POST /api/v2/alerts` takes it.
    pub(super) fn body(&self, now: Timestamp) -> serde_json::Result<Vec<u8>> {
        let posted = |alert, ends_at| {
            let alert: &Arc<Alert> = alert;
            Posted {
                labels: &alert.labels,
                annotations: &alert.annotations,
                starts_at: alert.since,
                ends_at,
                generator_url: &alert.page,
            }
        };
        let going_on = self
            .going_on
            .iter()
            .map(|alert| posted(alert, now + VALIDITY));
        let over = self.over.iter().map(|alert| posted(alert, now));
        serde_json::to_vec(&going_on.chain(over).collect::<Vec<_>>())
    }
}

fn all(firing: &Firing) -> impl Iterator<Item = (&Fingerprint, &Arc<Alert>)> {
    firing.values().flatten()
}

fn is_firing(firing: &Firing, alert: &Alert) -> bool {
    let tenant = alert.labels.get("tenant");
    let of_tenant = tenant.and_then(|tenant| firing.get(tenant.as_str()));
    of_tenant.is_some_and(|alerts| alerts.contains_key(&alert.fingerprint()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::notify::alert::{firing, sample};

    const NOW: &str = "2026-11-28T12:10:00Z";

    fn body(message: &Message) -> Value {
        let bytes = message.body(NOW.parse().expect("a time")).expect("JSON");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn it_is_told_once_then_again_in_time_and_when_it_is_over() {
        let mut known = Known::nothing();
        let start = Instant::now();
        let acme = firing(&[sample("acme", "MiradorTenantDegraded")]);
        let first = known.due(&acme, start).expect("news");
        assert_eq!(
            body(&first),
            json!([{
                "labels": {"alertname": "MiradorTenantDegraded", "instance": "r1", "severity": "warning",
                           "signal": "metrics", "tenant": "acme", "tier": "pro"},
                "annotations": {"summary": "metrics degraded: a:1 refused connections"},
                "startsAt": "2026-11-28T12:03:00Z",
                "endsAt": "2026-11-28T12:14:00Z",
            }])
        );
        // Not before it has arrived.
        assert!(known.due(&acme, start).is_some());
        known.has(first, start);
        assert!(known.due(&acme, start).is_none());
        assert_eq!(known.next(), Some(start + REFRESH));

        let again = known.due(&acme, start + REFRESH).expect("in time");
        known.has(again, start + REFRESH);

        let over = known.due(&Firing::new(), start + REFRESH).expect("news");
        assert_eq!(body(&over)[0]["endsAt"], NOW);
        assert_eq!(body(&over)[0]["startsAt"], "2026-11-28T12:03:00Z");
        known.has(over, start + REFRESH);
        assert!(known.due(&Firing::new(), start + 2 * REFRESH).is_none());
        assert_eq!(known.next(), None);
    }

    /// What an Alertmanager missed while it was away is not news any more; how things are is.
    #[test]
    fn what_came_and_went_meanwhile_is_not_told() {
        let mut known = Known::nothing();
        let start = Instant::now();
        let degraded = firing(&[sample("acme", "MiradorTenantDegraded")]);
        let message = known.due(&degraded, start).expect("news");
        known.has(message, start);
        let worse = firing(&[sample("acme", "MiradorTenantUnhealthy")]);
        let message = known.due(&worse, start).expect("news");
        let names: Vec<_> = body(&message)
            .as_array()
            .expect("a list")
            .iter()
            .map(|alert| {
                (
                    alert["labels"]["alertname"].clone(),
                    alert["endsAt"].clone(),
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                (
                    json!("MiradorTenantUnhealthy"),
                    json!("2026-11-28T12:14:00Z")
                ),
                (json!("MiradorTenantDegraded"), json!(NOW)),
            ]
        );
    }

    #[test]
    fn many_alerts_go_in_several_messages_and_each_goes_once() {
        let mut known = Known::nothing();
        let start = Instant::now();
        let many: Vec<_> = (0..1200)
            .map(|n| sample(&format!("t{n}"), "MiradorTenantUnhealthy"))
            .collect();
        let many = firing(&many);
        let mut sizes = Vec::new();
        while let Some(message) = known.due(&many, start) {
            sizes.push(message.going_on.len());
            known.has(message, start);
        }
        assert_eq!(sizes, [500, 500, 200]);
        let over = known.due(&Firing::new(), start).expect("news");
        assert_eq!(over.over.len(), 500);
    }
}
