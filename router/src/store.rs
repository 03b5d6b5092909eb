//! The store that the configuration names.

use std::{error::Error, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use tenant_store::{
    model::UpstreamTls,
    repository::{
        Repository, RepositoryError,
        files::FilesRepository,
        postgres::PostgresRepository,
        sqlite::{SqliteOptions, SqliteRepository},
        weaviate::WeaviateRepository,
    },
};
use url::Url;

use crate::{config::StoreConfig, tls};

/// Opens it.
///
/// # Errors
/// `Open`, naming where it should be.
pub async fn open(config: &StoreConfig) -> Result<Repository, RepositoryError> {
    match config {
        StoreConfig::Sqlite {
            path,
            busy_timeout,
            poll_interval,
        } => {
            let options = SqliteOptions {
                busy_timeout: *busy_timeout,
                poll_interval: *poll_interval,
            };
            let store = SqliteRepository::open_with(path, options).await?;
            Ok(Repository::new(store))
        }
        StoreConfig::Files { path, options } => {
            let store = FilesRepository::open(path, *options).await?;
            Ok(Repository::new(store))
        }
        StoreConfig::Postgres { url, tls, options } => {
            let store = PostgresRepository::open(url, tls, *options).await?;
            Ok(Repository::new(store))
        }
        StoreConfig::Weaviate {
            url,
            api_key,
            ca_file,
            options,
        } => {
            let http = http_client(url, ca_file.as_deref())?;
            let api_key = api_key.as_ref().map(|key| key.expose().to_owned());
            let store = WeaviateRepository::open(http, url, api_key, options.clone()).await?;
            Ok(Repository::new(store))
        }
    }
}

/// Goes to the store straight: it is an internal address that proxies don't know, and one that
/// redirects is not one.
fn http_client(url: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, RepositoryError> {
    let failed = |source: Box<dyn Error + Send + Sync>| RepositoryError::Open {
        kind: "weaviate",
        path: url.as_str().into(),
        source,
    };
    let roots = match (url.scheme(), ca_file) {
        ("https", None) => tls::system_roots(),
        _ => RootCertStore::empty(),
    };
    let own = ca_file.map(|file| UpstreamTls {
        ca_file: Some(file.to_owned()),
        ..UpstreamTls::default()
    });
    let tls = tls::client_config(&Arc::new(roots), own.as_ref(), b"http/1.1")
        .map_err(|fault| failed(fault.into()))?;
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(ClientConfig::clone(&tls))
        .build()
        .map_err(|error| failed(error.into()))
}
