//! Whose a count is: the tenant's own, or one that many share, so that labels stay bounded.

use std::collections::HashSet;

use parking_lot::Mutex;
use tenant_store::model::TenantId;

use super::{OVERFLOW_TENANT, UNKNOWN_TENANT};

/// What a tenant is called in metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// There was no room for its own.
    Overflow,
    /// There is no such tenant.
    Unknown,
    /// Its id.
    Own(TenantId),
}

/// Hands out tenant labels while there is room.
#[derive(Debug)]
pub(super) struct TenantLabels {
    most: usize,
    seen: Mutex<HashSet<TenantId>>,
}

impl Label {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Overflow => OVERFLOW_TENANT,
            Self::Unknown => UNKNOWN_TENANT,
            Self::Own(tenant) => tenant.as_str(),
        }
    }
}

impl TenantLabels {
    pub(super) fn new(most: usize) -> Self {
        let seen = Mutex::default();
        Self { most, seen }
    }

    /// The tenants that have labels of their own, unless all of so many can. Only use gives one: a
    /// tenant that is never asked takes nobody's place.
    pub(super) fn given_among(&self, known: u64) -> Option<Vec<TenantId>> {
        let room_for_all = usize::try_from(known).is_ok_and(|known| known <= self.most);
        (!room_for_all).then(|| self.seen.lock().iter().cloned().collect())
    }

    pub(super) fn label(&self, tenant: &TenantId) -> Label {
        let mut seen = self.seen.lock();
        if seen.contains(tenant) || (seen.len() < self.most && seen.insert(tenant.clone())) {
            Label::Own(tenant.clone())
        } else {
            Label::Overflow
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_beyond_the_limit_share_one_label() {
        let labels = TenantLabels::new(2);
        let ids: [TenantId; 3] = ["t1", "t2", "t3"].map(|id| id.parse().expect("a tenant id"));
        let given = ids.each_ref().map(|id| labels.label(id));
        let texts = given.each_ref().map(Label::as_str);
        assert_eq!(texts, ["t1", "t2", OVERFLOW_TENANT]);
        assert_eq!(labels.label(&ids[0]), given[0], "a label once given stays");
        assert_eq!(labels.given_among(2), None, "there is room for both");
        let mut given = labels.given_among(3).expect("no room for a third");
        given.sort_unstable();
        assert_eq!(given, ids[..2]);
    }
}
