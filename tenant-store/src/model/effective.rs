//! What holds for a tenant once its tier is taken into account, and the rules between the two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{
    Deployment, Feature, HealthCheck, HealthSettings, Hosting, Limits, Quotas, Retention, Signal,
    Slo, Status, Tenant, Tier, TierDefinition,
};

/// What holds for a tenant, every value decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The tier that was taken into account.
    pub tier: Tier,
    /// How its deployments are hosted, by signal; only signals that have one.
    pub hosting: BTreeMap<Signal, Hosting>,
    /// What it has bought.
    pub quotas: Quotas,
    /// What its requests may ask for.
    pub limits: Limits,
    /// How long its data is kept.
    pub retention: Retention,
    /// Feature switches by name.
    pub features: BTreeMap<String, bool>,
    /// What service it is promised.
    pub slo: Slo,
    /// How endpoints are probed, by signal; only signals that have a deployment.
    pub health: BTreeMap<Signal, HealthCheck>,
    /// Where each value above comes from, by its path, e.g. `quotas.storage_bytes`.
    pub sources: BTreeMap<String, ValueSource>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueSource {
    /// The tenant says so.
    Tenant,
    /// The tenant does not say, its tier does.
    Tier,
    /// Nobody says; it is built in.
    Default,
}

/// A rule between tier and tenant that is broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Another tier than the tenant's was asked about.
    #[error("tenant {tenant} is of tier {named}, not {given}")]
    OtherTier {
        /// Which tenant.
        tenant: super::TenantId,
        /// Its tier.
        named: Tier,
        /// The one that was given.
        given: Tier,
    },
    /// A deployment is hosted otherwise than the tier allows.
    #[error(
        "deployments.{signal}.hosting is `{found}`, but tenants of tier {tier} are hosted `{expected}`: leave hosting out, or choose another tier"
    )]
    Hosting {
        /// Of which signal.
        signal: Signal,
        /// How it is hosted.
        found: &'static str,
        /// How the tier says.
        expected: &'static str,
        /// The tier.
        tier: Tier,
    },
    /// An active tenant of a dedicated tier has nowhere to go.
    #[error(
        "status is `active`, but a tenant of tier {tier} has deployments of its own, and none is given: give one with its endpoints, or set status to `provisioning` until there is one"
    )]
    NoEndpoints {
        /// The tier.
        tier: Tier,
    },
}

/// What holds for `tenant`, whose tier is `tier`. Pure.
///
/// A value of the tenant goes before the tier's. Features that routers enforce are all named: one
/// nobody speaks of is on.
///
/// # Errors
/// The first rule between the two that is broken.
pub fn effective(tenant: &Tenant, tier: &TierDefinition) -> Result<Effective, RuleError> {
    rules(tenant, tier)?;
    let mut sources = Sources::default();
    sources.note("quotas", &tenant.quotas, &tier.quotas);
    sources.note("limits", &tenant.limits, &tier.limits);
    sources.note("retention", &tenant.retention, &tier.retention);
    sources.note("slo", &tenant.slo, &tier.slo);
    sources.note("features", &tenant.features, &tier.features);
    let known = Feature::ALL.map(|feature| (feature.as_str().to_owned(), true));
    let mut features = BTreeMap::from(known);
    for name in features.keys() {
        let path = format!("features.{name}");
        sources.0.entry(path).or_insert(ValueSource::Default);
    }
    features.extend(tier.features.clone());
    features.extend(tenant.features.clone());
    let mut effective = Effective {
        tier: tier.name.clone(),
        hosting: BTreeMap::new(),
        quotas: tenant.quotas.or(tier.quotas),
        limits: tenant.limits.or(tier.limits),
        retention: tenant.retention.or(tier.retention),
        features,
        slo: tenant.slo.or(tier.slo),
        health: BTreeMap::new(),
        sources: BTreeMap::new(),
    };
    for signal in Signal::ALL {
        let Some(deployment) = &tenant.deployments[signal] else {
            continue;
        };
        let source = match (deployment.hosting, tier.hosting) {
            (Some(_), _) => ValueSource::Tenant,
            (None, Some(_)) => ValueSource::Tier,
            (None, None) => ValueSource::Default,
        };
        sources.0.insert(format!("hosting.{signal}"), source);
        let hosting = deployment.hosting_in(Some(tier));
        effective.hosting.insert(signal, hosting);
        let check = &deployment.health_check;
        sources.note_health(signal, check, tenant.health, tier.health);
        let health = check.inherit(tenant.health, tier.health);
        effective.health.insert(signal, health);
    }
    effective.sources = sources.0;
    Ok(effective)
}

