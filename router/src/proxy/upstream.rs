//! The attempt loop: pick an endpoint, send, and if that fails decide whether to move on.
//!
//! What may be sent again is decided by what is known to have happened: a connection that could not
//! be made, or a request handed back unwritten, moves on always; a request that may have reached a
//! backend moves on only if it is a read, no byte of an answer has come, and the retry budget
//! allows it.

mod connect;
mod hedge;
mod http1;
mod lease;
mod pool;
mod stream;
mod wait;

use std::{io, time::Duration};

use health::Failure;
use http::{StatusCode, response::Parts};
use tenant_store::model::EndpointProtocol;
use tokio::time::Instant;

use super::{
    account::Exchange,
    body::RequestBody,
    classify::Operation,
    error::ProxyError,
    patience::Patience,
    pick::Tried,
    rewrite::Forward,
    route::{DeploymentRoute, EndpointRoute, Upstream},
};
use crate::{
    clock::Clock,
    config::UpstreamSettings,
    telemetry::{LocalCounts, WorkerCounts},
};

pub(crate) use connect::OnThisWorker;
use hedge::{Ended, Passed};
use lease::Unsent;
use wait::GaveUp;

pub use http1::WireError;
pub use lease::{Lease, UpstreamError};
pub use pool::{Pool, PoolLimits};

/// What an attempt needs beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Forwarding<'a> {
    /// The worker's connections.
    pub pool: &'a Pool,
    /// Timeouts and limits.
    pub settings: &'a UpstreamSettings,
    /// The worker's clock.
    pub clock: &'a Clock,
    /// Where it is counted what becomes of it.
    pub counts: Counts<'a>,
    /// The client's head, as any of the tenant's backends may see it.
    pub forward: &'a Forward<'a>,
    /// The tenant's backends.
    pub deployment: &'a DeploymentRoute,
    /// What kind of request it is.
    pub operation: Operation,
    /// Whether it is gRPC, which only some endpoints may speak.
    pub grpc: bool,
    /// How long the answer may take to begin.
    pub patience: Patience,
}

/// Where this worker counts connections and answers.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'a> {
    /// Whoever's.
    pub worker: &'a WorkerCounts,
    /// The tenant's, for this signal.
    pub tenant: &'a LocalCounts,
}

/// Why one attempt came to nothing.
struct Failed {
    cause: Cause,
    /// The request's body, if it may be sent again.
    again: Option<RequestBody>,
    /// Whether the backend may have seen it.
    was_sent: bool,
}

enum Cause {
    Connect(io::Error),
    Broken(UpstreamError),
    /// The client broke off or dawdled, or the backend did not answer in time.
    Wait(GaveUp),
    /// The target does not fit below the endpoint's base path.
    TooLong,
    /// The backend answered 101 unasked.
    Switched,
}

