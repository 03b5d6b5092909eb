//! A shared database: the common demands, and what may happen to a server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tenant_store::repository::{
    AuditQuery, ChangeCursor, Expect, Repository, RepositoryError, TenantRepository,
    postgres::{PostgresOptions, PostgresRepository, PostgresTls, PostgresUrl},
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::timeout,
};

use crate::{
    Store, conformance,
    samples::{id, named, put, tenant},
    server::PostgresServer,
    stopped::{Server, writes_are_whole_or_nothing},
};

/// Longer than any answer may take, however slow the machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A database of a test's own, on the server that tests share.
pub(crate) struct Database {
    server: Arc<PostgresServer>,
    name: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        Self::on(PostgresServer::shared()).await
    }

    async fn on(server: Arc<PostgresServer>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server.url("postgres"))
            .await
            .unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { server, name }
    }

    fn url(&self) -> PostgresUrl {
        self.server.url(&self.name).parse().unwrap()
    }

    async fn with(&self, options: PostgresOptions) -> Repository {
        let store = PostgresRepository::open(&self.url(), &PostgresTls::Off, options).await;
        Repository::new(store.unwrap())
    }

    /// Another program that uses the database.
    async fn intruder(&self) -> PgConnection {
        let url = self.server.url(&self.name);
        PgConnection::connect(&url).await.unwrap()
    }
}

impl Store for Database {
    async fn open(&self) -> Arc<Repository> {
        Arc::new(self.with(PostgresOptions::default()).await)
    }
}

conformance!(Database::new().await);

/// Never looks by itself: whatever it sees it was told of.
const DEAF: PostgresOptions = PostgresOptions {
    max_connections: 8,
    connect_timeout: Duration::from_secs(20),
    poll_interval: Duration::from_hours(1),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_elsewhere_is_heard_of_without_looking() {
    let database = Database::new().await;
    let reader = Arc::new(database.with(DEAF).await);
    let writer = database.open().await;
    let mut cursor = reader.position().await.unwrap();
    for round in 0..20 {
        let waiting = tokio::spawn({
            let reader = reader.clone();
            async move { reader.changes(cursor, DEADLINE * 10).await }
        });
        put(
            &*writer,
            named("acme", &round.to_string()),
            Expect::Anything,
        )
        .await
        .unwrap();
        let changes = timeout(DEADLINE, waiting).await.expect("it was not told");
        let changes = changes.unwrap().unwrap();
        assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);
        cursor = changes.next;
    }
}

/// The connection that listens is broken off, and something is written before it is back: it is
/// not missed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_nobody_listens_is_found_afterwards() {
    let database = Database::new().await;
    let reader = Arc::new(database.with(DEAF).await);
    let writer = database.open().await;
    let mut intruder = database.intruder().await;
    let mut cursor = reader.position().await.unwrap();
    for round in 0..5 {
        let waiting = tokio::spawn({
            let reader = reader.clone();
            async move { reader.changes(cursor, DEADLINE * 10).await }
        });
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE query LIKE 'LISTEN%' AND datname = current_database()",
        )
        .execute(&mut intruder)
        .await
        .unwrap();
        put(
            &*writer,
            named("acme", &round.to_string()),
            Expect::Anything,
        )
        .await
        .unwrap();
        let changes = timeout(DEADLINE, waiting).await.expect("it was missed");
        let changes = changes.unwrap().unwrap();
        assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);
        cursor = changes.next;
    }
}

/// Transactions that commit in another order than they began: no position is passed by before all
/// up to it can be seen.
#[tokio::test(flavor = "multi_thread")]
async fn no_change_is_passed_by_under_many_writers() {
    const WRITERS: usize = 8;
    const WRITES: usize = 40;
    let database = Database::new().await;
    let reader = database.open().await;
    let mut cursor = reader.position().await.unwrap();
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let store = database.open().await;
        writing.spawn(async move {
            for number in 0..WRITES {
                let tenant = tenant(&format!("t-{writer}-{number}"));
                put(&*store, tenant, Expect::Absent).await.unwrap();
            }
        });
    }
    let mut seen = Vec::new();
    let follow = async {
        while seen.len() < WRITERS * WRITES {
            let changes = reader.changes(cursor, DEADLINE).await.unwrap();
            cursor = changes.next;
            seen.extend(changes.tenants());
        }
    };
    timeout(DEADLINE * 2, follow)
        .await
        .expect("some were passed by");
    while let Some(done) = writing.join_next().await {
        done.unwrap();
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), WRITERS * WRITES);
}

