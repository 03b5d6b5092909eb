//! How something is, in one word: an endpoint, a deployment, a tenant.
//!
//! Pure: what is known of endpoints goes in, words and scores come out.

use std::fmt;

use health::{Availability, EndpointHealth};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an endpoint is. Ordered from best to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EndpointCondition {
    /// It gets requests and answers them.
    Healthy,
    /// It gets requests; nothing was heard from it yet.
    Unknown,
    /// It gets requests, but something is the matter.
    Degraded,
    /// Taken out of use by an operator.
    Draining,
    /// Live requests failed; it returns by itself when it does better. Where it is needed all the
    /// same, it gets requests.
    Ejected,
    /// It can't be reached, or its probes fail.
    Unhealthy,
}

impl EndpointCondition {
    /// Every condition there is.
    pub const ALL: [Self; 6] = [
        Self::Healthy,
        Self::Unknown,
        Self::Degraded,
        Self::Draining,
        Self::Ejected,
        Self::Unhealthy,
    ];

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Ejected => "ejected",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// How an endpoint is: atomic loads only.
    pub fn of(health: &EndpointHealth, draining: bool) -> Self {
        Self::at(health.availability(), health, draining)
    }

    /// How an endpoint is that is as available as this.
    pub(super) fn at(availability: Availability, health: &EndpointHealth, draining: bool) -> Self {
        if draining {
            return Self::Draining;
        }
        match availability {
            Availability::Down => Self::Unhealthy,
            Availability::Ejected | Availability::HalfOpen => Self::Ejected,
            Availability::Up if health.is_failing() || !health.findings().is_empty() => {
                Self::Degraded
            }
            Availability::Up if health.is_seen() => Self::Healthy,
            Availability::Up => Self::Unknown,
        }
    }

    /// Whether it gets requests as a matter of course.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Healthy | Self::Unknown | Self::Degraded)
    }

    /// Whether there is nothing to tell of it.
    pub const fn is_calm(self) -> bool {
        matches!(self, Self::Healthy | Self::Unknown)
    }

    /// What it is worth to its deployment, 0 to 100.
    const fn worth(self) -> u32 {
        match self {
            Self::Healthy | Self::Unknown => 100,
            Self::Degraded => 70,
            Self::Ejected => 20,
            Self::Draining | Self::Unhealthy => 0,
        }
    }
}

impl fmt::Display for EndpointCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a deployment or a tenant is. Ordered from best to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing was heard of it yet, or there is nothing to hear of.
    Unknown,
    /// All its endpoints serve.
    Healthy,
    /// Switched off by an operator: its requests are refused, and nobody is to be woken over it.
    Suspended,
    /// Being set up: its requests are refused until it is activated, and nobody is to be woken over it.
    Provisioning,
    /// Worked on: whatever else it is, nobody is to be woken over it.
    Maintenance,
    /// Requests are served, but not by all that should.
    Degraded,
    /// Requests, or those of one kind, find no endpoint.
    Unhealthy,
}

impl Condition {
    /// Every condition there is.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Healthy,
        Self::Suspended,
        Self::Provisioning,
        Self::Maintenance,
        Self::Degraded,
        Self::Unhealthy,
    ];

    /// The name used in logs, metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Suspended => "suspended",
            Self::Provisioning => "provisioning",
            Self::Maintenance => "maintenance",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// How a deployment is whose endpoints are as told; `is_cut_off` if there are requests that none of
    /// them takes, however they are.
    pub fn of_deployment(endpoints: &[EndpointCondition], is_cut_off: bool) -> Self {
        let all = |fits: fn(EndpointCondition) -> bool| endpoints.iter().copied().all(fits);
        if is_cut_off || !endpoints.iter().any(|endpoint| endpoint.serves()) {
            Self::Unhealthy
        } else if all(|endpoint| endpoint == EndpointCondition::Unknown) {
            Self::Unknown
        } else if all(EndpointCondition::is_calm) {
            Self::Healthy
        } else {
            Self::Degraded
        }
    }

    /// Its place in a list of the worst first.
    pub(super) const fn rank(self) -> u8 {
        match self {
            Self::Unhealthy => 0,
            Self::Degraded => 1,
            Self::Maintenance => 2,
            Self::Provisioning => 3,
            Self::Unknown => 4,
            Self::Healthy => 5,
            Self::Suspended => 6,
        }
    }

    /// How well a deployment in this condition does, 0 to 100: the share of its endpoints that
    /// serve, one that is degraded counting 70 of 100 and one that is ejected 20. `None` for one
    /// that nothing is known of.
    pub(super) fn score(self, endpoints: &[EndpointCondition]) -> Option<u8> {
        match self {
            Self::Unknown => None,
            Self::Unhealthy => Some(0),
            Self::Healthy => Some(100),
            Self::Degraded | Self::Maintenance | Self::Suspended | Self::Provisioning => {
                let worth: u32 = endpoints.iter().map(|endpoint| endpoint.worth()).sum();
                let count = u32::try_from(endpoints.len()).unwrap_or(u32::MAX).max(1);
                // Neither hopeless nor flawless, whatever the rounding says.
                u8::try_from((worth / count).clamp(1, 99)).ok()
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|one| one.as_str() == text);
        named.ok_or_else(|| {
            "expected healthy, degraded, unhealthy, unknown, maintenance, provisioning or suspended"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_as_its_endpoints_are() {
        use EndpointCondition::{Degraded, Draining, Ejected, Healthy, Unhealthy, Unknown};
        for (endpoints, expected, score) in [
            (&[Healthy, Healthy][..], Condition::Healthy, Some(100)),
            (&[Healthy, Unknown], Condition::Healthy, Some(100)),
            (&[Unknown, Unknown], Condition::Unknown, None),
            (&[Healthy, Unhealthy], Condition::Degraded, Some(50)),
            (&[Healthy, Draining], Condition::Degraded, Some(50)),
            (&[Healthy, Ejected], Condition::Degraded, Some(60)),
            (&[Degraded], Condition::Degraded, Some(70)),
            (&[Unknown, Unhealthy], Condition::Degraded, Some(50)),
            (&[Ejected, Unhealthy], Condition::Unhealthy, Some(0)),
            (&[], Condition::Unhealthy, Some(0)),
        ] {
            let condition = Condition::of_deployment(endpoints, false);
            assert_eq!(condition, expected, "{endpoints:?}");
            assert_eq!(condition.score(endpoints), score, "{endpoints:?}");
            let cut_off = Condition::of_deployment(endpoints, true);
            assert_eq!(cut_off, Condition::Unhealthy, "{endpoints:?}");
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for condition in Condition::ALL {
            let json = serde_json::to_string(&condition).expect("JSON");
            assert_eq!(json, format!("\"{condition}\""));
            assert_eq!(condition.as_str().parse(), Ok(condition));
        }
        for condition in EndpointCondition::ALL {
            let json = serde_json::to_string(&condition).expect("JSON");
            assert_eq!(json, format!("\"{condition}\""));
        }
        assert!("ill".parse::<Condition>().is_err());
    }
}
