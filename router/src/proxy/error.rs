//! What can go wrong with a request, and what that means to everybody: the only place that maps
//! causes to statuses.
//!
//! Each [`ProxyError`] has a status, a metric label, and a text for the client that says what to
//! do. All matches are exhaustive on purpose: a new cause can't forget any of
//! them. Statuses matter most on ingestion paths, where they decide whether a sender keeps its
//! data: senders of Prometheus remote write drop a block on 400, 409 and 415 and repeat on all
//! else; OTLP exporters repeat on 429, 502, 503 and 504 only.

mod answer;

use std::{io, time::Duration};

use http::StatusCode;
use tenant_store::model::{Feature, Scope, Signal, Status};
use thiserror::Error;

use super::{identify::IdentifyError, upstream::UpstreamError};
use crate::telemetry::Service;

pub use answer::{Answerable, answer};

/// Why a request is not answered by a backend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The request says in two ways where its body ends.
    #[error(
        "the request's framing is ambiguous: send either Content-Length or Transfer-Encoding: chunked, and once"
    )]
    AmbiguousFraming,
    /// The path has dot segments or broken escapes.
    #[error(
        "the path can't be read: it must begin with '/', without '.' or '..' segments and with whole %-escapes"
    )]
    MalformedPath,
    /// The target is too long to be put below the endpoint's base path.
    #[error("the path and query are too long for the tenant's deployment")]
    TargetTooLong,
    /// `CONNECT` or `TRACE`.
    #[error("the method is not proxied")]
    MethodNotAllowed,
    /// No tenant named, or not clearly.
    #[error(transparent)]
    Unidentified(#[from] IdentifyError),
    /// The path is not for tenants.
    #[error("this path is not for tenants: it is internal to the backend or changes it")]
    PathDenied,
    /// The credential is not good for what is asked.
    #[error("the credential lacks the scope {0}")]
    MissingScope(Scope),
    /// No such tenant.
    #[error("the tenant is not known here, or not open to this request")]
    UnknownTenant,
    /// The tenant may not be served.
    #[error("the tenant is {}", .0.as_str())]
    NotServed(Status),
    /// The tenant was suspended or deleted, or the API key revoked, while the request was on its
    /// way.
    #[error("the tenant is served no longer, or the API key no longer accepted")]
    Withdrawn,
    /// The tenant's operators, or its tier, switched this off.
    #[error("{0} is switched off for this tenant")]
    FeatureOff(Feature),
    /// The tenant has no backend for this signal.
    #[error("the tenant has no deployment for {0}")]
    NoDeployment(Signal),
    /// The deployment can't be spoken to as configured.
    #[error(
        "the tenant's {0} deployment is misconfigured on this router; its operators find why in the log"
    )]
    Misconfigured(Signal),
    /// The tenant is not cached and the repository does not answer.
    #[error("the tenant can't be looked up right now: the repository does not answer")]
    LookupUnavailable,
    /// Every endpoint is down.
    #[error("no endpoint of the tenant's {0} deployment is available")]
    NoEndpoint(Signal),
    /// Connections to every endpoint tried failed.
    #[error("no endpoint of the tenant's {signal} deployment can be reached")]
    Unreachable {
        /// Which deployment.
        signal: Signal,
        /// What the last one failed with.
        #[source]
        source: io::Error,
    },
    /// The backend broke off before its answer began, and the request may not be sent again.
    #[error("the tenant's {signal} backend broke off before it answered")]
    BrokenOff {
        /// Which deployment.
        signal: Signal,
        /// What the connection failed with.
        #[source]
        source: UpstreamError,
    },
    /// The backend does not speak HTTP.
    #[error("the tenant's {signal} backend sent something that is not HTTP")]
    ProtocolFault {
        /// Which deployment.
        signal: Signal,
        /// What the parser says.
        #[source]
        source: UpstreamError,
    },
    /// The backend answered 101, which nobody had asked for.
    #[error("the tenant's {0} backend switched protocols unasked")]
    ProtocolSwitch(Signal),
    /// The backend did not begin its answer in time.
    #[error("the tenant's {signal} backend did not answer within {limit:?}")]
    UpstreamTimeout {
        /// Which deployment.
        signal: Signal,
        /// The deadline.
        limit: Duration,
    },
    /// The client did not send its body in time.
    #[error("the request's body did not arrive within {limit:?}")]
    SlowBody {
        /// The deadline.
        limit: Duration,
    },
    /// The client broke off while sending its body.
    #[error("the client broke off while it sent the request")]
    ClientGone,
}

