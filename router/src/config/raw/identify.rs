//! `identify` as it is written.

use serde::Deserialize;

use super::TenantHeader;
use crate::config::{BaseDomain, PathPrefix, SourceKind};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawIdentify {
    pub(in crate::config) sources: Vec<SourceKind>,
    pub(in crate::config) headers: Vec<TenantHeader>,
    pub(in crate::config) subdomains: Vec<BaseDomain>,
    pub(in crate::config) path_prefix: PathPrefix,
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
        }
    }
}
