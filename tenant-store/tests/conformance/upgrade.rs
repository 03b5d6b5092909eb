//! A file that an earlier version wrote.

use sqlx::{
    Connection, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use tenant_store::{
    model::{Revision, Status},
    repository::{
        AuditQuery, ChangeCursor, Expect, Kind, Outcome, Repository, TenantRepository,
        sqlite::SqliteRepository,
    },
};

use crate::samples::{author, id, put, tenant};

/// What 0.1 had in a file: a tenant as it wrote one, with every default written out, and a
/// tombstone; the newest events are pruned.
const CONTENT: &str = r#"
INSERT INTO tenants VALUES
('acme', 3, 'active', '{"id":"acme","status":"active","tier":"pro","deployments":{"metrics":{"hosting":"dedicated","endpoints":[{"url":"http://127.0.0.1:8428/","priority":0,"weight":1,"protocol":"http1"}],"timeout":"30s","policy":"first_available","health_check":{"enabled":true,"path":"/health","interval":"30s","timeout":"5s","healthy_after":2,"unhealthy_after":3}},"logs":{"hosting":"external","endpoints":[{"url":"http://127.0.0.1:9428/","priority":0,"weight":1,"protocol":"http1"}],"timeout":"30s","policy":"first_available","health_check":{"enabled":true,"path":"/health","interval":"30s","timeout":"5s","healthy_after":2,"unhealthy_after":3}}}}', '2026-01-02T03:04:05Z', '2026-01-02T03:04:06.5Z'),
('globex', 2, 'deleted', '{"id":"globex","status":"deleted","tier":"free","deployments":{}}', '2026-01-02T03:04:05.123456789Z', '2026-01-02T03:04:07Z');
INSERT INTO audit VALUES
(1, '2026-01-02T03:04:05Z', 'admin-token', '127.0.0.1:1', 'r1', 'created', 'acme', NULL, 1),
(2, '2026-01-02T03:04:05.123456789Z', 'admin-token', '', 'r2', 'created', 'globex', NULL, 1),
(3, '2026-01-02T03:04:05.5Z', 'admin-token', '', '', 'updated', 'acme', 1, 2),
(4, '2026-01-02T03:04:06.5Z', 'admin-token', '', '', 'updated', 'acme', 2, 3),
(5, '2026-01-02T03:04:07Z', 'admin-token', '', '', 'deleted', 'globex', 1, 2);
DELETE FROM audit WHERE sequence = 5;
"#;

/// A directory with a file as 0.1 left it.
async fn old_file() -> TempDir {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("mirador.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let mut old = SqliteConnection::connect_with(&options).await.unwrap();
    let sql =
        sqlx::SqlSafeStr::into_sql_str(include_str!("../../migrations/sqlite/0001_tenants.sql"));
    let first = Migration::new(1, "tenants".into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![first])
        .run(&mut old)
        .await
        .unwrap();
    sqlx::raw_sql(CONTENT).execute(&mut old).await.unwrap();
    old.close().await.unwrap();

    directory
}

#[tokio::test]
async fn a_file_of_0_1_keeps_its_tenants_and_revisions() {
    let directory = old_file().await;
    let path = directory.path().join("mirador.db");
    let store = Repository::new(SqliteRepository::open(&path).await.unwrap());
    let acme = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(acme.revision, Revision(3));
    assert_eq!(acme.created_at, "2026-01-02T03:04:05Z".parse().unwrap());
    assert_eq!(acme.updated_at, "2026-01-02T03:04:06.5Z".parse().unwrap());
    let hosting = |record: &tenant_store::model::TenantRecord| {
        let deployments = record.tenant.deployments.clone();
        (
            deployments.metrics.unwrap().hosting,
            deployments.logs.unwrap().hosting,
        )
    };
    let external = Some(tenant_store::model::Hosting::External);
    assert_eq!(
        hosting(&acme),
        (None, external),
        "nobody had chosen `dedicated`"
    );
    let globex = store.get(&id("globex")).await.unwrap().unwrap();
    assert_eq!(
        (globex.tenant.status, globex.revision),
        (Status::Deleted, Revision(2))
    );

    // Whoever follows goes on where the old version was, and no number is given twice.
    assert_eq!(store.position().await.unwrap(), ChangeCursor(5));
    put(&store, tenant("globex"), Expect::Absent).await.unwrap();
    assert_eq!(store.position().await.unwrap(), ChangeCursor(6));
    let globex = store.get(&id("globex")).await.unwrap().unwrap();
    assert_eq!(globex.revision, Revision(3));
    let unchanged = store.put(&acme.tenant, Expect::Anything, &author()).await;
    assert_eq!(unchanged.unwrap().outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn a_file_of_0_1_keeps_its_audit() {
    let directory = old_file().await;
    let path = directory.path().join("mirador.db");
    let store = Repository::new(SqliteRepository::open(&path).await.unwrap());
    let events = store.audit(&AuditQuery::newest(10)).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.sequence,
                event.id.as_str(),
                event.outcome,
                event.after.0,
            )
        })
        .collect();
    let expected = [
        (4, "acme", Outcome::Updated, 3),
        (3, "acme", Outcome::Updated, 2),
        (2, "globex", Outcome::Created, 1),
        (1, "acme", Outcome::Created, 1),
    ];
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| event.kind == Kind::Tenant));
    assert_eq!(events[3].origin, "127.0.0.1:1");
    let times: Vec<_> = events
        .iter()
        .rev()
        .map(|event| event.at.to_string())
        .collect();
    let expected = [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123456789Z",
        "2026-01-02T03:04:05.5Z",
        "2026-01-02T03:04:06.5Z",
    ];
    assert_eq!(times, expected);
    // As text, these would be in another order.
    let since = AuditQuery {
        since: "2026-01-02T03:04:05.2Z".parse().ok(),
        ..AuditQuery::newest(10)
    };
    assert_eq!(store.audit(&since).await.unwrap().len(), 2);
}

/// The account of writes is only ever added to, by whatever program.
#[tokio::test]
async fn audit_events_can_be_neither_changed_nor_removed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("mirador.db");
    let store = Repository::new(SqliteRepository::open(&path).await.unwrap());
    put(&store, tenant("acme"), Expect::Absent).await.unwrap();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut intruder = SqliteConnection::connect_with(&options).await.unwrap();
    for statement in ["UPDATE events SET author = 'nobody'", "DELETE FROM events"] {
        let error = sqlx::query(statement)
            .execute(&mut intruder)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap().len(), 1);
}
