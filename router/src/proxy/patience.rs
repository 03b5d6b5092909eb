//! How long a request may take, by what kind of operation it is.

use std::time::Duration;

use tokio::time::Instant;

/// How long an answer may take once it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until then, all told.
    Until(Instant),
    /// As long as it is not silent for longer than this.
    Idle(Duration),
    /// For ever: only a dead peer ends it.
    Endless,
}

impl Patience {
    /// When it ends, if the last frame came at `last_frame`; `None` if it does not.
    pub fn ends(self, last_frame: Instant) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::Idle(limit) => Some(last_frame + limit),
            Self::Endless => None,
        }
    }
}
