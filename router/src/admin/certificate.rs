//! What a client certificate says of its holder. rustls has verified it before.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use crate::config::CertificateName;

/// The names in a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The subject's common names.
    common_names: Vec<String>,
    /// The alternative names of DNS, e-mail and URI kind.
    alternative_names: Vec<String>,
}

impl Certificate {
    /// What a client showed; `None` if nothing, or nothing that can be read.
    pub(super) fn of(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let chain = stream.get_ref().1.peer_certificates()?;
        Self::read(chain.first()?)
    }

    /// Whether it has this name. Compared whole: no wildcards, no suffixes.
    pub(super) fn has(&self, name: &CertificateName) -> bool {
        match name {
            // A subject with two common names could be meant to be mistaken for another.
            CertificateName::CommonName(name) => {
                matches!(&self.common_names[..], [only] if only == name)
            }
            CertificateName::AlternativeName(name) => self.alternative_names.contains(name),
        }
    }

    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(Self {
            common_names: common_names(&certificate),
            alternative_names: alternative_names(&certificate),
        })
    }
}

fn common_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject().iter_common_name();
    names
        .map(|name| name.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
                Some((*name).to_owned())
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_are_compared_whole() {
        let mut params = CertificateParams::new(vec!["ci.acme.example".into()]).expect("names");
        let uri = "spiffe://acme/ci".try_into().expect("a URI");
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name.push(DnType::CommonName, "alice");
        let key = KeyPair::generate().expect("a key");
        let der = params.self_signed(&key).expect("a certificate");
        let certificate = Certificate::read(der.der()).expect("read");
        let common = |name: &str| certificate.has(&CertificateName::CommonName(name.into()));
        let other = |name: &str| certificate.has(&CertificateName::AlternativeName(name.into()));
        assert!(common("alice") && other("ci.acme.example") && other("spiffe://acme/ci"));
        for name in [
            "",
            "Alice",
            "alice ",
            "ci.acme.example",
            "acme.example",
            "*",
        ] {
            assert!(!common(name), "{name}");
        }
        for name in [
            "",
            "alice",
            "CI.acme.example",
            "acme.example",
            "spiffe://acme",
        ] {
            assert!(!other(name), "{name}");
        }
        assert_eq!(Certificate::read(b"no certificate"), None);
    }
}
