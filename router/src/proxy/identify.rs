//! Who is asking: the tenant a request is for, and what shows that it may be.
//!
//! A request *names* its tenant, by a header, its host or its path, and perhaps shows a
//! *credential*, a token or a certificate. Names have to agree; a credential has to be good for the
//! tenant that is named, and names it itself if it is good for one only. What disagrees is refused,
//! never guessed. Whether the tenant exists is decided later.
//!
//! Reading a request is pure. Only a token that this worker has not seen before may have to wait
//! for its issuer's keys; API keys are held in memory.

mod authorization;
mod certificate;
pub mod client;
mod error;
mod header;
mod jwt;
mod key;
mod path;
mod principal;
mod subdomain;

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{HeaderName, request::Parts};
use smallvec::SmallVec;
use tenant_store::model::Scopes;

use self::{
    authorization::Authorization, certificate::Certificates, jwt::Tokens, key::ApiKeys,
    subdomain::Subdomains,
};
use crate::{
    attempts::Attempts,
    config::{Authentication, Identify, PathPrefix, SourceKind},
    connection::ClientCertificate,
    credentials::Credentials,
};

pub(super) use self::key::API_KEY;
pub use self::{
    error::{IdentifyError, Malformed},
    jwt::{ClaimFault, TokenFault},
    path::TenantPath,
    principal::{CredentialKind, Principal, TenantName, Tenants},
    subdomain::HostFault,
};

/// What the configuration says of who may ask, in the form the request path wants. Each worker has
/// its own.
#[derive(Debug)]
pub struct Identity {
    /// Asked in this order. All names that are present must agree.
    sources: Vec<Source>,
    authentication: Authentication,
    credentials: Arc<Credentials>,
    max_failures_per_minute: u32,
    /// Whether API keys are a source.
    has_keys: bool,
    /// What divides a path, where paths are a source.
    path_prefix: Option<PathPrefix>,
}

/// A place in a request where a tenant may be named or a credential shown.
#[derive(Debug)]
enum Source {
    Header(HeaderName),
    Subdomain(Subdomains),
    Path(PathPrefix),
    Key(ApiKeys),
    Token(Tokens),
    Certificate(Certificates),
}

/// What a request is identified by.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'h> {
    /// Its head.
    pub head: &'h Parts,
    /// Its path, as [`Identity::divide`] divides it.
    pub path: TenantPath<'h>,
    /// Where it comes from, if anybody can say: see [`client::address`].
    pub client: Option<IpAddr>,
    /// Where its connection comes from.
    pub peer: IpAddr,
    /// What its connection began with.
    pub certificate: Option<&'h ClientCertificate>,
}

/// Who is asking, for which tenant.
#[derive(Debug)]
pub struct Identified<'h> {
    /// The tenant. Whether there is one is not known yet.
    pub tenant: TenantName<'h>,
    /// Who shows a credential; nobody, where a name is believed.
    pub principal: Option<Rc<Principal>>,
    /// What may be done.
    pub scopes: Scopes,
}

/// What a request says of itself.
struct Claim<'a, 'h> {
    /// The tenant, by all that name one.
    named: Option<&'h str>,
    /// In the order of their sources.
    credentials: SmallVec<[Credential<'a, 'h>; 2]>,
}

/// Something that shows who is asking.
enum Credential<'a, 'h> {
    /// It does so at once.
    Shown(Rc<Principal>),
    /// A token, and who can tell.
    Token(&'a Tokens, &'h str),
}

/// Where somebody may try to show who they are, or has to wait.
struct Door<'a> {
    attempts: &'a Attempts,
    most: u32,
    address: IpAddr,
}

type Principals = SmallVec<[Rc<Principal>; 2]>;

