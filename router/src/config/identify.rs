//! Who may ask, and how a request says for whom: what `identify` in `mirador.yaml` becomes.

use std::fmt;

use http::HeaderName;
use serde::Deserialize;

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
}

/// A place where a request says for whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A header.
    Header,
    /// The first label of the host it asks.
    Subdomain,
    /// The beginning of its path.
    Path,
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
        }
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
