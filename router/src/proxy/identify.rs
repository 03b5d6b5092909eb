//! Who is asking: the tenant a request is for.
//!
//! Pure: looks at the request's head and nothing else. Whether the tenant exists is decided later.

mod header;
mod path;
mod subdomain;

use http::{HeaderName, request::Parts};
use tenant_store::model::TenantIdError;
use thiserror::Error;

pub use self::{
    path::TenantPath,
    subdomain::{HostFault, Subdomains},
};
use crate::config::{Identify, PathPrefix, SourceKind};

/// What the configuration says of who may ask, in the form the request path wants.
#[derive(Debug)]
pub struct Identity {
    /// Asked in this order. All that are present must agree.
    sources: Vec<Source>,
    /// What divides a path, where paths are a source.
    path_prefix: Option<PathPrefix>,
}

/// A place in a request's head where a tenant may be named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Header(HeaderName),
    Subdomain(Subdomains),
    Path(PathPrefix),
}

/// What a request is identified by.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'h> {
    /// Its head.
    pub head: &'h Parts,
    /// Its path, as [`Identity::divide`] divides it.
    pub path: TenantPath<'h>,
}

/// Why a request names no tenant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentifyError {
    /// No source is present.
    #[error("no tenant named: send {expected}")]
    Missing {
        /// The sources that would do.
        expected: String,
    },
    /// The header is there more than once.
    #[error("the header {0} is there more than once: send it once")]
    Repeated(HeaderName),
    /// The place is there, with nothing in it.
    #[error("{0} is empty: send the tenant's id")]
    Empty(String),
    /// What stands in a place is no tenant id.
    #[error("{place} names no tenant: {reason}")]
    Malformed {
        /// Where it stands.
        place: String,
        /// What is wrong with it.
        reason: Malformed,
    },
    /// The host can't be trusted to name a tenant.
    #[error("the host names no tenant clearly: {0}")]
    Host(#[from] HostFault),
    /// The path's prefix is written so that it could be overlooked.
    #[error("the path names a tenant in disguise: write {0}/ without escapes and double slashes")]
    Disguised(PathPrefix),
    /// Two sources name different tenants.
    #[error("two different tenants are named, by {first} and by {second}: name one")]
    Conflict {
        /// The source that was believed so far.
        first: String,
        /// The source that says otherwise.
        second: String,
    },
}

/// What is wrong with what should be a tenant's id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Bytes outside visible ASCII.
    #[error("a tenant id is plain ASCII")]
    NotText,
    /// Not a slug.
    #[error(transparent)]
    NotAnId(#[from] TenantIdError),
}

impl Identity {
    /// What a configuration says.
    pub fn new(config: &Identify) -> Self {
        let sources = config.sources.iter().flat_map(|kind| match kind {
            SourceKind::Header => config.headers.iter().cloned().map(Source::Header).collect(),
            SourceKind::Subdomain => {
                vec![Source::Subdomain(Subdomains::new(&config.subdomains))]
            }
            SourceKind::Path => vec![Source::Path(config.path_prefix.clone())],
        });
        let has_path = config.sources.contains(&SourceKind::Path);
        Self {
            sources: sources.collect(),
            path_prefix: has_path.then(|| config.path_prefix.clone()),
        }
    }

    /// Parts a raw path from what names a tenant in front of it.
    pub fn divide<'h>(&self, raw_path: &'h str) -> TenantPath<'h> {
        match &self.path_prefix {
            None => TenantPath::whole(raw_path),
            Some(prefix) => TenantPath::divide(raw_path, prefix),
        }
    }

    /// The one tenant that a request names.
    ///
    /// # Errors
    /// None is named, several are, or what is named can't be a tenant.
    pub fn identify<'h>(&self, asked: &Asked<'h>) -> Result<&'h str, IdentifyError> {
        let mut found: Option<(&'h str, &Source)> = None;
        for source in &self.sources {
            match (source.tenant(asked)?, found) {
                (None, _) => {}
                (Some(tenant), None) => found = Some((tenant, source)),
                (Some(tenant), Some((believed, _))) if tenant == believed => {}
                (Some(_), Some((_, first))) => {
                    return Err(IdentifyError::Conflict {
                        first: first.describe(),
                        second: source.describe(),
                    });
                }
            }
        }
        found
            .map(|(tenant, _)| tenant)
            .ok_or_else(|| IdentifyError::Missing {
                expected: self.expected(),
            })
    }

    fn expected(&self) -> String {
        let places: Vec<_> = self.sources.iter().map(Source::describe).collect();
        places.join(" or ")
    }
}

impl Source {
    /// The tenant this source names, checked for form; `None` if the source is absent.
    fn tenant<'h>(&self, asked: &Asked<'h>) -> Result<Option<&'h str>, IdentifyError> {
        match self {
            Self::Header(name) => header::tenant(&asked.head.headers, name),
            Self::Subdomain(subdomains) => subdomains.tenant(asked.head),
            Self::Path(prefix) => asked.path.tenant(prefix),
        }
    }

    /// What to tell a client that named no tenant.
    fn describe(&self) -> String {
        match self {
            Self::Header(name) => header::describe(name),
            Self::Subdomain(subdomains) => subdomains.describe(),
            Self::Path(prefix) => path::describe(prefix),
        }
    }
}

#[cfg(test)]
mod tests;