impl ProxyError {
    /// The status to answer with. `ingestion` tells whether the sender would lose data if it were
    /// told not to try again.
    pub fn status(&self, ingestion: bool) -> StatusCode {
        match self {
            Self::AmbiguousFraming | Self::MalformedPath | Self::ClientGone => {
                StatusCode::BAD_REQUEST
            }
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            // 408 is permanent to OTLP exporters, which would drop the data.
            Self::UnknownTenant
            | Self::SlowBody { .. }
            // Prometheus drops what is answered with 429, and a good credential may have to wait.
            | Self::Unidentified(IdentifyError::TooManyFailures { .. })
                if ingestion => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unidentified(error) => unidentified(error).0,
            Self::PathDenied
            | Self::MissingScope(_)
            | Self::FeatureOff(_)
            | Self::UnknownTenant
            | Self::Withdrawn
            | Self::NotServed(Status::Suspended) => StatusCode::FORBIDDEN,
            Self::NotServed(Status::Provisioning | Status::Active | Status::Deleted)
            | Self::NoDeployment(_)
            | Self::Misconfigured(_)
            | Self::LookupUnavailable
            | Self::NoEndpoint(_)
            | Self::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::BrokenOff { .. } | Self::ProtocolFault { .. } | Self::ProtocolSwitch(_) => {
                StatusCode::BAD_GATEWAY
            }
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::SlowBody { .. } => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The `reason` label of metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::MalformedPath => "malformed_path",
            Self::TargetTooLong => "target_too_long",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Unidentified(error) => unidentified(error).1,
            Self::PathDenied => "path_denied",
            Self::MissingScope(_) => "missing_scope",
            Self::UnknownTenant => "unknown_tenant",
            Self::NotServed(Status::Suspended) => "suspended",
            Self::NotServed(_) => "not_ready",
            Self::Withdrawn => "withdrawn",
            Self::FeatureOff(_) => "feature_off",
            Self::NoDeployment(_) => "no_deployment",
            Self::Misconfigured(_) => "misconfigured",
            Self::LookupUnavailable => "lookup_unavailable",
            Self::NoEndpoint(_) => "no_endpoint",
            Self::Unreachable { .. } => "unreachable",
            Self::BrokenOff { .. } => "upstream_broken",
            Self::ProtocolFault { .. } | Self::ProtocolSwitch(_) => "upstream_protocol",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::SlowBody { .. } => "slow_body",
            Self::ClientGone => "client_canceled",
        }
    }

    /// What it says of the service: of what tenants and clients are to blame for, nothing.
    pub const fn service(&self) -> Service {
        match self {
            Self::Misconfigured(_)
            | Self::NoEndpoint(_)
            | Self::Unreachable { .. }
            | Self::BrokenOff { .. }
            | Self::ProtocolFault { .. }
            | Self::ProtocolSwitch(_)
            | Self::UpstreamTimeout { .. } => Service::Unserved,
            Self::AmbiguousFraming
            | Self::MalformedPath
            | Self::TargetTooLong
            | Self::MethodNotAllowed
            | Self::Unidentified(_)
            | Self::PathDenied
            | Self::MissingScope(_)
            | Self::UnknownTenant
            | Self::NotServed(_)
            | Self::Withdrawn
            | Self::FeatureOff(_)
            | Self::NoDeployment(_)
            | Self::LookupUnavailable
            | Self::SlowBody { .. }
            | Self::ClientGone => Service::Silent,
        }
    }

    /// When to try again, for `Retry-After`; `None` if that would not help.
    pub fn retry_after(&self, ingestion: bool) -> Option<Duration> {
        const SOON: Duration = Duration::from_secs(1);
        const LATER: Duration = Duration::from_secs(10);
        match self {
            Self::NoEndpoint(_)
            | Self::Unreachable { .. }
            | Self::LookupUnavailable
            | Self::Unidentified(IdentifyError::KeysUnavailable) => Some(SOON),
            // Whole seconds, and not too early.
            Self::Unidentified(IdentifyError::TooManyFailures { wait, .. }) => Some(*wait + SOON),
            _ if self.status(ingestion) == StatusCode::SERVICE_UNAVAILABLE => Some(LATER),
            _ => None,
        }
    }

    /// What a client that is told to show a credential is told of them, for `WWW-Authenticate`.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Unidentified(IdentifyError::Unauthenticated { basic: true, .. }) => {
                Some("Basic realm=\"mirador\", Bearer realm=\"mirador\"")
            }
            Self::Unidentified(IdentifyError::Unauthenticated { .. }) => {
                Some("Bearer realm=\"mirador\"")
            }
            Self::Unidentified(IdentifyError::Key(_)) => {
                Some("Basic realm=\"mirador\", Bearer realm=\"mirador\", error=\"invalid_token\"")
            }
            Self::Unidentified(error) if unidentified(error).0 == StatusCode::UNAUTHORIZED => {
                Some("Bearer realm=\"mirador\", error=\"invalid_token\"")
            }
            Self::MissingScope(_) => Some("Bearer realm=\"mirador\", error=\"insufficient_scope\""),
            _ => None,
        }
    }

    /// Whether what is left of the connection can't be trusted.
    pub const fn closes_connection(&self) -> bool {
        matches!(
            self,
            Self::AmbiguousFraming | Self::SlowBody { .. } | Self::ClientGone
        )
    }
}

/// Status and reason of what is nobody's, or not theirs.
fn unidentified(error: &IdentifyError) -> (StatusCode, &'static str) {
    match error {
        IdentifyError::Missing { .. } => (StatusCode::BAD_REQUEST, "missing_tenant"),
        IdentifyError::Repeated(_)
        | IdentifyError::Empty(_)
        | IdentifyError::Malformed { .. }
        | IdentifyError::Host(_)
        | IdentifyError::Disguised(_)
        | IdentifyError::Conflict { .. } => (StatusCode::BAD_REQUEST, "malformed_tenant"),
        IdentifyError::Choose { .. } => (StatusCode::BAD_REQUEST, "tenant_not_chosen"),
        IdentifyError::Unauthenticated { .. } => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        IdentifyError::Key(_) => (StatusCode::UNAUTHORIZED, "invalid_key"),
        IdentifyError::Token(_) => (StatusCode::UNAUTHORIZED, "invalid_token"),
        IdentifyError::CertificateExpired => (StatusCode::UNAUTHORIZED, "invalid_certificate"),
        IdentifyError::TooManyFailures { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "too_many_failures")
        }
        IdentifyError::UntrustedNetwork => (StatusCode::FORBIDDEN, "untrusted_network"),
        IdentifyError::Claim(_)
        | IdentifyError::CertificateWithoutTenant(_)
        | IdentifyError::NotAllowed(_) => (StatusCode::FORBIDDEN, "tenant_not_allowed"),
        // 401 would be permanent to OTLP exporters, and it is not the token's fault.
        IdentifyError::KeysUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable"),
    }
}