/// The rules between a tenant and its tier.
///
/// # Errors
/// The first that is broken.
pub fn rules(tenant: &Tenant, tier: &TierDefinition) -> Result<(), RuleError> {
    if tenant.tier != tier.name {
        return Err(RuleError::OtherTier {
            tenant: tenant.id.clone(),
            named: tenant.tier.clone(),
            given: tier.name.clone(),
        });
    }
    let Some(expected) = tier.hosting else {
        return Ok(());
    };
    let mut deployed = false;
    for signal in Signal::ALL {
        let Some(deployment) = &tenant.deployments[signal] else {
            continue;
        };
        deployed |= !deployment.endpoints.is_empty();
        let Some(found) = deployment.hosting else {
            continue;
        };
        // What somebody else runs is no pool of ours either.
        let fits =
            found == expected || (expected, found) == (Hosting::Dedicated, Hosting::External);
        if !fits {
            return Err(RuleError::Hosting {
                signal,
                found: found.as_str(),
                expected: expected.as_str(),
                tier: tier.name.clone(),
            });
        }
    }
    if expected == Hosting::Dedicated && tenant.status == Status::Active && !deployed {
        return Err(RuleError::NoEndpoints {
            tier: tier.name.clone(),
        });
    }
    Ok(())
}

impl Deployment {
    /// How it is hosted if its tenant is of `tier`, as far as that is known.
    pub fn hosting_in(&self, tier: Option<&TierDefinition>) -> Hosting {
        let by_tier = tier.and_then(|tier| tier.hosting);
        self.hosting.or(by_tier).unwrap_or_default()
    }
}

impl Quotas {
    fn or(self, tier: Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second.or(tier.requests_per_second),
            concurrent_requests: self.concurrent_requests.or(tier.concurrent_requests),
            ingest_bytes_per_day: self.ingest_bytes_per_day.or(tier.ingest_bytes_per_day),
            storage_bytes: self.storage_bytes.or(tier.storage_bytes),
        }
    }
}

impl Limits {
    fn or(self, tier: Self) -> Self {
        Self {
            max_query_lookback: self.max_query_lookback.or(tier.max_query_lookback),
            max_query_range: self.max_query_range.or(tier.max_query_range),
            max_query_duration: self.max_query_duration.or(tier.max_query_duration),
            max_request_bytes: self.max_request_bytes.or(tier.max_request_bytes),
            max_response_bytes: self.max_response_bytes.or(tier.max_response_bytes),
            max_concurrent_tails: self.max_concurrent_tails.or(tier.max_concurrent_tails),
        }
    }
}

impl Retention {
    fn or(self, tier: Self) -> Self {
        Self {
            metrics: self.metrics.or(tier.metrics),
            logs: self.logs.or(tier.logs),
            traces: self.traces.or(tier.traces),
        }
    }
}

#[derive(Default)]
struct Sources(BTreeMap<String, ValueSource>);

impl Sources {
    /// Puts down whose each field is, of all that the tenant or the tier sets.
    fn note(&mut self, part: &str, tenant: &impl Serialize, tier: &impl Serialize) {
        for (source, says) in [
            (ValueSource::Tier, serde_json::to_value(tier)),
            (ValueSource::Tenant, serde_json::to_value(tenant)),
        ] {
            let Ok(Value::Object(fields)) = says else {
                continue;
            };
            for name in fields.keys() {
                self.0.insert(format!("{part}.{name}"), source);
            }
        }
    }