/// The server goes, and comes back: errors meanwhile, soon; everything as before afterwards, and
/// nothing missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_is_found_again() {
    let server = Arc::new(PostgresServer::start());
    let database = Database::on(server.clone()).await;
    let store = Arc::new(
        database
            .with(PostgresOptions {
                connect_timeout: Duration::from_millis(500),
                ..DEAF
            })
            .await,
    );
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let cursor = store.position().await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.changes(cursor, Duration::from_millis(200)).await }
    });
    assert_eq!(waiting.await.unwrap().unwrap().keys, []);

    server.stop();
    let asked = timeout(DEADLINE, store.get(&id("acme"))).await;
    let error = asked.expect("it hung").unwrap_err();
    assert!(
        matches!(error, RepositoryError::Unavailable { .. }),
        "{error}"
    );
    let refused = put(&*store, named("acme", "lost"), Expect::Anything).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable { .. })));
    assert!(store.changes(cursor, Duration::ZERO).await.is_err());

    server.run_again();
    let other = database.open().await;
    put(&*other, named("acme", "back"), Expect::Anything)
        .await
        .unwrap();
    let changes = timeout(DEADLINE, store.changes(cursor, DEADLINE * 10)).await;
    let changes = changes.expect("it never found back").unwrap();
    assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);
    let found = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(found.tenant, named("acme", "back"));
    // It listens again, too.
    let cursor = changes.next;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.changes(cursor, DEADLINE * 10).await }
    });
    put(&*other, named("acme", "again"), Expect::Anything)
        .await
        .unwrap();
    let changes = timeout(DEADLINE, waiting).await.expect("it is deaf");
    assert_eq!(changes.unwrap().unwrap().keys.len(), 1);
}

impl Server for PostgresServer {
    fn stop(&self) {
        Self::stop(self);
    }

    fn run_again(&self) {
        Self::run_again(self);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_of_writes_loses_nothing() {
    let server = Arc::new(PostgresServer::start());
    let database = Database::on(server.clone()).await;
    let options = PostgresOptions {
        connect_timeout: Duration::from_secs(2),
        ..PostgresOptions::default()
    };
    let store = Arc::new(database.with(options).await);
    writes_are_whole_or_nothing(server, store).await;
}

/// Routers that start together on an empty database all get the same schema.
#[tokio::test(flavor = "multi_thread")]
async fn many_open_a_new_database_at_once() {
    let database = Database::new().await;
    let mut opening = JoinSet::new();
    for number in 0..8 {
        let url = database.url();
        opening.spawn(async move {
            let options = PostgresOptions {
                connect_timeout: DEADLINE,
                ..PostgresOptions::default()
            };
            let store = PostgresRepository::open(&url, &PostgresTls::Off, options).await;
            let store = Repository::new(store.unwrap());
            put(&store, tenant(&format!("t-{number}")), Expect::Absent)
                .await
                .unwrap();
        });
    }
    while let Some(opened) = opening.join_next().await {
        opened.unwrap();
    }
    let store = database.open().await;
    assert_eq!(store.position().await.unwrap(), ChangeCursor(8));
}

#[tokio::test]
async fn an_open_error_names_the_database_and_no_password() {
    let server = PostgresServer::shared();
    let good = server.url("postgres");
    let options = PostgresOptions {
        connect_timeout: Duration::from_millis(500),
        ..PostgresOptions::default()
    };
    for (url, named) in [
        (server.url("nowhere"), "nowhere"),
        (good.replace("mirador:", "mirador:hunter2"), "postgres"),
        (
            "postgres://u:hunter2@127.0.0.1:1/db".to_owned(),
            "127.0.0.1:1/db",
        ),
    ] {
        let url: PostgresUrl = url.parse().unwrap();
        let error = PostgresRepository::open(&url, &PostgresTls::Off, options).await;
        let told = error.unwrap_err().to_string();
        assert!(told.contains(named), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(!told.contains("p@ss"), "{told}");
    }
    // It speaks no TLS, and nobody falls back to plain text.
    let url: PostgresUrl = good.parse().unwrap();
    let error = PostgresRepository::open(&url, &PostgresTls::Verified, options).await;
    let told = error.unwrap_err().to_string();
    assert!(told.contains("TLS") && told.contains("store.tls"), "{told}");
    let store = PostgresRepository::open(&url, &PostgresTls::Off, options).await;
    let shown = format!("{:?}", store.unwrap());
    assert!(
        !shown.contains("p@ss") && !shown.contains("p%40ss"),
        "{shown}"
    );
}

/// The server is believed if its certificate is for its name and of a known authority, and only
/// then.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_must_show_who_it_is() {
    let certified = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let folder = tempfile::tempdir().unwrap();
    let open = async |server: &PostgresServer, certificate: &str| {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate).unwrap();
        let url = server.url("postgres").parse().unwrap();
        let tls = PostgresTls::VerifiedBy(file);
        PostgresRepository::open(&url, &tls, PostgresOptions::default()).await
    };
    let (own, key) = certified("127.0.0.1");
    let server = spawn_blocking({
        let own = own.clone();
        move || PostgresServer::start_with_tls(&own, &key)
    });
    let server = server.await.unwrap();
    let store = Repository::new(open(&server, &own).await.unwrap());
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    let mut intruder = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    let in_clear: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'mirador' AND NOT ssl",
    )
    .fetch_one(&mut intruder)
    .await
    .unwrap();
    assert_eq!(in_clear, 0);
    let unknown = open(&server, &certified("127.0.0.1").0).await;
    assert!(unknown.unwrap_err().to_string().contains("ertificate"));

