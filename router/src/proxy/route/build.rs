//! Builds a tenant's route: parses nothing per request, because all of it is parsed here.
//!
//! Runs on the control runtime; it reads secret and certificate files.

use std::{
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use health::{DeepCheck, Monitor, Resolver, Target};
use http::{HeaderValue, uri::Authority};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tenant_store::model::{
    Deployment, Endpoint, EndpointProtocol, Features, HealthCheck, SecretSource, Signal, Status,
    Tenant, TenantRecord, TierDefinition, UpstreamAuth, UpstreamTls,
};
use thiserror::Error;

use super::{
    DeploymentRoute, DeploymentState, Peer, PeerTls, TenantRoute,
    named::Expanded,
    pattern::Pattern,
    peer::{PeerHost, PeerKey, Peers},
    probe,
};
use crate::{
    config::Picking,
    proxy::pick::Rules,
    telemetry::Telemetry,
    tiers::Tiers,
    tls::{self, TlsFault},
};

/// Builds routes, and keeps what their endpoints have in common.
#[derive(Debug)]
pub struct RouteBuilder {
    telemetry: Arc<Telemetry>,
    pub(super) monitor: Arc<Monitor>,
    /// Without one, names are resolved anew for each connection.
    pub(super) resolver: Option<Arc<Resolver>>,
    roots: Arc<rustls::RootCertStore>,
    tiers: Arc<Tiers>,
    clear_client: reqwest::Client,
    /// For services whose records are not known yet.
    waiting_client: reqwest::Client,
    picking: Picking,
    pub(super) peers: Peers,
    /// Nearly all endpoints of a signal are looked at in the same way.
    deep_checks: Mutex<HashSet<Arc<DeepCheck>>>,
}

/// What the endpoints of a deployment have in common, read once for all of them.
struct Checked<'a> {
    deployment: &'a Deployment,
    signal: Signal,
    check: &'a HealthCheck,
    terms: Option<Arc<health::ProbeTerms>>,
    authorization: Option<Arc<HeaderValue>>,
}

/// Why a deployment can't be spoken to. Kept in the route: its requests are refused, those of the
/// tenant's other signals are not.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RouteFault {
    /// A secret can't be read.
    #[error("can't read the secret file {path}: {source}")]
    SecretFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An environment variable is not set.
    #[error("the environment variable {0} for a secret is not set")]
    SecretEnv(String),
    /// A secret has characters that no header can carry.
    #[error("the secret in {0} has characters that an HTTP header can't carry")]
    SecretForm(String),
    /// Certificates can't be read or used.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The host can't be verified by TLS.
    #[error("{0:?} is no name that a certificate could be for; set tls.server_name")]
    ServerName(String),
    /// The URL's host and port make no authority.
    #[error("the endpoint {0} can't be addressed")]
    Authority(String),
    /// No HTTP client for the probes.
    #[error("can't set up probes: {0}")]
    Probe(#[source] reqwest::Error),
}

impl RouteBuilder {
    /// A builder whose HTTPS endpoints are verified against `roots` unless they say otherwise, and
    /// whose tenants inherit from `tiers`.
    ///
    /// # Errors
    /// No HTTP client can be set up for the probes.
    pub fn new(
        telemetry: Arc<Telemetry>,
        monitor: Arc<Monitor>,
        roots: Arc<rustls::RootCertStore>,
        tiers: Arc<Tiers>,
    ) -> Result<Self, RouteFault> {
        let clear_client = health::client_builder()
            .build()
            .map_err(RouteFault::Probe)?;
        Ok(Self {
            telemetry,
            monitor,
            resolver: None,
            roots,
            tiers,
            clear_client,
            waiting_client: probe::waiting_client().map_err(RouteFault::Probe)?,
            picking: Picking::default(),
            peers: Peers::default(),
            deep_checks: Mutex::default(),
        })
    }