impl Forwarding<'_> {
    /// Sends a request to one endpoint after another until one begins to answer.
    ///
    /// # Errors
    /// None did: the last endpoint's failure, or that there was none to try.
    pub async fn send(
        self,
        mut body: RequestBody,
        exchange: &mut Exchange,
    ) -> Result<(Parts, Lease), ProxyError> {
        let mut now = exchange.began();
        let mut tried = self.deployment.unfit(self.grpc);
        let mut last = ProxyError::NoEndpoint(self.deployment.signal());
        while let Some(position) = self.deployment.pick(tried, self.operation.is_repeatable()) {
            tried.mark(position);
            let endpoint = &self.deployment.endpoints()[position];
            if !may_try(endpoint) {
                continue;
            }
            if endpoint.health().availability() == health::Availability::Ejected {
                self.counts.worker.picked_ejected();
            }
            if self.patience.ends(now).is_some_and(|end| end <= now) {
                return Err(self.error(Cause::Wait(GaveUp::Late), exchange));
            }
            exchange.attempt(position);
            let outcome = match self.hedge_policy(&body) {
                None => self.attempt(endpoint, body, tried, now, exchange).await,
                Some(policy) => {
                    // Boxed, as it would make the future of every request larger.
                    let race = self.race(position, body, tried, now, exchange, policy);
                    let raced = Box::pin(race).await;
                    tried = raced.tried;
                    match raced.end {
                        Ended::First(outcome) => {
                            if raced.hedged {
                                exchange.hedged();
                            }
                            outcome
                        }
                        Ended::Second(second, answer, passed) => {
                            self.passed_over(position, &passed, now, exchange);
                            match passed {
                                Passed::Silent => exchange.overtaken_by(second),
                                Passed::Failed(_) => exchange.attempt(second),
                            }
                            let endpoint = &self.deployment.endpoints()[second];
                            self.observe(endpoint, answer.0.status, raced.second_began);
                            self.judge(endpoint, second, answer.0.status);
                            return Ok(answer);
                        }
                    }
                }
            };
            match outcome {
                Ok(answer) => {
                    self.observe(endpoint, answer.0.status, now);
                    self.judge(endpoint, position, answer.0.status);
                    return Ok(answer);
                }
                Err(failed) => {
                    Self::blame(endpoint, &failed.cause, exchange);
                    last = self.error(failed.cause, exchange);
                    match failed.again {
                        Some(again) if !failed.was_sent || self.may_resend(tried) => {
                            body = again;
                            now = Instant::now();
                        }
                        _ => return Err(last),
                    }
                }
            }
        }
        Err(last)
    }

    /// One endpoint's try: on a connection that is there, else on a new one. A connection that
    /// turns out to have been closed meanwhile says nothing of the endpoint.
    async fn attempt(
        &self,
        endpoint: &EndpointRoute,
        mut body: RequestBody,
        tried: Tried,
        began: Instant,
        exchange: &Exchange,
    ) -> Result<(Parts, Lease), Failed> {
        let upstream = endpoint.upstream();
        let peer = upstream.peer();
        if let Some(lease) = self.pool.checkout(peer) {
            self.counts.worker.reused();
            match self
                .deliver(lease, upstream, body, tried, began, exchange)
                .await
            {
                Err(Failed {
                    cause: Cause::Broken(_),
                    again: Some(again),
                    was_sent,
                }) if !was_sent || peer.protocol() == EndpointProtocol::Http1 => {
                    self.pool.forget(peer);
                    body = again;
                }
                outcome => return outcome,
            }
        }
        // Boxed, as what is rare would make every request's future larger.
        match Box::pin(self.pool.open(peer, self.connect_limit())).await {
            Ok(lease) => {
                self.counts.worker.opened();
                let began = Instant::now();
                self.deliver(lease, upstream, body, tried, began, exchange)
                    .await
            }
            Err(error) => Err(Failed {
                cause: Cause::Connect(error),
                again: Some(body),
                was_sent: false,
            }),
        }
    }

    /// Sends a request on a connection and waits until its answer begins.
    async fn deliver(
        &self,
        mut lease: Lease,
        upstream: &Upstream,
        body: RequestBody,
        tried: Tried,
        began: Instant,
        exchange: &Exchange,
    ) -> Result<(Parts, Lease), Failed> {
        if self.deployment.counts_load() {
            lease.counted(upstream.health().count_request());
        }
        let spare = if self.operation.is_repeatable() {
            body.again()
        } else {
            None
        };
        let waiting = wait::Waiting {
            clock: self.clock,
            began,
            patience: self.patience,
            upload: exchange.upload(),
            health: upstream.health(),
            elsewhere: || spare.is_some() && self.deployment.pick(tried, false).is_some(),
            withdrawn: || exchange.is_withdrawn(),
        };
        let answer = lease.send(self.forward, upstream.addressee(), body);
        match waiting.wait(answer).await {
            Ok(Ok(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => Err(Failed {
                cause: Cause::Switched,
                again: None,
                was_sent: true,
            }),
            Ok(Ok(head)) => Ok((head, lease)),
            Ok(Err(Unsent::TooLong)) => Err(Failed {
                cause: Cause::TooLong,
                again: None,
                was_sent: false,
            }),
            Ok(Err(Unsent::Failed { error, returned })) => Err(Failed {
                was_sent: returned.is_none(),
                cause: Cause::Broken(error),
                again: returned.or(spare),
            }),
            Err(gave_up) => Err(Failed {
                // A request that moves on has time left; one that is late has none.
                again: spare.filter(|_| gave_up == GaveUp::EndpointDown),
                cause: Cause::Wait(gave_up),
                was_sent: true,
            }),
        }
    }

    fn may_resend(&self, tried: Tried) -> bool {
        let elsewhere = self.deployment.pick(tried, false).is_some();
        let allowed = elsewhere
            && self
                .deployment
                .may_retry(self.settings.retry, Instant::now());
        if elsewhere && !allowed {
            self.counts.worker.retry_denied();
        }
        allowed
    }

    /// How long an answer took to begin, where endpoints are picked by it. What is refused says
    /// nothing, nor does a body that the client takes its time to send.
    fn observe(&self, endpoint: &EndpointRoute, status: StatusCode, began: Instant) {
        let says = self.operation == Operation::Read && !status.is_server_error();
        if says && self.deployment.goes_by_time() {
            endpoint.health().observe_latency(began.elapsed());
        }
    }

    /// What an answer says of its endpoint's health.
    fn judge(&self, endpoint: &EndpointRoute, position: usize, status: StatusCode) {
        self.counts.tenant.answered(position, status.as_u16());
        match Failure::from_status(status) {
            Some(failure) => endpoint.health().report_failure(failure),
            // A bounded answer speaks for its endpoint once it is whole.
            None if matches!(self.patience, Patience::Until(_)) => {}
            None => endpoint.health().report_success(),
        }
    }

    /// What a failure says of the endpoint's health: nothing, if the client is to blame. A query
    /// that takes too long may be to blame itself, so that calls for a probe where there is one.
    fn blame(endpoint: &EndpointRoute, cause: &Cause, exchange: &Exchange) {
        let health = endpoint.health();
        let failure = match cause {
            _ if exchange.upload().is_broken() => return,
            Cause::Connect(error) if is_our_own_want(error) => return,
            Cause::Connect(_) => Failure::Connect,
            Cause::Broken(error) if error.is_parse() => Failure::Protocol,
            Cause::Broken(_) => Failure::Reset,
            Cause::Wait(GaveUp::Late) if health.is_probed() => return health.suspect(),
            Cause::Wait(GaveUp::Late) => Failure::Timeout,
            Cause::Wait(GaveUp::SlowBody | GaveUp::EndpointDown | GaveUp::Withdrawn)
            | Cause::TooLong => return,
            Cause::Switched => Failure::Protocol,
        };
        health.report_failure(failure);
        tracing::debug!(endpoint = endpoint.name(), ?failure, "attempt failed");
    }

    fn error(&self, cause: Cause, exchange: &Exchange) -> ProxyError {
        let signal = self.deployment.signal();
        match cause {
            _ if exchange.upload().is_broken() => ProxyError::ClientGone,
            Cause::Connect(source) => ProxyError::Unreachable { signal, source },
            Cause::Broken(source) if source.is_parse() => {
                ProxyError::ProtocolFault { signal, source }
            }
            Cause::Broken(source) => ProxyError::BrokenOff { signal, source },
            Cause::Wait(GaveUp::Late) => ProxyError::UpstreamTimeout {
                signal,
                limit: self.limit(),
            },
            Cause::Wait(GaveUp::SlowBody) => ProxyError::SlowBody {
                limit: self.limit(),
            },
            Cause::Wait(GaveUp::EndpointDown) => ProxyError::NoEndpoint(signal),
            Cause::Wait(GaveUp::Withdrawn) => ProxyError::Withdrawn,
            Cause::TooLong => ProxyError::TargetTooLong,
            Cause::Switched => ProxyError::ProtocolSwitch(signal),
        }
    }

    /// How long a connection may take: not longer than the request has left.
    fn connect_limit(&self) -> Duration {
        let limit = self.settings.connect_timeout;
        match self.patience {
            Patience::Until(end) => limit.min(end.saturating_duration_since(Instant::now())),
            Patience::Idle(_) | Patience::Endless => limit,
        }
    }

    /// The deadline that binds the request, for people to read.
    fn limit(&self) -> Duration {
        match self.patience {
            Patience::Idle(limit) => limit,
            Patience::Until(_) | Patience::Endless => self.deployment.timeout(),
        }
    }
}

/// Whether a picked endpoint is ours to try: of a half-open one, only one request at a time is.
fn may_try(endpoint: &EndpointRoute) -> bool {
    endpoint.health().availability() != health::Availability::HalfOpen
        || endpoint.health().try_trial()
}

/// Whether a connection failed for want of something on this side: file descriptors or ports.
fn is_our_own_want(error: &io::Error) -> bool {
    // EMFILE and ENFILE have no kind of their own.
    const OUT_OF_DESCRIPTORS: [i32; 2] = [24, 23];
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error
            .raw_os_error()
            .is_some_and(|code| OUT_OF_DESCRIPTORS.contains(&code))
}
