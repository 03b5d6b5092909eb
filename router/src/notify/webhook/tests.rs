use serde_json::{Value, json};

use super::*;
use crate::notify::alert::{firing, sample};

const NOW: &str = "2026-11-28T12:10:00Z";
const MINUTE: Duration = Duration::from_mins(1);
const PACE: Pace = Pace {
    interval: MINUTE,
    repeat: Duration::from_hours(4),
};

fn body(message: &Message) -> Value {
    let page = Url::parse("https://mirador.example/").expect("a URL");
    let bytes = message.body(NOW.parse().expect("a time"), Some(&page));
    serde_json::from_slice(&bytes.expect("JSON")).expect("JSON")
}

fn degraded(tenant: &str) -> Alert {
    sample(tenant, "MiradorTenantDegraded")
}

fn unhealthy(tenant: &str) -> Alert {
    sample(tenant, "MiradorTenantUnhealthy")
}

/// Takes all messages that are due, and tells whom they are about, with their status.
fn messages(known: &mut Known, firing: &Firing, now: Instant) -> Vec<(String, String, usize)> {
    let mut messages = Vec::new();
    while let Some(message) = known.due(firing, now) {
        let body = body(&message);
        messages.push((
            message.tenant.to_string(),
            body["status"].as_str().expect("text").to_owned(),
            body["alerts"].as_array().expect("a list").len(),
        ));
        known.has(message, now);
    }
    messages
}

fn told(tenant: &str, status: &str, alerts: usize) -> (String, String, usize) {
    (tenant.into(), status.into(), alerts)
}

#[test]
fn a_message_is_what_alertmanager_posts() {
    let known = Known::nothing(PACE);
    let both = firing(&[degraded("acme")]);
    let message = known.due(&both, Instant::now()).expect("news");
    let body = body(&message);
    let labels = json!({"alertname": "MiradorTenantDegraded", "instance": "r1", "severity": "warning",
                        "signal": "metrics", "tenant": "acme", "tier": "pro"});
    let annotations = json!({"summary": "metrics degraded: a:1 refused connections"});
    assert_eq!(
        body,
        json!({
            "version": "4",
            "groupKey": "{}:{tenant=\"acme\"}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "mirador",
            "groupLabels": {"tenant": "acme"},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "https://mirador.example/",
            "alerts": [{
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2026-11-28T12:03:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": degraded("acme").fingerprint(),
            }],
        })
    );
}

#[test]
fn each_tenant_is_a_group_and_is_told_once() {
    let mut known = Known::nothing(PACE);
    let start = Instant::now();
    let mut logs = degraded("acme");
    logs.labels.insert("signal".into(), "logs".into());
    let alerts = firing(&[degraded("acme"), logs, unhealthy("globex")]);
    assert_eq!(
        messages(&mut known, &alerts, start),
        [told("acme", "firing", 2), told("globex", "firing", 1)]
    );
    assert_eq!(messages(&mut known, &alerts, start + MINUTE), []);
    // Other words are no news.
    let mut other = degraded("acme");
    other.annotations.insert("summary".into(), "other".into());
    let mut changed = alerts.clone();
    let acme: TenantId = "acme".parse().expect("an id");
    let of_acme: &mut BTreeMap<_, _> = changed.get_mut(&acme).expect("it is there");
    of_acme.insert(other.fingerprint(), Arc::new(other));
    assert_eq!(messages(&mut known, &changed, start + MINUTE), []);

    assert_eq!(known.next(&alerts, start), Some(start + PACE.repeat));
    assert_eq!(
        messages(&mut known, &alerts, start + PACE.repeat),
        [told("acme", "firing", 2), told("globex", "firing", 1)]
    );
}

#[test]
fn what_gets_worse_or_better_is_told_in_one_message_and_not_too_soon() {
    let mut known = Known::nothing(PACE);
    let start = Instant::now();
    messages(&mut known, &firing(&[degraded("acme")]), start);

    let worse = firing(&[unhealthy("acme")]);
    let soon = start + MINUTE / 2;
    assert_eq!(messages(&mut known, &worse, soon), []);
    assert_eq!(known.next(&worse, soon), Some(start + MINUTE));
    let message = known.due(&worse, start + MINUTE).expect("news");
    let posted = body(&message);
    assert_eq!(posted["status"], "firing");
    assert_eq!(posted["commonLabels"].get("alertname"), None);
    assert_eq!(
        posted["alerts"][0]["labels"]["alertname"],
        "MiradorTenantUnhealthy"
    );
    assert_eq!(posted["alerts"][1]["status"], "resolved");
    assert_eq!(posted["alerts"][1]["endsAt"], NOW);
    known.has(message, start + MINUTE);

    let over = start + 2 * MINUTE;
    assert_eq!(
        messages(&mut known, &Firing::new(), over),
        [told("acme", "resolved", 1)]
    );
    assert_eq!(messages(&mut known, &Firing::new(), over + 9 * MINUTE), []);
}

/// A tenant that flaps is told of once in an interval, and nothing at all if it is as it was.
#[test]
fn flapping_is_told_at_most_once_in_an_interval() {
    let mut known = Known::nothing(PACE);
    let start = Instant::now();
    let ill = firing(&[degraded("acme")]);
    let mut all = Vec::new();
    for second in 0..120 {
        let now = start + Duration::from_secs(second);
        let state = if second % 7 < 3 { &ill } else { &Firing::new() };
        all.extend(messages(&mut known, state, now));
    }
    assert_eq!(all.len(), 2, "{all:?}");
}

/// A message that is never taken must not keep those of other tenants back.
#[test]
fn a_message_that_does_not_arrive_lets_others_go_first() {
    let mut known = Known::nothing(PACE);
    let start = Instant::now();
    let alerts = firing(&[degraded("acme"), degraded("globex")]);
    let first = known.due(&alerts, start).expect("news");
    assert_eq!(first.tenant.as_str(), "acme");
    known.has_not(first);
    let second = known.due(&alerts, start).expect("news");
    assert_eq!(second.tenant.as_str(), "globex");
    known.has(second, start);
    let again = known.due(&alerts, start).expect("still to be told");
    assert_eq!(again.tenant.as_str(), "acme");
}

/// Whatever a webhook missed, in the end it knows what is firing.
#[test]
fn a_webhook_that_was_away_is_told_what_is_over() {
    let mut known = Known::nothing(PACE);
    let start = Instant::now();
    messages(
        &mut known,
        &firing(&[degraded("acme"), degraded("globex")]),
        start,
    );
    // Hours pass in which nothing arrives.
    let later = start + Duration::from_hours(3);
    assert_eq!(
        messages(&mut known, &firing(&[degraded("initech")]), later),
        [
            told("initech", "firing", 1),
            told("acme", "resolved", 1),
            told("globex", "resolved", 1),
        ]
    );
    messages(&mut known, &Firing::new(), later + MINUTE);
    messages(&mut known, &firing(&[degraded("last")]), later + 3 * MINUTE);
    assert_eq!(
        known.groups.len(),
        1,
        "nothing is kept of those that are over"
    );
}
