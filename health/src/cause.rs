//! Why an endpoint is as it is, in one of a few words for labels and in a phrase for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    probe::ProbeFailure,
    transition::{Failure, Reason},
};

/// Why an endpoint is as it is: few enough for a metric's label.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The back-off ran out; a trial request decides.
    BackOffOver,
    /// Live requests were answered 502 or 504.
    BadGateway,
    /// Live requests could not connect.
    Connect,
    /// Deep checks found something.
    Findings,
    /// Nothing has happened yet.
    None,
    /// It failed clearly more often than its peers.
    Outlier,
    /// The answer to a probe did not have the expected body.
    ProbeBody,
    /// A probe could not connect, or met a connection without an HTTP answer.
    ProbeConnect,
    /// A probe was answered with an unexpected status.
    ProbeStatus,
    /// A probe was not answered in time.
    ProbeTimeout,
    /// A probe could not agree on TLS.
    ProbeTls,
    /// Probes succeeded.
    ProbesSucceeded,
    /// Live requests met something that is not HTTP.
    Protocol,
    /// Connections of live requests were broken off.
    Reset,
    /// Live requests were not answered in time.
    Timeout,
    /// A trial request succeeded.
    TrialSucceeded,
    /// Live requests were answered 503.
    Unavailable,
}

impl Cause {
    /// Every cause there is.
    pub const ALL: [Self; 17] = [
        Self::BackOffOver,
        Self::BadGateway,
        Self::Connect,
        Self::Findings,
        Self::None,
        Self::Outlier,
        Self::ProbeBody,
        Self::ProbeConnect,
        Self::ProbeStatus,
        Self::ProbeTimeout,
        Self::ProbeTls,
        Self::ProbesSucceeded,
        Self::Protocol,
        Self::Reset,
        Self::Timeout,
        Self::TrialSucceeded,
        Self::Unavailable,
    ];

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackOffOver => "back_off_over",
            Self::BadGateway => "bad_gateway",
            Self::Connect => "connect",
            Self::Findings => "findings",
            Self::None => "none",
            Self::Outlier => "outlier",
            Self::ProbeBody => "probe_body",
            Self::ProbeConnect => "probe_connect",
            Self::ProbeStatus => "probe_status",
            Self::ProbeTimeout => "probe_timeout",
            Self::ProbeTls => "probe_tls",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::Protocol => "protocol",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::TrialSucceeded => "trial_succeeded",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::BadGateway => Self::BadGateway,
            Failure::Connect => Self::Connect,
            Failure::Protocol => Self::Protocol,
            Failure::Reset => Self::Reset,
            Failure::Timeout => Self::Timeout,
            Failure::Unavailable => Self::Unavailable,
        }
    }
}

impl Failure {
    /// What the endpoint did, to follow its name: "answered 503".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::BadGateway => "answered 502 or 504",
            Self::Connect => "could not be connected to",
            Self::Protocol => "sent what is not HTTP",
            Self::Reset => "broke connections off",
            Self::Timeout => "did not answer in time",
            Self::Unavailable => "answered 503",
        }
    }
}

impl Reason {
    /// The reason in one of a few words.
    pub fn cause(&self) -> Cause {
        match self {
            Self::BackOffOver => Cause::BackOffOver,
            Self::ProbeFailed(failure) => match failure {
                ProbeFailure::Body(_) => Cause::ProbeBody,
                ProbeFailure::Broken(_) | ProbeFailure::Connect(_) => Cause::ProbeConnect,
                ProbeFailure::Redirected | ProbeFailure::Status(_) => Cause::ProbeStatus,
                ProbeFailure::Timeout(_) => Cause::ProbeTimeout,
                ProbeFailure::Tls(_) => Cause::ProbeTls,
            },
            Self::ProbesSucceeded => Cause::ProbesSucceeded,
            Self::RequestFailed(failure) => (*failure).into(),
            Self::TrialSucceeded => Cause::TrialSucceeded,
            Self::Watched => Cause::None,
        }
    }

    /// What the endpoint did, to follow its name: "refused connections".
    pub fn phrase(&self) -> String {
        match self {
            Self::BackOffOver => "awaits a trial request".into(),
            Self::ProbeFailed(failure) => match failure {
                ProbeFailure::Connect(error) if error.contains("refused") => {
                    "refused connections".into()
                }
                ProbeFailure::Connect(error) => format!("could not be connected to ({error})"),
                ProbeFailure::Broken(_) => "closed the connection of probes".into(),
                ProbeFailure::Redirected => "redirected probes elsewhere".into(),
                ProbeFailure::Status(status) => format!("answered probes with {status}"),
                ProbeFailure::Body(_) => "answered probes without what is expected".into(),
                ProbeFailure::Timeout(_) => "did not answer probes in time".into(),
                ProbeFailure::Tls(_) => "could not agree on TLS with probes".into(),
            },
            Self::ProbesSucceeded => "answered probes again".into(),
            Self::RequestFailed(failure) => failure.phrase().into(),
            Self::TrialSucceeded => "answered a trial request".into(),
            Self::Watched => "has not been heard from".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Labels are what JSON says, each once.
    #[test]
    fn names_are_those_of_json() {
        let mut names: Vec<_> = Cause::ALL.map(Cause::as_str).into();
        for cause in Cause::ALL {
            let json = serde_json::to_string(&cause).unwrap();
            assert_eq!(json, format!("\"{cause}\""));
        }
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
    }

    /// A phrase goes on where the endpoint's name ends.
    #[test]
    fn reasons_are_told_as_people_would() {
        let refused = ProbeFailure::Connect("Connection refused (os error 111)".into());
        for (reason, cause, phrase) in [
            (
                Reason::ProbeFailed(refused),
                Cause::ProbeConnect,
                "refused connections",
            ),
            (
                Reason::ProbeFailed(ProbeFailure::Connect("no such host".into())),
                Cause::ProbeConnect,
                "could not be connected to (no such host)",
            ),
            (
                Reason::ProbeFailed(ProbeFailure::Timeout(Duration::from_secs(5))),
                Cause::ProbeTimeout,
                "did not answer probes in time",
            ),
            (
                Reason::ProbeFailed(ProbeFailure::Status(503)),
                Cause::ProbeStatus,
                "answered probes with 503",
            ),
            (
                Reason::RequestFailed(Failure::Unavailable),
                Cause::Unavailable,
                "answered 503",
            ),
        ] {
            assert_eq!(
                (reason.cause(), reason.phrase()),
                (cause, phrase.to_owned())
            );
        }
    }
}
