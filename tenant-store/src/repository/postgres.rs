//! A `PostgreSQL` database that several routers share.
//!
//! Every write moves on one counter, whose row it holds until it commits: the order of positions is
//! the order of commits, and a reader who has seen a position has seen all before it. A `NOTIFY`
//! sent with each commit wakes who waits for changes; it only says that there is something to look
//! for. What there is comes from the table of events, after the reader's own position, so that a
//! lost connection or notification costs time and never a change. After a connection was lost, and
//! every [`PostgresOptions::poll_interval`] anyway, waiting readers look by themselves.

mod history;
mod listen;
mod rows;

use std::{error::Error, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use self::history::PostgresHistory;
use super::{
    AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Record, RecordKey,
    RecordPage, RecordQuery, RecordStore, RecordWrite, RepositoryError, unavailable, wait::Wait,
};
use crate::history::HistoryStore;

const KIND: &str = "postgres";

const WRITE: &str = "write a record";

/// Nobody may hold up the other writers: a transaction waits no longer than this for its turn, and
/// one whose router has gone silent is ended by the server.
const SESSION: &str = "SET lock_timeout = '5s'; SET statement_timeout = '10s'; \
                       SET idle_in_transaction_session_timeout = '10s'";

/// Where a database is, and as whom: `postgres://user:password@host:5432/database`. The password
/// is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    text: String,
    shown: String,
}

/// Why a text is not such a URL. Repeats none of it: a password may be anywhere in there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PostgresUrlError {
    /// It is no URL, or none of a database.
    #[error("expected a URL such as postgres://mirador@db.internal:5432/mirador")]
    Syntax,
    /// It has a parameter that means nothing, or a value that is none.
    #[error("a parameter of the URL can't be used: {0}")]
    Parameter(&'static str),
}

impl FromStr for PostgresUrl {
    type Err = PostgresUrlError;

    fn from_str(text: &str) -> Result<Self, PostgresUrlError> {
        let url = url::Url::parse(text).map_err(|_| PostgresUrlError::Syntax)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let (Some(host), "postgres" | "postgresql") = (host, url.scheme()) else {
            return Err(PostgresUrlError::Syntax);
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(PostgresUrlError::Parameter(
                "leave out everything from `?` on; store.tls, store.ca_file and the like say such things",
            ));
        }
        PgConnectOptions::from_str(text).map_err(|_| PostgresUrlError::Syntax)?;
        let shown = format!(
            "{host}:{}{}",
            url.port().unwrap_or(5432),
            url.path().trim_end_matches('/')
        );
        Ok(Self {
            text: text.into(),
            shown,
        })
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://***@{}", self.shown)
    }
}

/// How connections are encrypted and the server is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PostgresTls {
    /// Not at all: for a database on the same machine or network.
    Off,
    /// Encrypted, and the server's certificate must be for its name and signed by an authority that
    /// the system trusts.
    #[default]
    Verified,
    /// As `Verified`, by the authorities of a PEM file.
    VerifiedBy(PathBuf),
}

/// How the database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Connections at most, one of which listens; at least 2. Default 8.
    pub max_connections: u32,
    /// How long to wait for a connection before the store counts as unavailable. Default 2 s.
    pub connect_timeout: Duration,
    /// How often who waits for changes looks though nobody woke it. Default 5 s.
    pub poll_interval: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            connect_timeout: Duration::from_secs(2),
            poll_interval: Duration::from_secs(5),
        }
    }
}

/// Records in a `PostgreSQL` database.
pub struct PostgresRepository {
    /// Where it is, without the password.
    place: String,
    pool: PgPool,
    poll_interval: Duration,
    /// Told whenever something may have changed.
    stirred: watch::Sender<()>,
    listener: JoinHandle<()>,
}

impl PostgresRepository {
    /// Connects, and brings the schema up to date: one process at a time, however many start.
    ///
    /// # Errors
    /// `Open`, naming the server and database: it can't be reached, refuses the user, or was
    /// written by a newer Mirador.
    pub async fn open(
        url: &PostgresUrl,
        tls: &PostgresTls,
        options: PostgresOptions,
    ) -> Result<Self, RepositoryError> {
        Self::connect(url, tls, options)
            .await
            .map_err(|source| RepositoryError::Open {
                kind: KIND,
                path: url.shown.clone().into(),
                source,
            })
    }

