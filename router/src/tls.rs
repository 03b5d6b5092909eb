//! TLS on either side, by rustls: certificates from PEM files, verification that can't be
//! switched off.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tenant_store::model::UpstreamTls;
use thiserror::Error;

use crate::config::{AdminTls, TlsFiles};

/// Why certificates can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// A PEM file can't be read or has nothing of use in it.
    #[error("can't read {what} from {path}: {source}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it was not found.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM file holds no certificate.
    #[error("there is no certificate in {0}")]
    NoCertificate(PathBuf),
    /// A certificate file without its key file, or the other way round.
    #[error("cert_file and key_file go together: one of them is missing")]
    Pair,
    /// rustls refuses what was read.
    #[error("can't use the certificate in {path}: {source}")]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The authorities for client certificates can't be used.
    #[error("can't verify client certificates by {path}: {source}")]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
}

/// Makes ring the process's cryptography. Harmless when done again.
pub fn install_crypto() {
    // An error means that somebody was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The authorities this machine trusts. Those that can't be read are logged and left out.
pub fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted authority can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::debug!(unusable, "some trusted authorities are of no use to rustls");
    }
    roots
}

/// How to talk to an HTTPS endpoint that speaks `alpn`.
///
/// # Errors
/// A file can't be read, or rustls refuses what is in it.
pub fn client_config(
    system: &Arc<RootCertStore>,
    tls: Option<&UpstreamTls>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, TlsFault> {
    let roots = match tls.and_then(|tls| tls.ca_file.as_deref()) {
        None => system.clone(),
        Some(path) => Arc::new(read_roots(path)?),
    };
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let identity = tls.map_or((None, None), |t| {
        (t.cert_file.as_deref(), t.key_file.as_deref())
    });
    let mut config = match identity {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(read_chain(cert)?, read_key(key)?)
            .map_err(|source| TlsFault::Refused {
                path: cert.into(),
                source,
            })?,
        (Some(_), None) | (None, Some(_)) => return Err(TlsFault::Pair),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}

/// How a listener shows itself, and which client certificates it takes: HTTP/2 and HTTP/1.1 by
/// ALPN.
///
/// # Errors
/// A file can't be read, or certificate, key and authority are of no use.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsFault> {
    let builder = ServerConfig::builder();
    let builder = match &files.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let roots = Arc::new(read_roots(&clients.ca_file)?);
            let verifier = WebPkiClientVerifier::builder(roots);
            let verifier = if clients.required {
                verifier.build()
            } else {
                verifier.allow_unauthenticated().build()
            };
            let verifier = verifier.map_err(|source| TlsFault::Authority {
                path: clients.ca_file.clone(),
                source,
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(read_chain(&files.cert_file)?, read_key(&files.key_file)?)
        .map_err(|source| TlsFault::Refused {
            path: files.cert_file.clone(),
            source,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// How the admin listener shows itself, and which client certificates it takes: HTTP/1.1 only. A
/// client without one is let in: it may have a token.
///
/// # Errors
/// A file can't be read, or certificate, key and authority are of no use.
pub fn admin_config(tls: &AdminTls) -> Result<Arc<ServerConfig>, TlsFault> {
    let builder = ServerConfig::builder();
    let builder = match &tls.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(read_roots(path)?);
            let verifier = WebPkiClientVerifier::builder(roots)
                .allow_unauthenticated()
                .build()
                .map_err(|source| TlsFault::Authority {
                    path: path.clone(),
                    source,
                })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(read_chain(&tls.cert_file)?, read_key(&tls.key_file)?)
        .map_err(|source| TlsFault::Refused {
            path: tls.cert_file.clone(),
            source,
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Changes when a file that the settings name changes. What can't be read has a fingerprint too:
/// the error is told when it is used.
pub fn fingerprint(tls: &UpstreamTls) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in [&tls.ca_file, &tls.cert_file, &tls.key_file]
        .into_iter()
        .flatten()
    {
        fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots.add(certificate).map_err(|source| TlsFault::Refused {
            path: path.into(),
            source,
        })?;
    }
    Ok(roots)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let fault = |source| TlsFault::Pem {
        what: "certificates",
        path: path.into(),
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(fault)?
        .collect::<Result<_, _>>()
        .map_err(fault)?;
    if chain.is_empty() {
        Err(TlsFault::NoCertificate(path.into()))
    } else {
        Ok(chain)
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsFault::Pem {
        what: "a private key",
        path: path.into(),
        source,
    })
}
