//! The vocabulary of health: what an endpoint is, what requests report, why it changed.
//!
//! Plain values only; the rules that lead from one to the next are in `machine`.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Serialize;

use crate::probe::ProbeFailure;

/// What the request path may do with an endpoint.
///
/// Ordered from best to worst, so that candidates can be sorted by it.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Availability {
    /// Use it. Also the state of an endpoint nothing is known about yet.
    Up = 0,
    /// The back-off is over and no probe can decide: one live request may try.
    HalfOpen = 1,
    /// Live requests failed in a row; still reachable as a last resort.
    Ejected = 2,
    /// Nothing can be sent there.
    Down = 3,
}

impl Availability {
    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::HalfOpen => "half_open",
            Self::Ejected => "ejected",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a live request failed through the endpoint's own fault.
///
/// A client that left, or a deadline that the client chose itself, is nobody's failure and must
/// not be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It answered 502 or 504.
    BadGateway,
    /// No connection could be made: refused, unreachable, connect deadline, TLS handshake. Not for
    /// want of something on our side, such as file descriptors.
    Connect,
    /// It was silent while another endpoint, which was asked later, answered the same request.
    Outpaced,
    /// What it sent isn't HTTP, or broke the framing.
    Protocol,
    /// A fresh connection was closed or reset before the reply was complete.
    Reset,
    /// No reply head, or no progress, within the deadline.
    Timeout,
    /// It answered 503: perhaps broken, perhaps only overloaded. Weighs less than the others.
    Unavailable,
}

impl Failure {
    /// The failure that an answer's status stands for, if it is one of the endpoint.
    ///
    /// 429 and other 5xx are answers, not failures: a query that a backend can't run says nothing
    /// about the backend.
    pub fn from_status(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(Self::BadGateway),
            StatusCode::SERVICE_UNAVAILABLE => Some(Self::Unavailable),
            _ => None,
        }
    }

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadGateway => "bad_gateway",
            Self::Connect => "connect",
            Self::Outpaced => "outpaced",
            Self::Protocol => "protocol",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an endpoint is in the state it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The back-off ran out and there is no probe to ask.
    BackOffOver,
    /// A probe failed, the last of as many as it takes.
    ProbeFailed(ProbeFailure),
    /// Too many of the requests of a window failed.
    Outlier {
        /// So many.
        failed: u32,
        /// Of so many.
        of: u32,
    },
    /// Probes succeeded, as many as it takes.
    ProbesSucceeded,
    /// A live request failed, the last of as many as it takes.
    RequestFailed(Failure),
    /// The trial request succeeded.
    TrialSucceeded,
    /// Nothing has happened since it is being watched.
    Watched,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackOffOver => f.write_str("back-off over, awaiting a trial request"),
            Self::Outlier { failed, of } => {
                write!(f, "{failed} of {of} live requests failed")
            }
            Self::ProbeFailed(failure) => write!(f, "probe failed: {failure}"),
            Self::ProbesSucceeded => f.write_str("probes succeeded"),
            Self::RequestFailed(failure) => write!(f, "live request failed: {failure}"),
            Self::TrialSucceeded => f.write_str("trial request succeeded"),
            Self::Watched => f.write_str("nothing known yet"),
        }
    }
}

/// One change of an endpoint's availability.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The endpoint's name as given in [`Target::name`](crate::Target::name).
    pub endpoint: Arc<str>,
    /// What it was.
    pub from: Availability,
    /// What it is now.
    pub to: Availability,
    /// What made the difference.
    pub reason: Reason,
    /// When, by the wall clock.
    pub at: Timestamp,
}
