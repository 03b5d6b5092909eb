//! Every endpoint that is being watched, by the port it is on.
//!
//! Nearly all ports have one endpoint, so that one costs no more than its entry; with the second
//! a port becomes a [`Site`].

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Weak},
};

use crate::{
    endpoint::EndpointHealth,
    site::Site,
    target::{ByIdentity, ByPort, Target},
};

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Registry {
    ports: HashMap<ByPort, Port>,
    endpoints: usize,
}

/// Who is on a port.
#[derive(Debug)]
enum Port {
    /// One endpoint, whose target is the entry's key.
    One(Weak<EndpointHealth>),
    Site(Arc<Site>),
}

impl Registry {
    /// How many there are.
    pub(super) fn endpoints(&self) -> usize {
        self.endpoints
    }

    /// The endpoint that an equal target is watched as.
    pub(super) fn get(&self, target: &Arc<Target>) -> Option<Arc<EndpointHealth>> {
        let by_identity = ByIdentity(Arc::clone(target));
        let (key, port) = self.ports.get_key_value(&ByPort(Arc::clone(target)))?;
        match port {
            Port::One(health) if ByIdentity(Arc::clone(&key.0)) == by_identity => health.upgrade(),
            Port::One(_) => None,
            Port::Site(site) => site.get(&by_identity),
        }
    }

    /// Adds one that isn't there. The neighbour that is given back must not be dropped before the
    /// registry is unlocked: if it is the last, it removes itself.
    pub(super) fn insert(
        &mut self,
        target: Arc<Target>,
        health: &Arc<EndpointHealth>,
    ) -> Option<Arc<EndpointHealth>> {
        self.endpoints += 1;
        let mut entry = match self.ports.entry(ByPort(Arc::clone(&target))) {
            Entry::Vacant(entry) => {
                entry.insert(Port::One(Arc::downgrade(health)));
                return None;
            }
            Entry::Occupied(entry) => entry,
        };
        let key = ByIdentity(target);
        let alone = match entry.get() {
            Port::Site(site) => {
                self.endpoints -= usize::from(site.join(key, health));
                health.settle(site);
                return None;
            }
            Port::One(alone) => alone.upgrade(),
        };
        let Some(alone) = alone else {
            // Nobody holds it any more; it finds itself replaced when it goes.
            self.endpoints -= 1;
            entry.remove();
            self.ports
                .insert(ByPort(key.0), Port::One(Arc::downgrade(health)));
            return None;
        };
        let site = Arc::new(Site::default());
        site.begin(alone.probed());
        site.join(ByIdentity(Arc::clone(&entry.key().0)), &alone);
        site.join(key, health);
        alone.settle(&site);
        health.settle(&site);
        entry.insert(Port::Site(site));
        Some(alone)
    }

    /// Removes one that nobody holds, unless another has taken its place.
    pub(super) fn remove(&mut self, target: &Arc<Target>) {
        let Entry::Occupied(entry) = self.ports.entry(ByPort(Arc::clone(target))) else {
            return;
        };
        let (removed, empty) = match entry.get() {
            Port::One(health) => {
                let unheld = health.strong_count() == 0;
                (unheld, unheld)
            }
            Port::Site(site) => {
                let (removed, left) = site.leave(&ByIdentity(Arc::clone(target)));
                (removed, !left)
            }
        };
        self.endpoints -= usize::from(removed);
        if empty {
            entry.remove();
        }
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<EndpointHealth>> {
        let mut all = Vec::with_capacity(self.endpoints);
        for port in self.ports.values() {
            match port {
                Port::One(health) => all.extend(health.upgrade()),
                Port::Site(site) => all.extend(site.members()),
            }
        }
        all
    }
}
