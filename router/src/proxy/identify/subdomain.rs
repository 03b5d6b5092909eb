//! The host a request asks: `acme.obs.example.com` below a configured `obs.example.com`.
//!
//! A host is where proxies, caches and browsers disagree about case, dots, ports and escapes. Here
//! it has one form; every other that could mean a tenant is refused rather than read.

use http::{HeaderValue, header, request::Parts};
use tenant_store::model::TenantId;
use thiserror::Error;

use super::{IdentifyError, Malformed};
use crate::config::BaseDomain;

/// The domains below which tenants have their names, the longest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subdomains(Box<[BaseDomain]>);

/// Why a host can't be trusted to name a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostFault {
    /// Two `Host` headers, or one that differs from the target's own authority.
    #[error("two are given, send one Host")]
    Several,
    /// `user@` in front of it.
    #[error("it has a user in front of it")]
    UserInfo,
    /// Something that no host is made of, or a port that is none.
    #[error("it is no host name, or its port is no number")]
    NotAHost,
    /// In upper case, or with the root's dot.
    #[error("write it in lower case, and without a dot at its end")]
    Form,
    /// `xn--`, which shows itself as other characters.
    #[error("a tenant has no international name, write its id")]
    International,
}

impl Subdomains {
    pub(super) fn new(domains: &[BaseDomain]) -> Self {
        Self(domains.into())
    }

    pub(super) fn tenant<'h>(&self, head: &'h Parts) -> Result<Option<&'h str>, IdentifyError> {
        let Some(host) = host(head)? else {
            return Ok(None);
        };
        let bare = host.strip_suffix('.').unwrap_or(host);
        let Some(label) = self
            .0
            .iter()
            .find_map(|domain| below(bare, domain.as_str()))
        else {
            return Ok(None);
        };
        if label.is_empty() {
            return Ok(None);
        }
        let written = host.bytes().any(|byte| byte.is_ascii_uppercase()) || host != bare;
        if written {
            return Err(HostFault::Form.into());
        }
        if label.starts_with("xn--") {
            return Err(HostFault::International.into());
        }
        match TenantId::check(label) {
            Ok(()) => Ok(Some(label)),
            Err(reason) => Err(IdentifyError::Malformed {
                place: self.describe(),
                reason: Malformed::NotAnId(reason),
            }),
        }
    }

    pub(super) fn describe(&self) -> String {
        let names: Vec<_> = self
            .0
            .iter()
            .map(|domain| format!("{{tenant}}.{domain}"))
            .collect();
        format!("the host {}", names.join(" or "))
    }
}

/// The host that is asked, without its port. `None` for an address, or if none is told.
fn host(head: &Parts) -> Result<Option<&str>, HostFault> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let told = hosts.next().map(HeaderValue::to_str).transpose();
    let told = told.map_err(|_| HostFault::NotAHost)?;
    if hosts.next().is_some() {
        return Err(HostFault::Several);
    }
    let target = head.uri.authority().map(http::uri::Authority::as_str);
    let whole = match (target, told) {
        (Some(target), Some(told)) if !target.eq_ignore_ascii_case(told) => {
            return Err(HostFault::Several);
        }
        (Some(target), _) => target,
        (None, Some(told)) => told,
        (None, None) => return Ok(None),
    };
    if whole.contains('@') {
        return Err(HostFault::UserInfo);
    }
    if whole.is_empty() || whole.starts_with('[') {
        return Ok(None);
    }
    let (name, port) = whole.split_once(':').unwrap_or((whole, "0"));
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if is_name && port.parse::<u16>().is_ok() && !port.starts_with('+') {
        Ok(Some(name))
    } else {
        Err(HostFault::NotAHost)
    }
}

/// What stands below a domain; empty for the domain itself.
fn below<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let split = host.len().checked_sub(domain.len())?;
    // Both are ASCII.
    let (front, back) = host.split_at(split);
    if !back.eq_ignore_ascii_case(domain) {
        return None;
    }
    if front.is_empty() {
        return Some(front);
    }
    front.strip_suffix('.')
}
