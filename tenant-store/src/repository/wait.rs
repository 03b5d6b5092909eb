//! How whoever follows the changes of a store waits for the next one, whichever store it is.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{ChangeCursor, Changes};

/// One wait for changes, from the first look to the end of patience.
pub(super) struct Wait {
    ends: Instant,
    stirred: watch::Receiver<()>,
    look_every: Duration,
}

impl Wait {
    /// Begun before the first look, so that what is written in between is not slept through.
    /// `look_every` is how long it sleeps at most while nobody says that something has stirred.
    pub(super) fn begin(
        stirred: &watch::Sender<()>,
        patience: Duration,
        look_every: Duration,
    ) -> Self {
        Self {
            ends: Instant::now() + patience,
            stirred: stirred.subscribe(),
            look_every,
        }
    }

    /// Whether a look has found something, or has to do for want of patience. If not, waits until
    /// it is time for another.
    pub(super) async fn is_over(&mut self, found: &Changes, after: ChangeCursor) -> bool {
        let left = self.ends.saturating_duration_since(Instant::now());
        if found.next > after || left.is_zero() {
            return true;
        }
        // Woken or not, there is another look.
        let _ = timeout(self.look_every.min(left), self.stirred.changed()).await;
        false
    }
}
