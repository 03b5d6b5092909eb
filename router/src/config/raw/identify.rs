//! `identify` as it is written.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer,
    de::{
        self,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use tenant_store::model::{HumanDuration, Scopes};

use crate::config::{
    Algorithm, BaseDomain, CertificateField, ClaimPath, PathPrefix, Role, SourceKind,
    TenantPattern,
    value::{Network, TenantHeader},
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
    pub(in crate::config) jwt: RawIssuers<RawIssuer>,
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
pub(in crate::config) enum RawIssuers<T> {
    One(Box<T>),
    Many(Vec<T>),
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

/// An issuer whose tokens show operators. Its first half is that of [`RawIssuer`]; serde can't both
/// share it and refuse unknown fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawOperatorIssuer {
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
    #[serde(default = "leeway")]
    pub(in crate::config) leeway: HumanDuration,
    #[serde(default = "refresh_interval")]
    pub(in crate::config) refresh_interval: HumanDuration,
    #[serde(default = "refresh_cooldown")]
    pub(in crate::config) refresh_cooldown: HumanDuration,
    #[serde(default = "name_claim")]
    pub(in crate::config) name_claim: ClaimPath,
    pub(in crate::config) role_claim: ClaimPath,
    pub(in crate::config) roles: BTreeMap<String, Role>,
}

/// What both kinds of issuers have in common.
#[derive(Debug)]
pub(in crate::config) struct RawTrust<'r> {
    pub(in crate::config) issuer: &'r str,
    pub(in crate::config) audiences: &'r [String],
    pub(in crate::config) jwks_file: Option<&'r Path>,
    pub(in crate::config) jwks_url: Option<&'r str>,
    pub(in crate::config) ca_file: Option<&'r Path>,
    pub(in crate::config) algorithms: &'r [Algorithm],
    pub(in crate::config) leeway: HumanDuration,
    pub(in crate::config) refresh_interval: HumanDuration,
    pub(in crate::config) refresh_cooldown: HumanDuration,
}

impl RawIssuer {
    pub(in crate::config) fn trust(&self) -> RawTrust<'_> {
        RawTrust {
            issuer: &self.issuer,
            audiences: &self.audiences,
            jwks_file: self.jwks_file.as_deref(),
            jwks_url: self.jwks_url.as_deref(),
            ca_file: self.ca_file.as_deref(),
            algorithms: &self.algorithms,
            leeway: self.leeway,
            refresh_interval: self.refresh_interval,
            refresh_cooldown: self.refresh_cooldown,
        }
    }
}

impl RawOperatorIssuer {
    pub(in crate::config) fn trust(&self) -> RawTrust<'_> {
        RawTrust {
            issuer: &self.issuer,
            audiences: &self.audiences,
            jwks_file: self.jwks_file.as_deref(),
            jwks_url: self.jwks_url.as_deref(),
            ca_file: self.ca_file.as_deref(),
            algorithms: &self.algorithms,
            leeway: self.leeway,
            refresh_interval: self.refresh_interval,
            refresh_cooldown: self.refresh_cooldown,
        }
    }
}

impl<T> RawIssuers<T> {
    /// Those there are, each with its path in a file where they stand at `path`.
    pub(in crate::config) fn each<'r>(
        &'r self,
        path: &str,
        item: impl Fn(&str, usize) -> String,
    ) -> Vec<(String, &'r T)> {
        match self {
            Self::One(issuer) => vec![(path.to_owned(), &**issuer)],
            Self::Many(issuers) => {
                let numbered = issuers.iter().enumerate();
                numbered
                    .map(|(n, issuer)| (item(path, n), issuer))
                    .collect()
            }
        }
    }
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
            jwt: RawIssuers::default(),
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

fn name_claim() -> ClaimPath {
    ClaimPath::of("sub")
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

impl<T> Default for RawIssuers<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for RawIssuers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IssuersVisitor(PhantomData))
    }
}

// By hand, not `untagged`: that would lose the path of a fault inside.
struct IssuersVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for IssuersVisitor<T> {
    type Value = RawIssuers<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with `issuer`, or a list of these")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RawIssuers<T>, A::Error> {
        let issuer = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawIssuers::One(Box::new(issuer)))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<RawIssuers<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(RawIssuers::Many)
    }
}
