//! Who may ask, as an operator writes it, and requests that show who asks.

use std::{fs, path::PathBuf, sync::Arc};

use http::{HeaderValue, header, request::Parts};
use rcgen::{CertificateParams, DnType, KeyPair};
use router::{
    config::{Config, Overrides, Settings},
    connection::ClientCertificate,
    credentials::Credentials,
    proxy::identify::Identity,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    World, query,
    signer::{Signer, jwks},
};

/// What the request path makes of this `identify` section.
///
/// # Panics
/// It has faults, or the system gives no folder.
pub fn identity(section: &str) -> Identity {
    let (settings, _folder) = settings(&format!("identify: {section}\n"));
    Identity::new(&settings.identify, &Arc::default())
}

/// A request that shows a credential, and who can tell whose it is.
#[derive(Debug)]
pub struct Caller {
    /// The request's head.
    pub head: Parts,
    /// What its connection began with.
    pub certificate: Option<ClientCertificate>,
    settings: Arc<Settings>,
    credentials: Arc<Credentials>,
    _folder: TempDir,
}

impl Caller {
    /// One with a token of a tenant, signed by this algorithm.
    ///
    /// # Panics
    /// There is no such algorithm, or the system gives no folder.
    #[expect(clippy::expect_used, reason = "nothing can be measured without")]
    pub fn with_token(world: &World, tenant: &'static str, algorithm: &'static str) -> Self {
        let signer = Signer::new(algorithm, "a");
        let file = folder_with("keys.json", &jwks(&[&signer]).to_string());
        let issuer = "https://login.example.com";
        let (settings, _) = settings(&format!(
            "identify: {{sources: [header, jwt], authentication: required, jwt: {{issuer: \
             '{issuer}', audiences: [mirador], jwks_file: {}}}}}\n",
            file.1.display(),
        ));
        let credentials = Arc::new(Credentials::default());
        world.block_on(async {
            credentials.keyrings.follow(&settings.identify.issuers);
            let keyring = credentials.keyrings.of(&settings.identify.issuers[0].keys);
            while keyring.keys().is_none() {
                keyring.refresh().await;
            }
        });
        let token = signer.token(&json!({
            "iss": issuer, "aud": "mirador", "sub": "alice", "exp": 4_000_000_000_u64,
            "tenant": tenant, "scope": "openid profile email",
        }));
        let mut head = query(tenant);
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token");
        head.headers.insert(header::AUTHORIZATION, value);
        Self {
            head,
            certificate: None,
            settings,
            credentials,
            _folder: file.0,
        }
    }

    /// One with an API key, one of as many as there are tenants, that is shown by `scheme`.
    ///
    /// # Panics
    /// The system gives no folder.
    #[expect(clippy::expect_used, reason = "nothing can be measured without")]
    pub fn with_key(
        world: &World,
        count: u32,
        show: impl Fn(&str) -> (&'static str, String),
    ) -> Self {
        let (ring, tokens) = world.keys(count);
        let (folder, secret) = folder_with("keys.secret", &"s".repeat(32));
        let (settings, _) = settings(&format!(
            "identify: {{sources: [header, api_key], authentication: required}}\n\
             keys: {{secret_file: {}}}\n",
            secret.display(),
        ));
        let (name, value) = show(&tokens[tokens.len() / 2]);
        let mut head = query("acme");
        head.headers.remove("x-tenant-id");
        let value = HeaderValue::from_str(&value).expect("a key");
        head.headers.insert(name, value);
        let credentials = Credentials {
            api_keys: Some(ring),
            ..Credentials::default()
        };
        Self {
            head,
            certificate: None,
            settings,
            credentials: Arc::new(credentials),
            _folder: folder,
        }
    }

    /// One with a client certificate of a tenant.
    ///
    /// # Panics
    /// No certificate can be made.
    #[expect(clippy::expect_used, reason = "nothing can be measured without")]
    pub fn with_certificate(tenant: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, tenant);
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let (folder, cert_file) = folder_with("cert.pem", &made.pem());
        let key_file = folder.path().join("key.pem");
        fs::write(&key_file, key.serialize_pem()).expect("a file");
        let cert_file = cert_file.display();
        let (settings, _) = settings(&format!(
            "identify: {{sources: [header, certificate], authentication: required, certificate: \
             {{field: subject_cn, pattern: '{{tenant}}'}}}}\nlisten: {{public: {{address: \
             '127.0.0.1:0', tls: {{cert_file: {cert_file}, key_file: {}, client_ca_file: \
             {cert_file}}}}}}}\n",
            key_file.display(),
        ));
        let certificate = ClientCertificate::read(made.der()).expect("a certificate");
        Self {
            head: query(tenant),
            certificate: Some(certificate),
            settings,
            credentials: Arc::default(),
            _folder: folder,
        }
    }

    /// Who can tell, and has not met this one yet.
    pub fn identity(&self) -> Identity {
        Identity::new(&self.settings.identify, &self.credentials)
    }
}

#[expect(clippy::expect_used, reason = "nothing can be measured without")]
fn folder_with(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a file");
    (folder, file)
}

#[expect(clippy::expect_used, reason = "written in the benchmark")]
fn settings(text: &str) -> (Arc<Settings>, TempDir) {
    let (folder, file) = folder_with("mirador.yaml", text);
    let config = Config::load(Some(&file), &Overrides::default()).expect("a faultless file");
    (config.settings, folder)
}
