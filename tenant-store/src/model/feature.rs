//! The features a router knows, which a tier or a tenant may switch off.

use std::fmt;

use super::{Signal, Tenant, TierDefinition};

/// A feature that routers enforce. All are on unless somebody says otherwise.
///
/// Switches of other names are kept as well, for those who deploy and bill: routers pass over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Feature {
    /// Whatever is asked or sent for metrics.
    Metrics,
    /// Whatever is asked or sent for logs.
    Logs,
    /// Whatever is asked or sent for traces.
    Traces,
    /// Queries, exports and live tails.
    Reads,
    /// Ingestion.
    Writes,
    /// `/federate`, of which another Prometheus scrapes.
    Federation,
    /// `/api/v1/export` and its kin, which answer raw samples.
    Exports,
    /// Live tails of logs.
    Tails,
    /// The backends' own web pages.
    Vmui,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Metrics,
        Self::Logs,
        Self::Traces,
        Self::Reads,
        Self::Writes,
        Self::Federation,
        Self::Exports,
        Self::Tails,
        Self::Vmui,
    ];

    /// The name of its switch.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Federation => "federation",
            Self::Exports => "exports",
            Self::Tails => "tails",
            Self::Vmui => "vmui",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Signal> for Feature {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Metrics => Self::Metrics,
            Signal::Logs => Self::Logs,
            Signal::Traces => Self::Traces,
        }
    }
}

/// Some features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u16);

impl Features {
    /// None.
    pub const NONE: Self = Self(0);

    /// With one more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u8)
    }

    /// Whether one is among them.
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u8 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are switched off for a tenant: by itself, or by its tier if it does not say.
    pub fn switched_off(tenant: &Tenant, tier: Option<&TierDefinition>) -> Self {
        let by_tier = |name| tier.and_then(|tier| tier.features.get(name));
        let is_off = |feature: &Feature| {
            let name = feature.as_str();
            tenant.features.get(name).or_else(|| by_tier(name)) == Some(&false)
        };
        let off = Feature::ALL.into_iter().filter(is_off);
        off.fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn off(tenant: &Value, tier: Option<&Value>) -> Vec<&'static str> {
        let tenant = json!({"id": "acme", "tier": "gold", "features": tenant});
        let tier = tier.map(|features| json!({"name": "gold", "features": features}));
        let tenant = serde_json::from_value(tenant).unwrap();
        let tier = tier.map(|tier| serde_json::from_value::<TierDefinition>(tier).unwrap());
        let off = Features::switched_off(&tenant, tier.as_ref());
        let features = Feature::ALL.into_iter();
        features
            .filter(|feature| off.contains(*feature))
            .map(Feature::as_str)
            .collect()
    }

    #[test]
    fn a_feature_is_on_until_the_tenant_or_else_its_tier_switches_it_off() {
        assert!(off(&json!({}), None).is_empty());
        let tier = json!({"vmui": false, "writes": false, "sso": false});
        assert_eq!(off(&json!({}), Some(&tier)), ["writes", "vmui"]);
        let tenant = json!({"writes": true, "traces": false});
        assert_eq!(off(&tenant, Some(&tier)), ["traces", "vmui"]);
        assert_eq!(off(&tenant, None), ["traces"]);
    }
}