    async fn connect(
        url: &PostgresUrl,
        tls: &PostgresTls,
        options: PostgresOptions,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let connect = connect_options(&url.text, tls)?;
        // The first connection is made apart: a pool would go on trying, and not tell why.
        let connecting = PgConnection::connect_with(&connect);
        let mut first = timeout(options.connect_timeout, connecting)
            .await
            .map_err(|_elapsed| format!("no answer within {:?}", options.connect_timeout))?
            .map_err(with_advice)?;
        rows::migrate(&mut first).await?;
        first.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections.max(2))
            .acquire_timeout(options.connect_timeout)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(drop) })
            })
            .connect_lazy_with(connect);
        let stirred = watch::Sender::new(());
        let listener = tokio::spawn(listen::listen(pool.clone(), stirred.clone()));
        Ok(Self {
            place: url.shown.clone(),
            pool,
            poll_interval: options.poll_interval,
            stirred,
            listener,
        })
    }
}

fn connect_options(url: &str, tls: &PostgresTls) -> Result<PgConnectOptions, sqlx::Error> {
    let connect = PgConnectOptions::from_str(url)?
        .application_name("mirador")
        .disable_statement_logging();
    Ok(match tls {
        PostgresTls::Off => connect.ssl_mode(PgSslMode::Disable),
        PostgresTls::Verified => connect.ssl_mode(PgSslMode::VerifyFull),
        PostgresTls::VerifiedBy(file) => {
            connect.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(file)
        }
    })
}

/// A server that speaks no TLS at all is the commonest fault of a first attempt.
fn with_advice(error: sqlx::Error) -> Box<dyn Error + Send + Sync> {
    match &error {
        sqlx::Error::Tls(_) => format!(
            "{error} (store.ca_file names authorities of your own, store.tls: off does without)"
        )
        .into(),
        _ => error.into(),
    }
}

impl fmt::Debug for PostgresRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool would print how it connects.
        f.debug_struct("PostgresRepository")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Drop for PostgresRepository {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[async_trait]
impl RecordStore for PostgresRepository {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, RepositoryError> {
        rows::record(&self.pool, key).await
    }

    async fn page(&self, query: &RecordQuery) -> Result<RecordPage, RepositoryError> {
        rows::page(&self.pool, query).await
    }

    async fn commit(&self, write: &RecordWrite, by: &Author) -> Result<Committed, RepositoryError> {
        let failed = failed(WRITE);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        if !rows::store(&mut transaction, write).await? {
            transaction.rollback().await.map_err(failed)?;
            return Ok(Committed::Overtaken);
        }
        rows::account(&mut transaction, write, by).await?;
        transaction.commit().await.map_err(failed)?;
        self.stirred.send_replace(());
        Ok(Committed::Done)
    }

    async fn touch(&self, key: &RecordKey, used_at: Timestamp) -> Result<(), RepositoryError> {
        rows::touch(&self.pool, key, used_at).await
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        rows::position(&self.pool).await
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        let mut wait = Wait::begin(&self.stirred, patience, self.poll_interval);
        loop {
            let changes = rows::changes(&self.pool, after).await?;
            if wait.is_over(&changes, after).await {
                return Ok(changes);
            }
        }
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        rows::audit(&self.pool, query).await
    }

    fn history(&self) -> Option<Arc<dyn HistoryStore>> {
        let pool = self.pool.clone();
        Some(Arc::new(PostgresHistory { pool }))
    }

    async fn close(&self) {
        self.listener.abort();
        self.pool.close().await;
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}

/// What the driver says, as the store's error while doing `action`.
fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> RepositoryError + Copy {
    unavailable(KIND, action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_nowhere() {
        let url: PostgresUrl = "postgres://mirador:hunter2@db.internal/tenants"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{url:?}"),
            "postgres://***@db.internal:5432/tenants"
        );
        for text in [
            "hunter2",
            "mysql://u:hunter2@db/x",
            "postgres://u:hunter2@db/x?sslmode=off",
            "postgres://u:hunter2@db:port/x",
            "postgres:///hunter2",
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