impl Identity {
    /// What a configuration says. Credentials are checked by what all workers share.
    pub fn new(config: &Identify, credentials: &Arc<Credentials>) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        let mut sources = Vec::new();
        for kind in &config.sources {
            match kind {
                SourceKind::Header => {
                    sources.extend(config.headers.iter().cloned().map(Source::Header));
                }
                SourceKind::Subdomain => {
                    sources.push(Source::Subdomain(Subdomains::new(&config.subdomains)));
                }
                SourceKind::Path => sources.push(Source::Path(config.path_prefix.clone())),
                SourceKind::ApiKey => {
                    let beside_tokens = config.sources.contains(&SourceKind::Jwt);
                    let keys = credentials.api_keys.clone();
                    sources.extend(keys.map(|keys| Source::Key(ApiKeys::new(keys, beside_tokens))));
                }
                SourceKind::Jwt => {
                    sources.push(Source::Token(Tokens::new(
                        &config.issuers,
                        &credentials.keyrings,
                    )));
                }
                SourceKind::Certificate => {
                    let rule = config.certificate.clone();
                    sources.extend(
                        rule.map(|rule| Source::Certificate(Certificates::new(rule, generation))),
                    );
                }
            }
        }
        let has_path = config.sources.contains(&SourceKind::Path);
        let has_keys = sources
            .iter()
            .any(|source| matches!(source, Source::Key(_)));
        Self {
            sources,
            authentication: config.authentication.clone(),
            credentials: credentials.clone(),
            max_failures_per_minute: config.max_failures_per_minute,
            has_keys,
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

    /// Who is asking, for the one tenant that the request is for.
    ///
    /// # Errors
    /// It is for none or for several, it shows no credential that is required, or one that is not
    /// good, or not for this tenant.
    pub async fn identify<'h>(&self, asked: &Asked<'h>) -> Result<Identified<'h>, IdentifyError> {
        let claim = self.read(asked)?;
        let mut principals = Principals::new();
        for credential in &claim.credentials {
            principals.push(match credential {
                Credential::Shown(principal) => principal.clone(),
                Credential::Token(tokens, token) => match tokens.known(token) {
                    Some(principal) => principal,
                    None => Box::pin(self.verify(tokens, token, asked)).await?,
                },
            });
        }
        self.decide(claim.named, principals, asked.client)
    }

    fn door(&self, asked: &Asked<'_>) -> Door<'_> {
        Door {
            attempts: &self.credentials.attempts,
            most: self.max_failures_per_minute,
            address: asked.client.unwrap_or(asked.peer),
        }
    }

    /// Whom a token shows that this worker does not know.
    async fn verify(
        &self,
        tokens: &Tokens,
        token: &str,
        asked: &Asked<'_>,
    ) -> Result<Rc<Principal>, IdentifyError> {
        let door = self.door(asked);
        door.admit()?;
        let verified = tokens.verify(token).await;
        if let Err(IdentifyError::Token(_)) = &verified {
            door.failed();
        }
        verified
    }

    /// What the request says of itself, read in the order of the sources.
    fn read<'a, 'h>(&'a self, asked: &Asked<'h>) -> Result<Claim<'a, 'h>, IdentifyError> {
        let mut found: Option<(&'h str, &Source)> = None;
        let mut credentials = SmallVec::new();
        for source in &self.sources {
            let tenant = match source {
                Source::Header(name) => header::tenant(&asked.head.headers, name)?,
                Source::Subdomain(subdomains) => subdomains.tenant(asked.head)?,
                Source::Path(prefix) => asked.path.tenant(prefix)?,
                Source::Key(keys) => {
                    let found = |principal| credentials.push(Credential::Shown(principal));
                    keys.principals(&asked.head.headers, &self.door(asked), found)?;
                    continue;
                }
                Source::Token(tokens) => {
                    if let Some(Authorization::Bearer(token)) =
                        authorization::read(&asked.head.headers)?
                        && !(self.has_keys && token.starts_with(key::PREFIX))
                    {
                        credentials.push(Credential::Token(tokens, token));
                    }
                    continue;
                }
                Source::Certificate(certificates) => {
                    if let Some(shown) = asked.certificate {
                        credentials.push(Credential::Shown(certificates.principal(shown)?));
                    }
                    continue;
                }
            };
            match (tenant, found) {
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
        Ok(Claim {
            named: found.map(|(tenant, _)| tenant),
            credentials,
        })
    }

    /// Every credential that is shown has to be good for the tenant; the first stands for the
    /// request in logs.
    fn decide<'h>(
        &self,
        named: Option<&'h str>,
        principals: Principals,
        client: Option<IpAddr>,
    ) -> Result<Identified<'h>, IdentifyError> {
        let Some(first) = principals.first() else {
            return self.believe_name(named, client);
        };
        let sole = || principals.iter().find(|p| p.tenants.sole().is_some());
        let tenant = match named {
            Some(tenant) => TenantName::Named(tenant),
            None => TenantName::Sole(sole().cloned().ok_or_else(|| IdentifyError::Choose {
                credential: first.kind,
                expected: self.expected(Source::is_name),
            })?),
        };
        if let Some(other) = principals
            .iter()
            .find(|p| !p.tenants.allow(tenant.as_str()))
        {
            return Err(IdentifyError::NotAllowed(other.kind));
        }
        let scopes = principals.iter().map(|p| p.scopes_for(tenant.as_str()));
        let scopes = scopes.fold(Scopes::ALL, Scopes::and);
        Ok(Identified {
            tenant,
            scopes,
            principal: principals.into_iter().next(),
        })
    }

    /// A name without a credential is believed where that is not required, from networks that are
    /// trusted.
    fn believe_name<'h>(
        &self,
        named: Option<&'h str>,
        client: Option<IpAddr>,
    ) -> Result<Identified<'h>, IdentifyError> {
        let is_trusted = match &self.authentication {
            Authentication::Required => false,
            Authentication::TrustedNetwork(networks) => {
                let within = |client| networks.iter().any(|network| network.contains(&client));
                networks.is_empty() || client.is_some_and(within)
            }
        };
        let has_credentials = || self.sources.iter().any(|source| !source.is_name());
        let has_names = || self.sources.iter().any(Source::is_name);
        match named {
            Some(tenant) if is_trusted => Ok(Identified {
                tenant: TenantName::Named(tenant),
                principal: None,
                scopes: Scopes::ALL,
            }),
            None if is_trusted && has_names() => Err(IdentifyError::Missing {
                expected: self.expected(|_| true),
            }),
            Some(_) if !has_credentials() => Err(IdentifyError::UntrustedNetwork),
            None if !has_credentials() => Err(IdentifyError::Missing {
                expected: self.expected(|_| true),
            }),
            named => Err(IdentifyError::Unauthenticated {
                expected: self.expected(|source| !source.is_name()),
                named: named.is_some(),
                basic: self.has_keys,
            }),
        }
    }

    fn expected(&self, of: impl Fn(&Source) -> bool) -> String {
        let fitting = self.sources.iter().filter(|source| of(source));
        let places: Vec<_> = fitting.map(Source::describe).collect();
        places.join(" or ")
    }
}

