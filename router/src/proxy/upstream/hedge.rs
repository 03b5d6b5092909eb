//! Reads that are late: a second endpoint is asked as well, and whichever answers first is the one.
//!
//! Off by default. Where it is on, it never makes an answer worse: what the first endpoint says is
//! taken as without it, what the second says only if it is an answer of substance. An endpoint that
//! is overtaken again and again without a word of its own counts as failing, as one that hangs does
//! not fail otherwise; so those that follow go elsewhere at once instead of waiting to be hedged.

use std::{future::poll_fn, ops::ControlFlow, pin::pin, task::Poll, time::Duration};

use health::{Availability, Failure};
use http::{StatusCode, response::Parts};
use tokio::time::{Instant, timeout_at};

use super::{Failed, Forwarding, Lease};
use crate::{
    config::HedgePolicy,
    proxy::{account::Exchange, body::RequestBody, classify::Operation, pick::Tried},
    telemetry::Hedge,
};

/// How soon a read asks again that found no second endpoint, or was denied it.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// What became of a read that may be hedged.
pub(super) struct Raced {
    /// Whether a second endpoint was asked.
    pub(super) hedged: bool,
    /// The endpoints that need not be tried again.
    pub(super) tried: Tried,
    /// When the second one was asked, if it was.
    pub(super) second_began: Instant,
    pub(super) end: Ended,
}

pub(super) enum Ended {
    /// The first endpoint's answer, or its failure; the second one's, if any, is dealt with.
    First(Result<(Parts, Lease), Failed>),
    /// The answer of the second one, at this position.
    Second(usize, (Parts, Lease), Passed),
}

/// What the first endpoint did when the second one answered.
pub(super) enum Passed {
    /// Nothing.
    Silent,
    /// It failed before.
    Failed(Failed),
}

/// Who could be asked as well.
enum Second {
    /// The endpoint at this position.
    At(usize),
    /// Nobody is up that has not been asked.
    Nobody,
    /// Somebody is, but the budget is spent.
    Denied,
}

