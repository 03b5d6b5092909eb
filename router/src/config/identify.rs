//! Who may ask, and how a request says for whom: what `identify` in `mirador.yaml` becomes.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use http::HeaderName;
use ipnet::IpNet;
use serde::Deserialize;
use tenant_store::model::Scopes;
use url::Url;

use super::value::Text;

/// How a request says for which tenant it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identify {
    /// Where it is looked for, in this order; each once, at least one.
    pub sources: Vec<SourceKind>,
    /// Headers that name the tenant, each once; at least one where they are a source.
    pub headers: Vec<HeaderName>,
    /// Domains whose direct subdomains name the tenant, the longest first.
    pub subdomains: Vec<BaseDomain>,
    /// What stands before the tenant's segment of a path.
    pub path_prefix: PathPrefix,
    /// Whether a name alone is believed.
    pub authentication: Authentication,
    /// Whose tokens are believed; at least one where they are a source.
    pub issuers: Vec<TokenIssuer>,
    /// Where a client certificate names its tenant; there where they are a source.
    pub certificate: Option<CertificateRule>,
    /// Credentials that are none, for which one address is forgiven per minute; at least 1.
    pub max_failures_per_minute: u32,
}

/// Whether a name alone is believed: a header, a host or a path, without a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Never.
    Required,
    /// From these networks; from everywhere if there are none.
    TrustedNetwork(Vec<IpNet>),
}

/// Somebody whose tokens are believed, and what their claims mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// Of these, one must be in `aud`.
    pub audiences: Vec<String>,
    /// How its tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are.
    pub keys: KeySource,
    /// The claim that names tenants.
    pub tenant_claim: ClaimPath,
    /// The value there that means every tenant.
    pub all_tenants: Option<String>,
    /// The claim that lists scopes; without, a token has all.
    pub scope_claim: Option<ClaimPath>,
    /// What the words of that claim mean; without any, they are scopes themselves.
    pub scopes: BTreeMap<String, Scopes>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
}

/// Where keys are read from, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// Where.
    pub location: KeyLocation,
    /// The authorities to trust there, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How often.
    pub interval: Duration,
    /// The least time between two readings, however many tokens name unknown keys.
    pub cooldown: Duration,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// In a JWKS file.
    File(PathBuf),
    /// At this URL, as a JWKS.
    Url(Url),
    /// Where this issuer's `OpenID` configuration says.
    Discovery(String),
}

/// How a token is signed. There is no `none` and no shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// The way to a claim: names with dots between; one with dots of its own stands in double quotes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct ClaimPath(pub(super) Box<[Box<str>]>);

/// Where a client certificate names its tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRule {
    /// In which of its names.
    pub field: CertificateField,
    /// Where in the name.
    pub pattern: TenantPattern,
    /// Names that stand for every tenant.
    pub all_tenants: Vec<String>,
}

/// A kind of name that a certificate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateField {
    /// A DNS name among the subject's alternative names.
    SanDns,
    /// A URI there, such as a SPIFFE id.
    SanUri,
    /// An address for mail there.
    SanEmail,
    /// The subject's common name.
    SubjectCn,
}

/// A text with `{tenant}` in one place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct TenantPattern {
    pub(super) before: Box<str>,
    pub(super) after: Box<str>,
}

/// A place where a request says for whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A header.
    Header,
    /// The first label of the host it asks.
    Subdomain,
    /// The beginning of its path.
    Path,
    /// An API key.
    ApiKey,
    /// A signed token.
    Jwt,
    /// A client certificate.
    Certificate,
}

/// A domain below which each tenant has a name: lower case, without a dot at either end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct BaseDomain(pub(super) Box<str>);

/// The segments before the tenant's: `/t`. Begins with a slash and ends without one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct PathPrefix(pub(super) Box<str>);

impl SourceKind {
    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Subdomain => "subdomain",
            Self::Path => "path",
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl ClaimPath {
    /// A claim of this name.
    pub(super) fn of(name: &str) -> Self {
        Self([name.into()].into())
    }

    /// Its names, from the outermost in.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl TenantPattern {
    /// What stands in the place of the tenant, if the rest is as it should be.
    pub fn tenant<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = text.strip_prefix(&*self.before)?;
        rest.strip_suffix(&*self.after)
    }
}

impl BaseDomain {
    /// The domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PathPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self("/t".into())
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().enumerate() {
            let dot = if n == 0 { "" } else { "." };
            if name.contains('.') {
                write!(f, "{dot}\"{name}\"")?;
            } else {
                write!(f, "{dot}{name}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for TenantPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{tenant}}{}", self.before, self.after)
    }
}

impl fmt::Display for BaseDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