    let (other, key) = certified("db.example");
    let misnamed = spawn_blocking({
        let other = other.clone();
        move || PostgresServer::start_with_tls(&other, &key)
    });
    let misnamed = misnamed.await.unwrap();
    let refused = open(&misnamed, &other).await;
    assert!(refused.unwrap_err().to_string().contains("ertificate"));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let database = Database::new().await;
    database.open().await.close().await;
    let mut intruder = database.intruder().await;
    sqlx::query(
        "INSERT INTO mirador_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, ''::bytea, 0)",
    )
    .execute(&mut intruder)
    .await
    .unwrap();
    let options = PostgresOptions::default();
    let error = PostgresRepository::open(&database.url(), &PostgresTls::Off, options).await;
    let told = error.unwrap_err().to_string();
    assert!(told.contains("9999"), "{told}");
}

/// A router that fell silent in the middle of a write: others wait for it, and not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_fell_silent_holds_nobody_up_for_long() {
    let database = Database::new().await;
    let store = database.open().await;
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let mut silent = database.intruder().await;
    for statement in ["BEGIN", "UPDATE mirador_feed SET position = position"] {
        sqlx::raw_sql(statement).execute(&mut silent).await.unwrap();
    }
    let waiting = timeout(
        DEADLINE,
        put(&*store, named("acme", "new"), Expect::Anything),
    )
    .await;
    let error = waiting.expect("it hung").unwrap_err();
    assert!(
        matches!(error, RepositoryError::Unavailable { .. }),
        "{error}"
    );
    assert!(store.get(&id("acme")).await.unwrap().is_some());
    drop(silent);
    put(&*store, named("acme", "new"), Expect::Anything)
        .await
        .unwrap();
    assert_eq!(store.position().await.unwrap(), ChangeCursor(2));
}

/// The account of writes is only ever added to, by whatever program.
#[tokio::test]
async fn audit_events_can_be_neither_changed_nor_removed() {
    let database = Database::new().await;
    let store = database.open().await;
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let mut intruder = database.intruder().await;
    for statement in [
        "UPDATE mirador_events SET author = 'nobody'",
        "DELETE FROM mirador_events",
        "TRUNCATE mirador_events",
    ] {
        let error = sqlx::query(statement).execute(&mut intruder).await;
        let told = error.unwrap_err().to_string();
        assert!(told.contains("append-only"), "{told}");
    }
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap().len(), 1);
}
