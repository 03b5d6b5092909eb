//! `identify` as it is written.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{
        self,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use tenant_store::model::{HumanDuration, Scopes};

use super::{Network, TenantHeader};
use crate::config::{
    Algorithm, BaseDomain, CertificateField, ClaimPath, PathPrefix, SourceKind, TenantPattern,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawIdentify {
    pub(in crate::config) sources: Vec<SourceKind>,
    pub(in crate::config) headers: Vec<TenantHeader>,
    pub(in crate::config) subdomains: Vec<BaseDomain>,
    pub(in crate::config) path_prefix: PathPrefix,
    pub(in crate::config) authentication: RawAuthentication,
    pub(in crate::config) trusted_networks: Vec<Network>,
    pub(in crate::config) jwt: RawIssuers,
    pub(in crate::config) certificate: Option<RawCertificate>,
    pub(in crate::config) max_failures_per_minute: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawAuthentication {
    Required,
    TrustedNetwork,
}

/// One issuer, or a list.
#[derive(Debug)]
pub(in crate::config) enum RawIssuers {
    One(Box<RawIssuer>),
    Many(Vec<RawIssuer>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawIssuer {
    pub(in crate::config) issuer: String,
    pub(in crate::config) audiences: Vec<String>,
    #[serde(default)]
    pub(in crate::config) jwks_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) jwks_url: Option<String>,
    #[serde(default)]
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(default = "all_algorithms")]
    pub(in crate::config) algorithms: Vec<Algorithm>,
    #[serde(default = "tenant_claim")]
    pub(in crate::config) tenant_claim: ClaimPath,
    #[serde(default)]
    pub(in crate::config) all_tenants: Option<String>,
    #[serde(default)]
    pub(in crate::config) scope_claim: Option<ClaimPath>,
    #[serde(default)]
    pub(in crate::config) scopes: BTreeMap<String, Scopes>,
    #[serde(default = "leeway")]
    pub(in crate::config) leeway: HumanDuration,
    #[serde(default = "refresh_interval")]
    pub(in crate::config) refresh_interval: HumanDuration,
    #[serde(default = "refresh_cooldown")]
    pub(in crate::config) refresh_cooldown: HumanDuration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawCertificate {
    pub(in crate::config) field: CertificateField,
    pub(in crate::config) pattern: TenantPattern,
    #[serde(default)]
    pub(in crate::config) all_tenants: Vec<String>,
}

impl Default for RawIdentify {
    fn default() -> Self {
        Self {
            sources: vec![SourceKind::Header],
            headers: vec![
                TenantHeader::new("x-tenant-id"),
                TenantHeader::new("x-scope-orgid"),
            ],
            subdomains: Vec::new(),
            path_prefix: PathPrefix::default(),
            authentication: RawAuthentication::TrustedNetwork,
            trusted_networks: Vec::new(),
            jwt: RawIssuers::Many(Vec::new()),
            certificate: None,
            max_failures_per_minute: 60,
        }
    }
}

fn all_algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.into()
}

fn tenant_claim() -> ClaimPath {
    ClaimPath::of("tenant")
}

fn leeway() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn refresh_interval() -> HumanDuration {
    HumanDuration::from_secs(300)
}

fn refresh_cooldown() -> HumanDuration {
    HumanDuration::from_secs(10)
}

impl<'de> Deserialize<'de> for RawIssuers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IssuersVisitor)
    }
}

// By hand, not `untagged`: that would lose the path of a fault inside.
struct IssuersVisitor;

impl<'de> de::Visitor<'de> for IssuersVisitor {
    type Value = RawIssuers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `issuer`, or a list of these")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RawIssuers, A::Error> {
        let issuer = RawIssuer::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawIssuers::One(Box::new(issuer)))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<RawIssuers, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawIssuers::Many)
    }
}
