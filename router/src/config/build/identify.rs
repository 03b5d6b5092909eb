//! Who may ask, and how a request says for whom: that each source has what it needs, and that
//! nothing stands there that no source reads.

use url::Url;

use super::{Builder, DAY, MILLISECOND, MINUTE, SECOND, ZERO};
use crate::config::{
    Authentication, BaseDomain, CertificateRule, Identify, KeyLocation, KeySource, ListenerConfig,
    SourceKind, TokenIssuer,
    raw::{RawAuthentication, RawIdentify, RawIssuer, RawIssuers},
    value::{Network, TenantHeader},
};

impl Builder<'_, '_> {
    pub(super) fn identify(
        &mut self,
        raw: RawIdentify,
        listeners: &[ListenerConfig],
        has_key_secret: bool,
    ) -> Identify {
        let sources = self.sources(&raw.sources);
        let has = |kind| sources.contains(&kind);
        let headers = self.tenant_headers(raw.headers);
        if headers.is_empty() && has(SourceKind::Header) {
            let message = "expected at least one header, as identify.sources names `header`";
            self.report.fault("identify.headers", message);
        }
        let subdomains = self.subdomains(raw.subdomains);
        self.goes_with(
            "identify.subdomains",
            !subdomains.is_empty(),
            SourceKind::Subdomain,
            has(SourceKind::Subdomain),
        );
        let issuers = self.issuers(raw.jwt);
        self.goes_with(
            "identify.jwt",
            !issuers.is_empty(),
            SourceKind::Jwt,
            has(SourceKind::Jwt),
        );
        let certificate = raw.certificate.map(|raw| CertificateRule {
            field: raw.field,
            pattern: raw.pattern,
            all_tenants: raw.all_tenants,
        });
        self.goes_with(
            "identify.certificate",
            certificate.is_some(),
            SourceKind::Certificate,
            has(SourceKind::Certificate),
        );
        let asks = |listener: &ListenerConfig| {
            let tls = listener.tls.as_ref();
            tls.is_some_and(|tls| tls.clients.is_some())
        };
        if has(SourceKind::Certificate) && !listeners.iter().any(asks) {
            let message = "no listener asks clients for certificates: name who vouches for them \
                           in listen.public.tls.client_ca_file";
            self.report.fault("identify.certificate", message);
        }
        if has(SourceKind::ApiKey) && !has_key_secret {
            let message = "no API key could be checked: name the secret in keys.secret_file or \
                           keys.secret_env";
            self.report.fault("identify.sources", message);
        }
        let credentials = [SourceKind::ApiKey, SourceKind::Jwt, SourceKind::Certificate];
        let has_credentials = credentials.into_iter().any(has);
        let networks = raw.trusted_networks;
        Identify {
            authentication: self.authentication(raw.authentication, networks, has_credentials),
            sources,
            headers,
            subdomains,
            path_prefix: raw.path_prefix,
            issuers,
            certificate,
            max_failures_per_minute: self.count(
                "identify.max_failures_per_minute",
                raw.max_failures_per_minute,
                1..=1_000_000,
            ),
        }
    }

    fn authentication(
        &mut self,
        raw: RawAuthentication,
        networks: Vec<Network>,
        has_credentials: bool,
    ) -> Authentication {
        match raw {
            RawAuthentication::TrustedNetwork => {
                let networks = networks.into_iter().map(|network| network.0);
                Authentication::TrustedNetwork(networks.collect())
            }
            RawAuthentication::Required => {
                if !has_credentials {
                    let message = "nobody could get in: identify.sources names no source of \
                                   credentials, add \
                                   `api_key`, `jwt` or `certificate`";
                    self.report.fault("identify.authentication", message);
                }
                if !networks.is_empty() {
                    let message = "no network is trusted where identify.authentication is \
                                   `required`: remove one of them";
                    self.report.fault("identify.trusted_networks", message);
                }
                Authentication::Required
            }
        }
    }

    fn issuers(&mut self, raw: RawIssuers) -> Vec<TokenIssuer> {
        let (one, raw) = match raw {
            RawIssuers::One(issuer) => (true, vec![*issuer]),
            RawIssuers::Many(issuers) => (false, issuers),
        };
        let mut issuers: Vec<TokenIssuer> = Vec::new();
        for (n, issuer) in raw.into_iter().enumerate() {
            let path = if one {
                "identify.jwt".to_owned()
            } else {
                self.report.item("identify.jwt", n)
            };
            if issuers.iter().any(|known| known.issuer == issuer.issuer) {
                let message = format!("the issuer {} stands in this list twice", issuer.issuer);
                self.report.fault(&format!("{path}.issuer"), message);
            }
            issuers.push(self.issuer(&path, issuer));
        }
        issuers
    }