impl Forwarding<'_> {
    /// Whether a request may be sent to two endpoints at a time, and how.
    pub(super) fn hedge_policy(&self, body: &RequestBody) -> Option<HedgePolicy> {
        let policy = self.settings.hedge?;
        let is_safe = self.operation == Operation::Read
            && self.deployment.endpoints().len() > 1
            && !matches!(body, RequestBody::Stream { .. });
        is_safe.then_some(policy)
    }

    /// Sends a read to the endpoint at `first`, and to a second one if no answer begins in time.
    pub(super) async fn race(
        &self,
        first: usize,
        body: RequestBody,
        mut tried: Tried,
        began: Instant,
        exchange: &Exchange,
        policy: HedgePolicy,
    ) -> Raced {
        let spare = body.again();
        let endpoint = &self.deployment.endpoints()[first];
        let mut ahead = pin!(self.attempt(endpoint, body, tried, began, exchange));
        let mut due = began + self.deployment.hedge_delay(policy);
        let mut denied = false;
        let (second, spare) = loop {
            if let Ok(outcome) = timeout_at(due, &mut ahead).await {
                if outcome.is_ok() {
                    self.deployment.observe_read(began.elapsed());
                }
                return Raced {
                    hedged: false,
                    tried,
                    second_began: began,
                    end: Ended::First(outcome),
                };
            }
            match (self.second(first, tried, policy), &spare) {
                (Second::At(second), Some(spare)) => break (second, spare.again()),
                (Second::Denied, _) if !denied => {
                    denied = true;
                    self.counts.worker.hedged(Hedge::Denied);
                }
                _ => {}
            }
            due = Instant::now() + ASK_AGAIN;
        };
        tried.mark(second);
        let started = Instant::now();
        let other = &self.deployment.endpoints()[second];
        let body = spare.unwrap_or(RequestBody::Empty);
        let mut behind = pin!(self.attempt(other, body, tried, started, exchange));
        let mut failed = None;
        let mut is_alone = false;
        let end = poll_fn(|cx| {
            if failed.is_none()
                && let Poll::Ready(outcome) = ahead.as_mut().poll(cx)
            {
                match outcome {
                    Err(cause) if !is_alone => failed = Some(cause),
                    outcome => return Poll::Ready(Ended::First(outcome)),
                }
            }
            if !is_alone && let Poll::Ready(outcome) = behind.as_mut().poll(cx) {
                match self.overtake(second, outcome, failed.is_some(), exchange) {
                    ControlFlow::Break(answer) => {
                        let first = failed.take().map_or(Passed::Silent, Passed::Failed);
                        return Poll::Ready(Ended::Second(second, answer, first));
                    }
                    ControlFlow::Continue(()) => is_alone = true,
                }
                if let Some(failed) = failed.take() {
                    return Poll::Ready(Ended::First(Err(failed)));
                }
            }
            Poll::Pending
        })
        .await;
        self.conclude(&end, is_alone, began, started);
        Raced {
            hedged: true,
            tried,
            second_began: started,
            end,
        }
    }

    /// The endpoint to ask as well, if there is one and it may be asked.
    fn second(&self, first: usize, tried: Tried, policy: HedgePolicy) -> Second {
        let endpoints = self.deployment.endpoints();
        let is_up =
            |position: usize| endpoints[position].health().availability() == Availability::Up;
        let Some(second) = self.deployment.pick(tried, false).filter(|p| is_up(*p)) else {
            return Second::Nobody;
        };
        let now = Instant::now();
        // Where the first one is out of use by now, this is no hedge but what is done for all whose
        // endpoint fails: it goes by the same budget.
        let allowed = if is_up(first) {
            self.deployment.may_hedge(policy, now)
        } else {
            self.deployment.may_retry(self.settings.retry, now)
        };
        if allowed {
            Second::At(second)
        } else {
            Second::Denied
        }
    }

    /// Takes the second endpoint's answer, unless the first one may still give a better one.
    fn overtake(
        &self,
        second: usize,
        outcome: Result<(Parts, Lease), Failed>,
        is_last: bool,
        exchange: &Exchange,
    ) -> ControlFlow<(Parts, Lease)> {
        let endpoint = &self.deployment.endpoints()[second];
        match outcome {
            Ok(answer) if is_last || is_of_substance(answer.0.status) => ControlFlow::Break(answer),
            Ok((head, _)) => {
                self.judge(endpoint, second, head.status);
                ControlFlow::Continue(())
            }
            Err(failed) => {
                Self::blame(endpoint, &failed.cause, exchange);
                ControlFlow::Continue(())
            }
        }
    }

    /// Counts how it ended, and what is learned of how long answers take.
    fn conclude(&self, end: &Ended, second_failed: bool, began: Instant, started: Instant) {
        self.counts.worker.hedged(match end {
            Ended::Second(..) => Hedge::Won,
            Ended::First(_) if second_failed => Hedge::Failed,
            Ended::First(_) => Hedge::Lost,
        });
        match end {
            Ended::First(Ok(_)) => self.deployment.observe_read(began.elapsed()),
            Ended::First(Err(_)) => {}
            Ended::Second(_, _, passed) => {
                self.deployment.observe_read(started.elapsed());
                if matches!(passed, Passed::Silent) {
                    self.deployment.observe_read(began.elapsed());
                }
            }
        }
    }

    /// What it says of an endpoint's health that another one, asked later, answered first.
    pub(super) fn passed_over(
        &self,
        first: usize,
        passed: &Passed,
        began: Instant,
        exchange: &Exchange,
    ) {
        let endpoint = &self.deployment.endpoints()[first];
        match passed {
            Passed::Silent => {
                // It would have taken longer; so much is known.
                self.observe(endpoint, StatusCode::OK, began);
                endpoint.health().report_failure(Failure::Outpaced);
            }
            Passed::Failed(failed) => Self::blame(endpoint, &failed.cause, exchange),
        }
    }
}

/// Whether an answer is more than a refusal that another endpoint might not have given.
fn is_of_substance(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}
