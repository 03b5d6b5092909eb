//! What a client certificate says of its owner, read once for a connection.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::{config::CertificateField, proxy::identify::Principal};

/// A client certificate that the listener's authority vouches for.
#[derive(Debug)]
pub struct ClientCertificate {
    subject: Box<str>,
    names: Box<[(CertificateField, Box<str>)]>,
    not_after: SystemTime,
    /// What it entitles to, and by which rules.
    remembered: RefCell<Option<(u64, Rc<Principal>)>>,
}

/// A certificate passed the handshake and can't be read all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client certificate can't be read")]
pub struct UnreadableCertificate;

impl ClientCertificate {
    /// Reads one.
    ///
    /// # Errors
    /// It is no X.509 certificate, or its alternative names are garbled.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, UnreadableCertificate> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| UnreadableCertificate)?;
        let common_names = certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| Some((CertificateField::SubjectCn, name.as_str().ok()?.into())));
        let mut names: Vec<_> = common_names.collect();
        let alternatives = certificate
            .subject_alternative_name()
            .map_err(|_| UnreadableCertificate)?;
        for name in alternatives
            .iter()
            .flat_map(|names| &names.value.general_names)
        {
            match name {
                GeneralName::DNSName(name) => {
                    names.push((CertificateField::SanDns, (*name).into()));
                }
                GeneralName::URI(name) => names.push((CertificateField::SanUri, (*name).into())),
                GeneralName::RFC822Name(name) => {
                    names.push((CertificateField::SanEmail, (*name).into()));
                }
                _ => {}
            }
        }
        let not_after = certificate.validity().not_after.timestamp();
        let not_after = Duration::from_secs(u64::try_from(not_after).unwrap_or_default());
        Ok(Self {
            subject: certificate.subject().to_string().into(),
            names: names.into(),
            not_after: SystemTime::UNIX_EPOCH + not_after,
            remembered: RefCell::default(),
        })
    }

    /// The subject's distinguished name, for logs.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// All names of a kind.
    pub fn names(&self, field: CertificateField) -> impl Iterator<Item = &str> {
        let fitting = self.names.iter().filter(move |(kind, _)| *kind == field);
        fitting.map(|(_, name)| &**name)
    }

    /// From when on it is good no longer.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(crate) fn remembered(&self, generation: u64) -> Option<Rc<Principal>> {
        let remembered = self.remembered.borrow();
        let (by, principal) = remembered.as_ref()?;
        (*by == generation).then(|| principal.clone())
    }

    pub(crate) fn remember(&self, generation: u64, principal: Rc<Principal>) {
        *self.remembered.borrow_mut() = Some((generation, principal));
    }
}
