//! What is firing, and since when. Pure: knows no clock and no receivers.

use std::{collections::BTreeMap, sync::Arc};

use tenant_store::model::TenantId;

use super::alert::{Alert, Firing};

/// What is firing.
#[derive(Debug, Default)]
pub(super) struct Ledger(Firing);

impl Ledger {
    /// Notes all that is firing of a tenant. One that goes on began when it did; true if anything
    /// else is different.
    pub(super) fn set(&mut self, tenant: TenantId, alerts: Vec<Alert>) -> bool {
        let before = self.0.get(&tenant);
        let with_beginning = alerts.into_iter().map(|mut alert| {
            let fingerprint = alert.fingerprint();
            let known = before.and_then(|before| before.get(&fingerprint));
            let Some(known) = known else {
                return (fingerprint, Arc::new(alert));
            };
            alert.since = known.since;
            let alert = if alert == **known {
                known.clone()
            } else {
                Arc::new(alert)
            };
            (fingerprint, alert)
        });
        let after: BTreeMap<_, _> = with_beginning.collect();
        if before.map_or_else(|| after.is_empty(), |before| *before == after) {
            return false;
        }
        if after.is_empty() {
            self.0.remove(&tenant);
        } else {
            self.0.insert(tenant, after);
        }
        true
    }

    /// Of whom anything is firing.
    pub(super) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.0.keys()
    }

    /// All that is firing.
    pub(super) const fn firing(&self) -> &Firing {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::alert::sample;

    #[test]
    fn what_goes_on_began_when_it_did_and_is_no_news() {
        let mut ledger = Ledger::default();
        let acme: TenantId = "acme".parse().expect("an id");
        let first = sample("acme", "MiradorTenantDegraded");
        assert!(ledger.set(acme.clone(), vec![first.clone()]));

        let again = Alert {
            since: "2026-11-28T13:00:00Z".parse().expect("a time"),
            ..first.clone()
        };
        assert!(!ledger.set(acme.clone(), vec![again.clone()]));
        let mut other_words = again.clone();
        other_words
            .annotations
            .insert("summary".into(), "metrics degraded: b:1".into());
        assert!(ledger.set(acme.clone(), vec![other_words]));
        let kept = &ledger.firing()[&acme][&first.fingerprint()];
        assert_eq!(kept.since, first.since);
        assert!(kept.annotations["summary"].ends_with("b:1"));

        let worse = Alert {
            since: again.since,
            ..sample("acme", "MiradorTenantUnhealthy")
        };
        assert!(ledger.set(acme.clone(), vec![worse.clone()]));
        let of_acme = &ledger.firing()[&acme];
        assert_eq!(of_acme.len(), 1, "one took the place of the other");
        assert_eq!(of_acme[&worse.fingerprint()].since, again.since);

        assert!(ledger.set(acme.clone(), Vec::new()));
        assert!(!ledger.set(acme, Vec::new()));
        assert!(ledger.firing().is_empty());
    }
}
