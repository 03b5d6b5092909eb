//! Reading keys: from a file, from a URL, or from where an issuer's `OpenID` configuration says.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, StatusCode, redirect};
use rustls::ClientConfig;
use serde::Deserialize;
use tenant_store::model::UpstreamTls;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{KeySet, Keyring, key_set::KeySetFault};
use crate::{
    config::{KeyLocation, KeySource},
    tls::{self, TlsFault},
};

/// For one answer, and all of its body.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a document at most.
const SIZE: usize = 1 << 20;
/// When to look again after a failure, unless the source's own interval is shorter.
const AGAIN: Duration = Duration::from_secs(10);

/// Why keys can't be read.
#[derive(Debug, Error)]
enum FetchFault {
    #[error("{path} can't be read: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("it is no URL: {0}")]
    Url(#[from] url::ParseError),
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error("no client can be set up: {0}")]
    Client(#[source] reqwest::Error),
    #[error("{url} can't be asked: {source}")]
    Ask {
        url: Url,
        #[source]
        source: reqwest::Error,
    },
    #[error("{url} answers {status}")]
    Status { url: Url, status: StatusCode },
    #[error("it is longer than {SIZE} bytes")]
    TooLong,
    #[error("the OpenID configuration can't be read: {0}")]
    Discovery(#[source] serde_json::Error),
    #[error("the OpenID configuration is that of {found:?}, not of {expected:?}")]
    OtherIssuer { found: String, expected: String },
    #[error("the OpenID configuration leads from https to {0}")]
    Downgrade(Url),
    #[error(transparent)]
    Keys(#[from] KeySetFault),
}

/// Of an `OpenID` configuration, what is needed of it.
#[derive(Deserialize)]
struct OpenIdConfiguration {
    issuer: String,
    jwks_uri: Url,
}

/// Reads a keyring's source for ever: at its interval, sooner after a failure, and when somebody
/// wants it, but not before its cooldown.
pub(super) async fn keep_current(keyring: Arc<Keyring>) {
    loop {
        keyring.begin();
        let outcome = read(&keyring.source).await;
        let pause = match outcome {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "keys of tokens read");
                keyring.take(keys);
                keyring.source.interval
            }
            Err(error) => {
                let held = keyring.keys().map_or(0, |keys| keys.len());
                let place = place(&keyring.source);
                tracing::warn!(%place, %error, held, "keys of tokens can't be read; those held stay");
                keyring.source.interval.min(AGAIN)
            }
        };
        keyring.end();
        let ended = Instant::now();
        let wanted = async {
            loop {
                keyring.wanted.notified().await;
                if ended.elapsed() >= keyring.source.cooldown {
                    return;
                }
            }
        };
        let _ = timeout_at(ended + pause, wanted).await;
    }
}

fn place(source: &KeySource) -> String {
    match &source.location {
        KeyLocation::File(path) => path.display().to_string(),
        KeyLocation::Url(url) => url.to_string(),
        KeyLocation::Discovery(issuer) => issuer.clone(),
    }
}

async fn read(source: &KeySource) -> Result<KeySet, FetchFault> {
    let json = match &source.location {
        KeyLocation::File(path) => file(path).await?,
        KeyLocation::Url(url) => get(&client(source)?, url).await?,
        KeyLocation::Discovery(issuer) => {
            let client = client(source)?;
            let url = discover(&client, issuer).await?;
            get(&client, &url).await?
        }
    };
    Ok(KeySet::parse(&json)?)
}

async fn file(path: &Path) -> Result<Vec<u8>, FetchFault> {
    let at = path.to_owned();
    // Joining fails only if reading panics, or the runtime ends.
    let read = tokio::task::spawn_blocking(move || std::fs::read(at)).await;
    let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
    read.map_err(|source| FetchFault::File {
        path: path.into(),
        source,
    })
}

/// Follows no redirects: keys come from where the operator says, or not at all.
fn client(source: &KeySource) -> Result<Client, FetchFault> {
    let own = source.ca_file.as_ref().map(|file| UpstreamTls {
        ca_file: Some(file.clone()),
        ..UpstreamTls::default()
    });
    let system = match own {
        Some(_) => rustls::RootCertStore::empty(),
        None => tls::system_roots(),
    };
    let tls = tls::client_config(&Arc::new(system), own.as_ref(), b"http/1.1")?;
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .tls_backend_preconfigured(ClientConfig::clone(&tls))
        .build()
        .map_err(FetchFault::Client)
}

async fn discover(client: &Client, issuer: &str) -> Result<Url, FetchFault> {
    let base = issuer.trim_end_matches('/');
    let url = Url::parse(&format!("{base}/.well-known/openid-configuration"))?;
    let json = get(client, &url).await?;
    let found: OpenIdConfiguration =
        serde_json::from_slice(&json).map_err(FetchFault::Discovery)?;
    if found.issuer != issuer {
        return Err(FetchFault::OtherIssuer {
            found: found.issuer,
            expected: issuer.into(),
        });
    }
    if url.scheme() == "https" && found.jwks_uri.scheme() != "https" {
        return Err(FetchFault::Downgrade(found.jwks_uri));
    }
    Ok(found.jwks_uri)
}

async fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchFault> {
    let ask = |source: reqwest::Error| FetchFault::Ask {
        url: url.clone(),
        source: source.without_url(),
    };
    let mut answer = client.get(url.clone()).send().await.map_err(ask)?;
    if answer.status() != StatusCode::OK {
        return Err(FetchFault::Status {
            url: url.clone(),
            status: answer.status(),
        });
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(ask)? {
        if body.len() + chunk.len() > SIZE {
            return Err(FetchFault::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
