//! All tenants at a glance: which are meant, in which order, and where a page ends.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use jiff::Timestamp;
use tenant_store::{
    cache::Entry,
    model::{Signal, TenantId, Tier},
};

use super::{condition::Condition, sight, view::Counts};
use crate::proxy::route::TenantRoute;

/// Which tenants are meant, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only those in one of these conditions; all if there is none. With a signal, in that signal's
    /// condition.
    pub conditions: Vec<Condition>,
    /// Only those of these tiers; all if there is none.
    pub tiers: Vec<Tier>,
    /// Only those with a deployment for it, by whose condition they are then judged and ordered.
    pub signal: Option<Signal>,
    /// Only those with this in their id or display name, whatever the case.
    pub search: Option<String>,
    /// In which order.
    pub order: Order,
    /// So many at most.
    pub limit: usize,
    /// Only those after this place.
    pub after: Option<Cursor>,
}

impl Default for Filter {
    /// The worst hundred of all.
    fn default() -> Self {
        Self {
            conditions: Vec::new(),
            tiers: Vec::new(),
            signal: None,
            search: None,
            order: Order::Worst,
            limit: 100,
            after: None,
        }
    }
}

/// Which tenants come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The worst, equals by id.
    #[default]
    Worst,
    /// By id, however they are.
    Id,
}

/// A place in the list of tenants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    rank: u8,
    score: u8,
    tenant: TenantId,
}

impl Cursor {
    fn of(condition: Condition, score: Option<u8>, tenant: TenantId) -> Self {
        Self {
            rank: condition.rank(),
            score: score.unwrap_or(100),
            tenant,
        }
    }
}

impl Cursor {
    fn of_id(tenant: TenantId) -> Self {
        Self {
            rank: 0,
            score: 0,
            tenant,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.rank, self.score, self.tenant)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next();
        let parsed = (|| {
            Some(Self {
                rank: next()?.parse().ok()?,
                score: next()?.parse().ok()?,
                tenant: next()?.parse().ok()?,
            })
        })();
        parsed.ok_or_else(|| "expected the `next` of a page before".to_owned())
    }
}

/// One page of the tenants that are meant, and how all of them do.
pub(super) struct Page {
    pub(super) counts: Counts,
    pub(super) entries: Vec<Arc<Entry<TenantRoute>>>,
    pub(super) next: Option<Cursor>,
}

/// Looks at every tenant once, with atomic loads only, and keeps no more than a page of them.
pub(super) fn page(
    entries: impl Iterator<Item = Arc<Entry<TenantRoute>>>,
    filter: &Filter,
    now: Timestamp,
) -> Page {
    let search = filter.search.as_deref().map(str::to_lowercase);
    let mut counts = Counts::default();
    let mut worst = BTreeMap::new();
    let mut more = false;
    for entry in entries {
        let route = entry.route();
        if !is_meant(route, filter, search.as_deref()) {
            continue;
        }
        let (condition, score) = judged(route, filter.signal, now);
        counts.count(condition);
        if !filter.conditions.is_empty() && !filter.conditions.contains(&condition) {
            continue;
        }
        let place = match filter.order {
            Order::Worst => Cursor::of(condition, score, entry.id().clone()),
            Order::Id => Cursor::of_id(entry.id().clone()),
        };
        if filter.after.as_ref().is_some_and(|after| place <= *after) {
            continue;
        }
        let is_full = worst.len() >= filter.limit;
        if is_full
            && worst
                .last_key_value()
                .is_some_and(|(last, _)| place > *last)
        {
            more = true;
            continue;
        }
        worst.insert(place, entry);
        if worst.len() > filter.limit {
            worst.pop_last();
            more = true;
        }
    }
    let last = worst.last_key_value().map(|(place, _)| place.clone());
    Page {
        counts,
        entries: worst.into_values().collect(),
        next: last.filter(|_| more),
    }
}

fn is_meant(route: &TenantRoute, filter: &Filter, search: Option<&str>) -> bool {
    let of_tier = || filter.tiers.is_empty() || filter.tiers.contains(&route.tier().name);
    let of_signal = || {
        filter
            .signal
            .is_none_or(|signal| route.deployment(signal).is_some())
    };
    let found = || {
        search.is_none_or(|search| {
            let shown = route.display_name();
            route.id().as_str().contains(search)
                || shown.is_some_and(|name| name.to_lowercase().contains(search))
        })
    };
    of_tier() && of_signal() && found()
}

fn judged(route: &TenantRoute, signal: Option<Signal>, now: Timestamp) -> (Condition, Option<u8>) {
    let (condition, score) = match signal.and_then(|signal| route.deployment(signal)) {
        Some(deployment) => sight::of_deployment(deployment),
        None => sight::of_tenant(route),
    };
    let condition = sight::set_by_operators(route, now).unwrap_or(condition);
    (condition, score)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages go from the worst to the best, and a cursor is read back as it was written.
    #[test]
    fn places_are_ordered_from_worst_to_best() {
        let id = |text: &str| text.parse::<TenantId>().expect("an id");
        let places = [
            Cursor::of(Condition::Unhealthy, Some(0), id("zeta")),
            Cursor::of(Condition::Degraded, Some(50), id("zeta")),
            Cursor::of(Condition::Degraded, Some(70), id("acme")),
            Cursor::of(Condition::Maintenance, Some(100), id("acme")),
            Cursor::of(Condition::Unknown, None, id("acme")),
            Cursor::of(Condition::Healthy, Some(100), id("acme")),
            Cursor::of(Condition::Healthy, Some(100), id("globex")),
            Cursor::of(Condition::Suspended, Some(0), id("acme")),
        ];
        assert!(places.is_sorted());
        for place in places {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for faulty in ["", "1", "1.2", "a.b.acme", "0.0.NO"] {
            assert!(faulty.parse::<Cursor>().is_err(), "{faulty:?}");
        }
    }
}