    fn note_health(
        &mut self,
        signal: Signal,
        own: &HealthCheck,
        tenant: HealthSettings,
        tier: HealthSettings,
    ) {
        let built_in = HealthCheck::default();
        let says = |settings: HealthSettings| {
            [
                settings.interval.is_some(),
                settings.timeout.is_some(),
                settings.healthy_after.is_some(),
                settings.unhealthy_after.is_some(),
            ]
        };
        let own = [
            own.interval != built_in.interval,
            own.timeout != built_in.timeout,
            own.healthy_after != built_in.healthy_after,
            own.unhealthy_after != built_in.unhealthy_after,
        ];
        let names = ["interval", "timeout", "healthy_after", "unhealthy_after"];
        let (by_tenant, by_tier) = (says(tenant), says(tier));
        for (field, name) in names.into_iter().enumerate() {
            let source = match (own[field] || by_tenant[field], by_tier[field]) {
                (true, _) => ValueSource::Tenant,
                (false, true) => ValueSource::Tier,
                (false, false) => ValueSource::Default,
            };
            self.0.insert(format!("health.{signal}.{name}"), source);
        }
    }
}

impl HealthCheck {
    /// What holds for a deployment: what differs from the built-in values is its own, and goes
    /// before the tenant's settings, and those before the tier's.
    #[must_use]
    pub fn inherit(&self, tenant: HealthSettings, tier: HealthSettings) -> Self {
        fn decide<T: PartialEq>(own: T, built_in: &T, tenant: Option<T>, tier: Option<T>) -> T {
            if own == *built_in {
                tenant.or(tier).unwrap_or(own)
            } else {
                own
            }
        }
        let built_in = Self::default();
        Self {
            interval: decide(
                self.interval,
                &built_in.interval,
                tenant.interval,
                tier.interval,
            ),
            timeout: decide(
                self.timeout,
                &built_in.timeout,
                tenant.timeout,
                tier.timeout,
            ),
            healthy_after: decide(
                self.healthy_after,
                &built_in.healthy_after,
                tenant.healthy_after,
                tier.healthy_after,
            ),
            unhealthy_after: decide(
                self.unhealthy_after,
                &built_in.unhealthy_after,
                tenant.unhealthy_after,
                tier.unhealthy_after,
            ),
            // What is asked belongs to the backends, not to who pays for them.
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::HumanDuration;

    fn tenant(value: &Value) -> Tenant {
        let mut whole = json!({"id": "acme"});
        if let (Value::Object(whole), Value::Object(value)) = (&mut whole, value) {
            whole.extend(value.clone());
        }
        serde_json::from_value(whole).unwrap()
    }

    fn built_in(name: &str) -> TierDefinition {
        TierDefinition::built_in(&name.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_tenant_inherits_what_it_does_not_say_and_overrides_the_rest() {
        let tier: TierDefinition = serde_json::from_value(json!({
            "name": "gold",
            "quotas": {"requests_per_second": 100, "storage_bytes": 5},
            "limits": {"max_query_range": "1d"},
            "retention": {"logs": "30d"},
            "features": {"vmui": true, "federation": true},
            "slo": {"availability": "99%"},
            "health": {"interval": "10s", "timeout": "1s", "healthy_after": 5},
        }))
        .unwrap();
        let tenant = tenant(&json!({
            "tier": "gold",
            "quotas": {"requests_per_second": 7},
            "retention": {"metrics": "1d"},
            "features": {"vmui": false},
            "slo": {"availability": "99.95%"},
            "health": {"timeout": "2s"},
            "deployments": {"logs": {
                "endpoints": ["http://127.0.0.1:1"],
                "health_check": {"unhealthy_after": 9},
            }},
        }));
        let holds = effective(&tenant, &tier).unwrap();
        assert_eq!(holds.quotas.requests_per_second, Some(7));
        assert_eq!(holds.quotas.storage_bytes, Some(5));
        assert_eq!(holds.limits.max_query_range, "1d".parse().ok());
        assert_eq!(holds.retention.of(Signal::Metrics), "1d".parse().ok());
        assert_eq!(holds.retention.of(Signal::Logs), "30d".parse().ok());
        assert_eq!(holds.slo.availability, "99.95%".parse().ok());
        assert!(!holds.features["vmui"]);
        assert!(holds.features["federation"]);
        assert_eq!(holds.hosting[&Signal::Logs], Hosting::Dedicated);
        let health = &holds.health[&Signal::Logs];
        assert_eq!(health.interval, HumanDuration::from_secs(10));
        assert_eq!(health.timeout, HumanDuration::from_secs(2));
        assert_eq!((health.healthy_after, health.unhealthy_after), (5, 9));
        let sources = [
            ("quotas.requests_per_second", ValueSource::Tenant),
            ("quotas.storage_bytes", ValueSource::Tier),
            ("limits.max_query_range", ValueSource::Tier),
            ("retention.metrics", ValueSource::Tenant),
            ("retention.logs", ValueSource::Tier),
            ("features.vmui", ValueSource::Tenant),
            ("slo.availability", ValueSource::Tenant),
            ("features.federation", ValueSource::Tier),
            ("hosting.logs", ValueSource::Default),
            ("health.logs.interval", ValueSource::Tier),
            ("health.logs.timeout", ValueSource::Tenant),
            ("health.logs.healthy_after", ValueSource::Tier),
            ("health.logs.unhealthy_after", ValueSource::Tenant),
        ];
        let mut expected: BTreeMap<_, _> = sources
            .map(|(path, source)| (path.to_owned(), source))
            .into();
        for unsaid in Feature::ALL.into_iter().filter(|feature| {
            let said = [Feature::Vmui, Feature::Federation];
            !said.contains(feature)
        }) {
            assert!(holds.features[unsaid.as_str()], "{unsaid}");
            expected.insert(format!("features.{unsaid}"), ValueSource::Default);
        }
        assert_eq!(holds.sources, expected);
    }

    #[test]
    fn a_free_tenant_is_hosted_shared() {
        let hosted = |hosting| {
            tenant(&json!({"deployments": {"metrics": {
                "endpoints": ["http://127.0.0.1:1"], "hosting": hosting,
            }}}))
        };
        let free = built_in("free");
        let holds = effective(&hosted(Value::Null), &free).unwrap();
        assert_eq!(holds.hosting[&Signal::Metrics], Hosting::Shared);
        assert_eq!(holds.sources["hosting.metrics"], ValueSource::Tier);
        assert!(effective(&hosted("shared".into()), &free).is_ok());
        for hosting in ["dedicated", "external"] {
            let error = effective(&hosted(hosting.into()), &free).unwrap_err();
            let told = error.to_string();
            assert!(told.contains("deployments.metrics.hosting"), "{told}");
            assert!(told.contains(hosting), "{told}");
        }
    }

    #[test]
    fn a_dedicated_tenant_has_endpoints_before_it_is_active() {
        let enterprise = built_in("enterprise");
        let bare = |status| tenant(&json!({"tier": "enterprise", "status": status}));
        let error = effective(&bare("active"), &enterprise).unwrap_err();
        assert!(matches!(error, RuleError::NoEndpoints { .. }), "{error}");
        for status in ["provisioning", "suspended"] {
            assert!(effective(&bare(status), &enterprise).is_ok(), "{status}");
        }
        let deployed = |hosting| {
            tenant(&json!({"tier": "enterprise", "deployments": {"traces": {
                "endpoints": ["http://127.0.0.1:1"], "hosting": hosting,
            }}}))
        };
        for hosting in ["dedicated", "external"] {
            assert!(effective(&deployed(hosting), &enterprise).is_ok());
        }
        assert!(effective(&deployed("shared"), &enterprise).is_err());
    }

    #[test]
    fn another_tier_is_not_taken_for_the_tenants_own() {
        let error = effective(&tenant(&json!({})), &built_in("pro")).unwrap_err();
        assert!(matches!(error, RuleError::OtherTier { .. }), "{error}");
    }
}
