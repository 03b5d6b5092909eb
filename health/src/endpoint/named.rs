//! What an endpoint at one of the addresses of a name has to do with that name.

use std::sync::Arc;

use super::EndpointHealth;
use crate::{target::Target, transition::Availability};

impl EndpointHealth {
    /// What is watched.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// One that went out of use may be somewhere else by now.
    pub(super) fn doubt_name(&self, to: Availability) {
        if let (Availability::Down | Availability::Ejected, Some(name)) = (to, &self.target.of) {
            name.doubt();
        }
    }
}
