//! A client certificate that names its tenant in a place the operator chose.
//!
//! That the certificate is one of the listener's authority was settled by the TLS handshake. Here
//! its names are read: the whole name has to fit the pattern, and what stands in the place of the
//! tenant has to be one.

use std::{rc::Rc, time::SystemTime};

use tenant_store::model::{Scopes, TenantId};

use super::{CredentialKind, IdentifyError, Principal, Tenants};
use crate::{
    config::{CertificateField, CertificateRule},
    connection::ClientCertificate,
};

/// What certificates entitle to.
#[derive(Debug)]
pub(super) struct Certificates {
    rule: CertificateRule,
    /// Tells what was made by other rules.
    generation: u64,
}

impl Certificates {
    pub(super) fn new(rule: CertificateRule, generation: u64) -> Self {
        Self { rule, generation }
    }

    pub(super) fn principal(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<Rc<Principal>, IdentifyError> {
        // A connection may outlive what it began with.
        if certificate.not_after() < SystemTime::now() {
            return Err(IdentifyError::CertificateExpired);
        }
        if let Some(known) = certificate.remembered(self.generation) {
            return Ok(known);
        }
        let principal = Rc::new(self.read(certificate)?);
        certificate.remember(self.generation, principal.clone());
        Ok(principal)
    }

    fn read(&self, certificate: &ClientCertificate) -> Result<Principal, IdentifyError> {
        let CertificateRule {
            field,
            pattern,
            all_tenants,
        } = &self.rule;
        let names = || certificate.names(*field);
        let is_for_all = names().any(|name| all_tenants.iter().any(|all| all == name));
        let tenants = if is_for_all {
            Some(Tenants::All)
        } else {
            let fitting = names().filter_map(|name| pattern.tenant(name));
            Tenants::listed(
                fitting
                    .filter_map(|text| text.parse::<TenantId>().ok())
                    .collect(),
            )
        };
        let tenants = tenants.ok_or_else(|| {
            let what = format!("{} such as {pattern}", self.kind_of_name());
            IdentifyError::CertificateWithoutTenant(what)
        })?;
        Ok(Principal {
            kind: CredentialKind::Certificate,
            subject: certificate.subject().into(),
            tenants,
            scopes: Scopes::ALL,
            owner: None,
        })
    }

    fn kind_of_name(&self) -> &'static str {
        match self.rule.field {
            CertificateField::SanDns => "DNS name",
            CertificateField::SanUri => "URI",
            CertificateField::SanEmail => "mail address",
            CertificateField::SubjectCn => "common name",
        }
    }
}