impl Door<'_> {
    /// An address that came with too many credentials that were none has to wait, whatever it
    /// shows: otherwise the right guess would get through.
    fn admit(&self) -> Result<(), IdentifyError> {
        match self.attempts.wait(self.address, self.most, Instant::now()) {
            None => Ok(()),
            Some(wait) => Err(IdentifyError::TooManyFailures {
                address: self.address,
                wait,
            }),
        }
    }

    fn failed(&self) {
        let now = Instant::now();
        self.attempts.failed(self.address, self.most, now);
    }
}

impl Source {
    /// Whether it names a tenant, and shows nothing.
    fn is_name(&self) -> bool {
        match self {
            Self::Header(_) | Self::Subdomain(_) | Self::Path(_) => true,
            Self::Key(_) | Self::Token(_) | Self::Certificate(_) => false,
        }
    }

    /// What to tell a client that did not use it.
    fn describe(&self) -> String {
        match self {
            Self::Header(name) => header::describe(name),
            Self::Subdomain(subdomains) => subdomains.describe(),
            Self::Path(prefix) => path::describe(prefix),
            Self::Key(_) => "an API key".into(),
            Self::Token(_) => "a bearer token".into(),
            Self::Certificate(_) => "a client certificate".into(),
        }
    }
}

#[cfg(test)]
mod tests;
