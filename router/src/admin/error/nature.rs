//! What kind of refusal an error is, and what its answer's head says: the only place here that maps
//! causes to statuses.

use axum::http::StatusCode;

use super::ApiError;

/// What kind of refusal an error is.
pub(super) struct Nature {
    pub(super) status: StatusCode,
    /// The end of the problem's type: what programs branch on.
    pub(super) kind: &'static str,
    pub(super) title: &'static str,
}

impl ApiError {
    pub(super) fn nature(&self) -> Nature {
        use StatusCode as S;
        match self {
            Self::Unauthenticated | Self::TokenRefused(_) => UNAUTHENTICATED,
            Self::NoToken
            | Self::NoGenerator
            | Self::NotTheGenerator
            | Self::NamelessToken { .. }
            | Self::NoRole { .. }
            | Self::Forbidden { .. } => FORBIDDEN,
            Self::TooManyAttempts { .. } => nature(
                S::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "too many failed attempts",
            ),
            Self::NoSuchPath(_)
            | Self::UnknownTenant(_)
            | Self::UnknownTier(_)
            | Self::UnknownKey { .. }
            | Self::UnknownRecord(_)
            | Self::Deleted(_) => nature(S::NOT_FOUND, "not-found", "not found"),
            Self::MethodNotAllowed { .. } => nature(
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "method not allowed",
            ),
            Self::Exists(_) => nature(S::CONFLICT, "conflict", "there already"),
            Self::InUse(_) | Self::NoKeySecret => {
                nature(S::CONFLICT, "conflict", "not as things are")
            }
            Self::LastEndpoint { .. } => LAST_ENDPOINT,
            Self::ReadOnly(_) => READ_ONLY,
            Self::PreconditionFailed(_) => PRECONDITION_FAILED,
            Self::PreconditionRequired(_) => nature(
                S::PRECONDITION_REQUIRED,
                "precondition-required",
                "a condition is required",
            ),
            Self::Malformed(_) | Self::ReloadRefused(_) | Self::BodyUnreadable => {
                nature(S::BAD_REQUEST, "malformed", "malformed request")
            }
            Self::TooLarge { .. } => nature(S::PAYLOAD_TOO_LARGE, "too-large", "body too large"),
            Self::UnsupportedMediaType { .. } => nature(
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "unsupported media type",
            ),
            Self::Unprocessable(_) => nature(
                S::UNPROCESSABLE_ENTITY,
                "unprocessable",
                "not as things are",
            ),
            Self::KeyReused(_) => KEY_REUSED,
            Self::KeyInFlight(_) => KEY_IN_FLIGHT,
            Self::Unavailable(_)
            | Self::LookupFailed(_)
            | Self::TooSlow(_)
            | Self::Busy(_)
            | Self::NoIssuerKeys
            | Self::KeysExhausted => nature(
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "unavailable right now",
            ),
            Self::Corrupt(_) | Self::Broken(_) => {
                nature(S::INTERNAL_SERVER_ERROR, "internal", "internal error")
            }
        }
    }

    /// How to authenticate (RFC 6750 section 3), where that is what was missing.
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated => Some(r#"Bearer realm="mirador admin""#),
            Self::TokenRefused(_) => Some(r#"Bearer realm="mirador admin", error="invalid_token""#),
            _ => None,
        }
    }

    /// Seconds to wait before trying again, where that may help.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { seconds, .. } => Some(*seconds),
            Self::KeyInFlight(_) => Some(1),
            _ if self.nature().status == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }
}

const fn nature(status: StatusCode, kind: &'static str, title: &'static str) -> Nature {
    Nature {
        status,
        kind,
        title,
    }
}

const UNAUTHENTICATED: Nature = nature(
    StatusCode::UNAUTHORIZED,
    "unauthenticated",
    "not authenticated",
);

const FORBIDDEN: Nature = nature(StatusCode::FORBIDDEN, "forbidden", "not allowed");

const KEY_REUSED: Nature = nature(
    StatusCode::UNPROCESSABLE_ENTITY,
    "idempotency-key-reused",
    "idempotency key used for another request",
);

const KEY_IN_FLIGHT: Nature = nature(
    StatusCode::CONFLICT,
    "idempotency-key-in-flight",
    "request in flight",
);

const READ_ONLY: Nature = nature(StatusCode::FORBIDDEN, "read-only", "the store is read-only");

const PRECONDITION_FAILED: Nature = nature(
    StatusCode::PRECONDITION_FAILED,
    "precondition-failed",
    "not as the condition says",
);

const LAST_ENDPOINT: Nature = nature(
    StatusCode::CONFLICT,
    "last-endpoint",
    "no endpoint would be left",
);