    /// Has names looked up in the background: each address of one is an endpoint.
    #[must_use]
    pub fn resolving(mut self, resolver: Arc<Resolver>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Picks endpoints by what the configuration says of this router.
    #[must_use]
    pub fn picking(mut self, picking: Picking) -> Self {
        self.picking = picking;
        self
    }

    /// Builds the route of a record; `previous` is that of the revision before.
    pub fn build(&self, record: &TenantRecord, previous: Option<&TenantRoute>) -> TenantRoute {
        let tenant = &record.tenant;
        let tier = self.tier(tenant);
        let deployments = Signal::ALL.map(|signal| {
            let deployment = tenant.deployments[signal].as_ref()?;
            let before = previous.and_then(|route| route.deployment(signal));
            Some(Arc::new(
                self.deployment(tenant, &tier, signal, deployment, before),
            ))
        });
        TenantRoute {
            id: tenant.id.clone(),
            display_name: tenant.display_name.as_deref().map(Into::into),
            maintenance: tenant.maintenance.clone().map(Box::new),
            status: tenant.status,
            withdrawn_here: tenant.status != Status::Active
                && previous
                    .is_some_and(|before| before.status == Status::Active || before.withdrawn_here),
            objective: tenant.slo.or(tier.slo).availability,
            off: Features::switched_off(tenant, Some(&tier)),
            tier,
            deployments,
        }
    }

    /// The tenant's tier. One that is not there gives nothing and forbids nothing.
    fn tier(&self, tenant: &Tenant) -> Arc<TierDefinition> {
        self.tiers.get(&tenant.tier).unwrap_or_else(|| {
            tracing::error!(tenant = %tenant.id, tier = %tenant.tier, "there is no such tier");
            Arc::new(TierDefinition::plain(tenant.tier.clone()))
        })
    }

    fn deployment(
        &self,
        tenant: &Tenant,
        tier: &TierDefinition,
        signal: Signal,
        deployment: &Deployment,
        before: Option<&DeploymentRoute>,
    ) -> DeploymentRoute {
        let shared = before.map_or_else(|| self.state(tenant, signal), |b| b.shared.clone());
        let check = deployment.health_check.inherit(tenant.health, tier.health);
        let (expanded, fault) = match self.endpoints(deployment, signal, &check) {
            Ok(expanded) => (expanded, None),
            Err(fault) => {
                tracing::error!(tenant = %tenant.id, %signal, error = %fault, "deployment can't be spoken to");
                (Expanded::default(), Some(fault))
            }
        };
        DeploymentRoute {
            signal,
            timeout: deployment.timeout.0,
            rules: Rules {
                policy: deployment.policy,
                max_ejected: self.picking.max_ejected,
            },
            is_mixed: super::choice::is_mixed(&expanded.endpoints),
            endpoints: expanded.endpoints.into(),
            names: expanded.names.into(),
            turn: AtomicU32::new(before.map_or(0, |b| b.turn.load(Ordering::Relaxed))),
            shared,
            fault,
        }
    }

    fn state(&self, tenant: &Tenant, signal: Signal) -> Arc<DeploymentState> {
        Arc::new(DeploymentState {
            tenant: tenant.id.clone(),
            signal,
            telemetry: self.telemetry.clone(),
            counts: OnceLock::new(),
            budget: super::RetryBudget::default(),
            hedging: OnceLock::new(),
            reread: Mutex::default(),
        })
    }

    fn endpoints(
        &self,
        deployment: &Deployment,
        signal: Signal,
        check: &HealthCheck,
    ) -> Result<Expanded, RouteFault> {
        let checked = Checked {
            deployment,
            signal,
            check,
            terms: probe::terms(check),
            authorization: authorization_of(deployment)?,
        };
        let mut expanded = Expanded::default();
        for (n, endpoint) in deployment.endpoints.iter().enumerate() {
            let pattern = self.pattern(endpoint, &checked)?;
            let following = deployment.endpoints.len() - n - 1;
            expanded.add(self, pattern, self.record(&endpoint.url), following)?;
        }
        Ok(expanded)
    }

    fn pattern(&self, endpoint: &Endpoint, checked: &Checked<'_>) -> Result<Pattern, RouteFault> {
        let url = &endpoint.url;
        let (tls, check) = (checked.deployment.tls.as_ref(), checked.check);
        let authorization = checked.authorization.clone();
        let called: Arc<str> = url.authority().into();
        let unusable = || RouteFault::Authority(called.to_string());
        let authority: Authority = url.as_url().authority().parse().map_err(|_| unusable())?;
        let target = Target {
            url: probe::url(url, tls, check).into(),
            address: None,
            of: None,
            name: called.clone(),
            probe: probe::spec(check),
            terms: checked.terms.clone(),
            deep: probe::deep(check, checked.signal, endpoint).map(|deep| self.shared(deep)),
            client: self.clear_client.clone(),
            authorization: authorization.clone(),
            identity: identity(&Self::key(endpoint, tls), authorization.as_deref()),
        };
        Ok(Pattern {
            origin: self.peer(endpoint, tls)?,
            called,
            authority,
            base_path: url.base_path().into(),
            authorization,
            target,
            zone: endpoint.zone.as_deref().map(Into::into),
            is_near: endpoint.zone.is_some() && endpoint.zone == self.picking.zone,
            priority: endpoint.priority,
            weight: endpoint.weight,
            draining: endpoint.drain,
        })
    }

    /// The one deep check like this.
    fn shared(&self, check: DeepCheck) -> Arc<DeepCheck> {
        let mut checks = self.deep_checks.lock();
        if let Some(known) = checks.get(&check) {
            return known.clone();
        }
        if checks.len() > 1024 && checks.len().is_power_of_two() {
            checks.retain(|check| Arc::strong_count(check) > 1);
        }
        let check = Arc::new(check);
        checks.insert(check.clone());
        check
    }

    /// The one peer for this endpoint, shared with all that mean the same.
    fn peer(
        &self,
        endpoint: &Endpoint,
        tls: Option<&UpstreamTls>,
    ) -> Result<Arc<Peer>, RouteFault> {
        let key = Self::key(endpoint, tls);
        self.peers.named(key, |id| self.new_peer(id, endpoint, tls))
    }

    fn key(endpoint: &Endpoint, tls: Option<&UpstreamTls>) -> PeerKey {
        let tls = tls.filter(|_| endpoint.url.is_https());
        PeerKey {
            https: endpoint.url.is_https(),
            authority: endpoint.url.authority(),
            protocol: endpoint.protocol,
            tls: tls.map(|tls| Box::new((tls.clone(), tls::fingerprint(tls)))),
        }
    }

    fn new_peer(
        &self,
        id: u64,
        endpoint: &Endpoint,
        tls: Option<&UpstreamTls>,
    ) -> Result<Peer, RouteFault> {
        let url = &endpoint.url;
        let tls = if url.is_https() {
            Some(self.peer_tls(endpoint, tls)?)
        } else {
            None
        };
        Ok(Peer {
            id,
            host: PeerHost::of(url),
            port: url.as_url().port_or_known_default().unwrap_or_default(),
            protocol: endpoint.protocol,
            tls,
            origin: None,
        })
    }

    /// Probes in clear share one client; with TLS a client belongs to its peer's settings.
    pub(super) fn probe_client(&self, peer: &Peer) -> Result<reqwest::Client, RouteFault> {
        let Some(tls) = peer.tls() else {
            return Ok(match peer.host() {
                PeerHost::Service(_) => self.waiting_client.clone(),
                PeerHost::Address(_) | PeerHost::Name(_) => self.clear_client.clone(),
            });
        };
        probe::client(tls, peer.host()).map_err(RouteFault::Probe)
    }

    fn peer_tls(
        &self,
        endpoint: &Endpoint,
        tls: Option<&UpstreamTls>,
    ) -> Result<PeerTls, RouteFault> {
        let host = endpoint.url.as_url().host_str().unwrap_or_default();
        let host = endpoint.url.service().unwrap_or(host);
        let name = tls
            .and_then(|tls| tls.server_name.as_deref())
            .unwrap_or(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(bare.to_owned())
            .map_err(|_| RouteFault::ServerName(name.to_owned()))?;
        let alpn: &[u8] = match endpoint.protocol {
            EndpointProtocol::Http1 => b"http/1.1",
            EndpointProtocol::Http2 => b"h2",
        };
        let config = tls::client_config(&self.roots, tls, alpn)?;
        Ok(PeerTls {
            server_name,
            config,
        })
    }
}

/// Tells apart endpoints that are to be judged apart: a probe with an old password says nothing of
/// one with a new password.
fn identity(key: &PeerKey, authorization: Option<&HeaderValue>) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    authorization.map(HeaderValue::as_bytes).hash(&mut hasher);
    hasher.finish()
}

fn authorization_of(deployment: &Deployment) -> Result<Option<Arc<HeaderValue>>, RouteFault> {
    let auth = deployment.auth.as_ref();
    Ok(auth.map(authorization).transpose()?.map(Arc::new))
}

/// The header that carries a deployment's credentials; reads the secret where it is kept.
///
/// # Errors
/// The secret can't be read, or no header can carry it.
pub(crate) fn authorization(auth: &UpstreamAuth) -> Result<HeaderValue, RouteFault> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let (text, source) = match auth {
        UpstreamAuth::Basic { username, password } => {
            let pair = format!("{username}:{}", secret(password)?);
            (format!("Basic {}", BASE64_STANDARD.encode(pair)), password)
        }
        UpstreamAuth::Bearer { token } => (format!("Bearer {}", secret(token)?), token),
    };
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| RouteFault::SecretForm(describe(source)))?;
    value.set_sensitive(true);
    Ok(value)
}

fn secret(source: &SecretSource) -> Result<String, RouteFault> {
    match source {
        SecretSource::File(path) => read_secret(path),
        SecretSource::Env(name) => {
            std::env::var(name).map_err(|_| RouteFault::SecretEnv(name.clone()))
        }
    }
}

fn read_secret(path: &Path) -> Result<String, RouteFault> {
    let text = fs::read_to_string(path).map_err(|source| RouteFault::SecretFile {
        path: path.into(),
        source,
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn describe(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => path.display().to_string(),
        SecretSource::Env(name) => name.clone(),
    }
}