    fn issuer(&mut self, path: &str, raw: RawIssuer) -> TokenIssuer {
        let field = |name: &str| format!("{path}.{name}");
        for (name, is_empty) in [
            ("issuer", raw.issuer.is_empty()),
            ("audiences", raw.audiences.is_empty()),
            ("algorithms", raw.algorithms.is_empty()),
        ] {
            if is_empty {
                let message = "expected something: without, no token could be believed";
                self.report.fault(&field(name), message);
            }
        }
        if raw.scope_claim.is_none() && !raw.scopes.is_empty() {
            let message = format!("nothing reads this: name the claim in {path}.scope_claim");
            self.report.fault(&field("scopes"), message);
        }
        let location = self.key_location(path, &raw);
        let ca_file = raw.ca_file.as_ref().map(|file| {
            let path = field("ca_file");
            let file = self.document.resolve(&path, file);
            self.read(&path, &file);
            file
        });
        TokenIssuer {
            keys: KeySource {
                location,
                ca_file,
                interval: self.span(
                    &field("refresh_interval"),
                    raw.refresh_interval,
                    SECOND..=DAY,
                ),
                cooldown: self.span(
                    &field("refresh_cooldown"),
                    raw.refresh_cooldown,
                    100 * MILLISECOND..=DAY,
                ),
            },
            leeway: self.span(&field("leeway"), raw.leeway, ZERO..=5 * MINUTE),
            issuer: raw.issuer,
            audiences: raw.audiences,
            algorithms: raw.algorithms,
            tenant_claim: raw.tenant_claim,
            all_tenants: raw.all_tenants,
            scope_claim: raw.scope_claim,
            scopes: raw.scopes,
        }
    }

    /// A JWKS is in a file, at a URL, or where the issuer says.
    fn key_location(&mut self, path: &str, raw: &RawIssuer) -> KeyLocation {
        let file_path = format!("{path}.jwks_file");
        let (url_path, url) = match (&raw.jwks_file, &raw.jwks_url) {
            (Some(_), Some(_)) => {
                let message = "jwks_file and jwks_url exclude each other, name one";
                self.report.fault(&file_path, message);
                return KeyLocation::Discovery(raw.issuer.clone());
            }
            (Some(file), None) => {
                let file = self.document.resolve(&file_path, file);
                self.read(&file_path, &file);
                return KeyLocation::File(file);
            }
            (None, Some(url)) => (format!("{path}.jwks_url"), url),
            (None, None) => (format!("{path}.issuer"), &raw.issuer),
        };
        match Url::parse(url) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
                if raw.jwks_url.is_some() {
                    return KeyLocation::Url(parsed);
                }
            }
            _ => {
                let message = format!(
                    "expected a URL such as https://login.example.com, where keys are found, not \
                     {url:?}"
                );
                self.report.fault(&url_path, message);
            }
        }
        KeyLocation::Discovery(raw.issuer.clone())
    }

    fn sources(&mut self, raw: &[SourceKind]) -> Vec<SourceKind> {
        let mut sources = Vec::new();
        for (n, kind) in raw.iter().enumerate() {
            if sources.contains(kind) {
                let path = self.report.item("identify.sources", n);
                let message = format!("{} stands in this list twice", kind.as_str());
                self.report.fault(&path, message);
            } else {
                sources.push(*kind);
            }
        }
        if sources.is_empty() {
            let message = "expected at least one source, nothing else names the tenant";
            self.report.fault("identify.sources", message);
        }
        sources
    }

    fn tenant_headers(&mut self, headers: Vec<TenantHeader>) -> Vec<http::HeaderName> {
        let mut names = Vec::new();
        for (n, TenantHeader(name)) in headers.into_iter().enumerate() {
            if names.contains(&name) {
                let message = format!("the header {name} stands in this list twice");
                let path = self.report.item("identify.headers", n);
                self.report.fault(&path, message);
            } else {
                names.push(name);
            }
        }
        names
    }

    /// The longest first, so that of two domains that fit the narrower one is believed.
    fn subdomains(&mut self, raw: Vec<BaseDomain>) -> Vec<BaseDomain> {
        let mut domains = Vec::new();
        for (n, domain) in raw.into_iter().enumerate() {
            if domains.contains(&domain) {
                let message = format!("{domain} stands in this list twice");
                let path = self.report.item("identify.subdomains", n);
                self.report.fault(&path, message);
            } else {
                domains.push(domain);
            }
        }
        domains.sort_by_key(|domain| std::cmp::Reverse(domain.as_str().len()));
        domains
    }

    /// A source and what it reads go together: one without the other is a slip.
    fn goes_with(&mut self, path: &str, is_there: bool, kind: SourceKind, is_source: bool) {
        let name = kind.as_str();
        match (is_there, is_source) {
            (true, true) | (false, false) => {}
            (false, true) => {
                let message = format!("expected something, as identify.sources names `{name}`");
                self.report.fault(path, message);
            }
            (true, false) => {
                let message = format!("nothing reads this: add `{name}` to identify.sources");
                self.report.fault(path, message);
            }
        }
    }
}
