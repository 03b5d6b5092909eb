//! Who may ask, and how a request says for whom: that each source has what it needs, and that
//! nothing stands there that no source reads.

use super::Builder;
use crate::config::{BaseDomain, Identify, SourceKind, raw::RawIdentify, value::TenantHeader};

impl Builder<'_, '_> {
    pub(super) fn identify(&mut self, raw: RawIdentify) -> Identify {
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
        Identify {
            sources,
            headers,
            subdomains,
            path_prefix: raw.path_prefix,
        }
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
