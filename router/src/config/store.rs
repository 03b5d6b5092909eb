//! Where tenants are kept, as configured.

use std::{path::PathBuf, time::Duration};

use tenant_store::repository::{
    files::FilesOptions,
    postgres::{PostgresOptions, PostgresTls, PostgresUrl},
    weaviate::WeaviateOptions,
};
use url::Url;

use super::Secret;

/// Where tenants are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// In a file of this machine.
    Sqlite {
        /// The file; its directory exists.
        path: PathBuf,
        /// How long to wait for another process's lock.
        busy_timeout: Duration,
        /// How often to look for changes of other processes.
        poll_interval: Duration,
    },
    /// In the files of a folder, which are changed there and not here.
    Files {
        /// The folder.
        path: PathBuf,
        /// How it is watched.
        options: FilesOptions,
    },
    /// In a database that several routers share.
    Postgres {
        /// Where it is, and as whom.
        url: PostgresUrl,
        /// How connections are encrypted.
        tls: PostgresTls,
        /// Connections, and how long to wait.
        options: PostgresOptions,
    },
    /// In a Weaviate that several routers share.
    Weaviate {
        /// Where it is; without user and password.
        url: Url,
        /// What it asks for, if it asks.
        api_key: Option<Secret>,
        /// The authorities that signed its certificate, instead of those the system trusts.
        ca_file: Option<PathBuf>,
        /// How it is used.
        options: WeaviateOptions,
    },
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::Sqlite {
            path: "mirador.db".into(),
            busy_timeout: Duration::from_secs(1),
            poll_interval: Duration::from_secs(1),
        }
    }
}
