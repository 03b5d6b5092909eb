//! Waiting for an answer to begin, without being fooled by an endpoint that hangs.
//!
//! A request that waits unusually long asks for a probe of its endpoint. If that finds the
//! endpoint down, a request that may be sent elsewhere moves on at once instead of sitting out its
//! deadline.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use health::{Availability, EndpointHealth};
use tokio::time::Instant;

use crate::{
    clock::Clock,
    proxy::{body::Upload, patience::Patience},
};

/// How often a waiting request looks around.
const LOOK_AROUND: Duration = Duration::from_millis(250);
/// A wait that is worth a probe. Slow queries take that long too: a probe is cheap, and there is one a
/// second at most.
const UNUSUAL: Duration = Duration::from_millis(500);

/// What a request looks at while it waits.
pub(super) struct Waiting<'a, E, W> {
    pub(super) clock: &'a Clock,
    pub(super) began: Instant,
    pub(super) patience: Patience,
    pub(super) upload: &'a Rc<Upload>,
    pub(super) health: &'a EndpointHealth,
    /// Whether the request could go to another endpoint.
    pub(super) elsewhere: E,
    /// Whether the tenant is served no longer, or the key accepted.
    pub(super) withdrawn: W,
}

/// Why a wait was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GaveUp {
    /// The backend did not begin to answer in time.
    Late,
    /// The client did not send its body in time.
    SlowBody,
    /// The endpoint was found to be down, and there are others.
    EndpointDown,
    /// The tenant was suspended or deleted meanwhile.
    Withdrawn,
}

impl<E: Fn() -> bool, W: Fn() -> bool> Waiting<'_, E, W> {
    pub(super) async fn wait<T>(self, answer: impl Future<Output = T>) -> Result<T, GaveUp> {
        let mut answer = pin!(answer);
        let mut progress = Progress {
            bytes: self.upload.bytes(),
            at: self.began,
        };
        let mut alarm = self.clock.alarm(self.next_look(self.began, self.began));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            while alarm.poll(cx).is_ready() {
                let now = Instant::now();
                progress.note(self.upload, now);
                self.look_around(&progress, now)?;
                alarm.reset(self.next_look(progress.at, now));
            }
            Poll::Pending
        })
        .await
    }

    fn next_look(&self, progress: Instant, now: Instant) -> Instant {
        let look = now + LOOK_AROUND;
        self.patience
            .ends(progress)
            .map_or(look, |end| end.min(look))
    }

    fn look_around(&self, progress: &Progress, now: Instant) -> Result<(), GaveUp> {
        let out_of_patience = self
            .patience
            .ends(progress.at)
            .is_some_and(|end| end <= now);
        if out_of_patience {
            return Err(if self.upload.is_awaited() {
                GaveUp::SlowBody
            } else {
                GaveUp::Late
            });
        }
        if (self.withdrawn)() {
            return Err(GaveUp::Withdrawn);
        }
        if now - progress.at >= UNUSUAL && !self.upload.is_awaited() {
            self.health.suspect();
            if self.health.availability() == Availability::Down && (self.elsewhere)() {
                return Err(GaveUp::EndpointDown);
            }
        }
        Ok(())
    }
}

/// When the client's body last moved.
struct Progress {
    bytes: u64,
    at: Instant,
}

impl Progress {
    fn note(&mut self, upload: &Upload, now: Instant) {
        if upload.bytes() != self.bytes {
            *self = Self {
                bytes: upload.bytes(),
                at: now,
            };
        }
    }
}
