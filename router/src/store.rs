//! The store that the configuration names.

use tenant_store::repository::{
    Repository, RepositoryError,
    files::FilesRepository,
    postgres::PostgresRepository,
    sqlite::{SqliteOptions, SqliteRepository},
};

use crate::config::StoreConfig;

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
    }
}
