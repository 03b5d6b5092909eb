//! Certificates made for one test, and TLS around sockets that know none.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::{upstream::Upstream, within};

/// An authority that issues certificates, with a folder for them.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, as what servers and clients of this test take and as files.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    key: KeyPair,
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// A TLS server that hands what it deciphers to a scripted backend.
pub(crate) struct TlsFront {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Greeting>>>,
    _serving: JoinSet<()>,
}

/// What a client said of itself when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

impl Authority {
    /// Founds one that nobody has heard of yet.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "An authority of the tests");
        let key = KeyPair::generate().expect("a key");
        let authority = Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("an authority"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        std::fs::write(authority.ca_file(), authority.issuer.pem()).expect("a file");
        authority
    }

    /// The PEM file to trust it by.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate for a DNS name or an address.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.issue_with(name, |params| {
            params.subject_alt_names = vec![match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.try_into().expect("a name")),
            }];
        })
    }

    /// Issues a certificate that says what `say` has it say; its files are called `name`.
    pub(crate) fn issue_with(
        &self,
        name: &str,
        say: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = CertificateParams::default();
        say(&mut params);
        self.sign(name, params)
    }

    /// Issues a certificate for somebody with a common name and a URI.
    pub(crate) fn issue_to(&self, common_name: &str, uri: &str) -> Identity {
        self.issue_with(common_name, |params| {
            params
                .distinguished_name
                .push(DnType::CommonName, common_name);
            params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("a URI"))];
        })
    }

    fn sign(&self, name: &str, mut params: CertificateParams) -> Identity {
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |kind: &str, pem: String| {
            let path = self.folder.path().join(format!("{name}.{kind}.pem"));
            std::fs::write(&path, pem).expect("a file");
            path
        };
        Identity {
            cert_file: file("cert", certificate.pem()),
            key_file: file("key", key.serialize_pem()),
            certificate: certificate.der().clone(),
            key,
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        roots
    }
}

impl TlsFront {
    /// Starts one in front of `upstream`. If it asks for `clients`, it lets nobody else in.
    pub(crate) async fn start(
        upstream: &Upstream,
        identity: &Identity,
        clients: Option<&Authority>,
    ) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
        let mut config = builder
            .with_single_cert(vec![identity.certificate.clone()], key)
            .expect("a certificate that fits its key");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        serving.spawn(accept(
            listener,
            acceptor,
            upstream.authority(),
            Arc::clone(&seen),
        ));
        Self {
            address,
            seen,
            _serving: serving,
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The clients it let in so far.
    pub(crate) fn greetings(&self) -> Vec<Greeting> {
        self.seen.lock().clone()
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    upstream: String,
    seen: Arc<Mutex<Vec<Greeting>>>,
) {
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
        let seen = Arc::clone(&seen);
        open.spawn(async move {
            // Clients that don't trust us leave here.
            let mut outer = acceptor.accept(stream).await?;
            let session = outer.get_ref().1;
            seen.lock().push(Greeting {
                server_name: session.server_name().map(str::to_owned),
                alpn: session.alpn_protocol().map(<[u8]>::to_vec),
                certificate: session
                    .peer_certificates()
                    .and_then(|chain| Some(chain.first()?.clone().into_owned())),
            });
            let mut inner = TcpStream::connect(upstream).await?;
            copy_bidirectional(&mut outer, &mut inner).await
        });
    }
}

/// How a client verifies a listener by `authority`, and shows itself, if it does.
pub(crate) fn client_config(authority: &Authority, identity: Option<&Identity>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(authority.roots());
    match identity {
        None => builder.with_no_client_auth(),
        Some(Identity {
            certificate, key, ..
        }) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
            let chain = vec![certificate.clone()];
            builder.with_client_auth_cert(chain, key).expect("a pair")
        }
    }
}

/// Connects to a listener by TLS, offering `alpn`. `None` if the certificate is not of `authority`.
pub(crate) async fn connect(
    address: SocketAddr,
    name: &str,
    authority: &Authority,
    alpn: &[&[u8]],
) -> Option<TlsStream<TcpStream>> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let io = within("a connection", TcpStream::connect(address))
        .await
        .expect("a listener");
    let connector = TlsConnector::from(Arc::new(config));
    within("a handshake", connector.connect(name, io))
        .await
        .ok()
}

/// Connects to a listener by TLS as somebody, or as nobody. `None` if one side does not believe the
/// other.
pub(crate) async fn connect_as(
    address: SocketAddr,
    name: &str,
    authority: &Authority,
    client: Option<&Identity>,
) -> Option<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(authority.roots());
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let key = PrivateKeyDer::try_from(client.key.serialize_der()).expect("a key");
            let chain = vec![client.certificate.clone()];
            builder.with_client_auth_cert(chain, key).expect("a pair")
        }
    };
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let io = within("a connection", TcpStream::connect(address)).await;
    let connector = TlsConnector::from(Arc::new(config));
    within(
        "a handshake",
        connector.connect(name, io.expect("a listener")),
    )
    .await
    .ok()
}

/// The certificate the other side showed.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let chain = stream.get_ref().1.peer_certificates().expect("a chain");
    chain[0].clone().into_owned()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
