//! `admin`, `keys` and `audit` as they are written: who may change what, and where that is told.

use std::path::PathBuf;

use serde::Deserialize;

use super::identify::{RawIssuers, RawOperatorIssuer};
use crate::config::Role;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawAdmin {
    pub(in crate::config) token_file: Option<PathBuf>,
    pub(in crate::config) token_env: Option<String>,
    pub(in crate::config) operators: Vec<RawOperator>,
    pub(in crate::config) jwt: RawIssuers<RawOperatorIssuer>,
    pub(in crate::config) max_failures_per_minute: u32,
    pub(in crate::config) tls: Option<RawAdminTls>,
    pub(in crate::config) argocd: RawArgocd,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawArgocd {
    pub(in crate::config) token_file: Option<PathBuf>,
    pub(in crate::config) token_env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawOperator {
    pub(in crate::config) name: String,
    pub(in crate::config) role: Role,
    #[serde(default)]
    pub(in crate::config) token_sha256: Option<String>,
    #[serde(default)]
    pub(in crate::config) certificate: Option<RawCertificate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawCertificate {
    pub(in crate::config) common_name: Option<String>,
    pub(in crate::config) san: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "as they are written, and as elsewhere"
)]
pub(in crate::config) struct RawAdminTls {
    pub(in crate::config) cert_file: PathBuf,
    pub(in crate::config) key_file: PathBuf,
    #[serde(default)]
    pub(in crate::config) client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawKeys {
    pub(in crate::config) secret_file: Option<PathBuf>,
    pub(in crate::config) secret_env: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawAudit {
    pub(in crate::config) log: RawAuditLog,
}

/// `none`, `stdout`, or a file.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::config) struct RawAuditLog(pub(in crate::config) PathBuf);

impl Default for RawAdmin {
    fn default() -> Self {
        Self {
            token_file: None,
            token_env: None,
            operators: Vec::new(),
            jwt: RawIssuers::default(),
            max_failures_per_minute: 60,
            tls: None,
            argocd: RawArgocd::default(),
        }
    }
}

impl Default for RawAudit {
    fn default() -> Self {
        Self {
            log: RawAuditLog("none".into()),
        }
    }
}
