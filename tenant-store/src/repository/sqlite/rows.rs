//! The SQL, and what its rows mean. Every value is bound, never written into a statement.

use std::{collections::HashSet, error::Error, str::FromStr};

use jiff::Timestamp;
use sqlx::{
    SqliteConnection, SqliteExecutor, SqlitePool,
    error::BoxDynError,
    migrate::{Migration, MigrationType, Migrator},
    query, query_as, query_scalar,
};

use super::unavailable;
use crate::{
    model::{Revision, TenantId, TenantRecord},
    repository::{
        AuditEvent, Author, ChangeCursor, Changes, ListQuery, Outcome, Page, RepositoryError,
    },
};

/// Records in a page, audit events in an answer and changes in a batch, at most.
const BATCH_MAX: u16 = 1_000;

/// The schema's versions; what was released is never edited.
const MIGRATIONS: [(i64, &str, &str); 1] = [(
    1,
    "tenants",
    include_str!("../../../migrations/sqlite/0001_tenants.sql"),
)];

/// Brings the schema up to date: all steps in one transaction that holds the write lock, so that
/// processes that start together don't trip over each other.
pub(super) async fn migrate(writer: &SqlitePool) -> Result<(), BoxDynError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    let migrator = Migrator::with_migrations(migrations.into());
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    // Not `run`: its future is not `Send` over a borrowed connection.
    migrator.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(())
}

type TenantRow = (String, i64, String, String, String);

/// One tenant, tombstones included.
pub(super) async fn tenant(
    on: impl SqliteExecutor<'_>,
    id: &TenantId,
) -> Result<Option<TenantRecord>, RepositoryError> {
    let row: Option<TenantRow> =
        query_as("SELECT id, revision, spec, created_at, updated_at FROM tenants WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(on)
            .await
            .map_err(unavailable("read a tenant"))?;
    row.map(record).transpose()
}

/// One page of tenants, and whether there is another.
pub(super) async fn page(
    on: impl SqliteExecutor<'_>,
    wanted: &ListQuery,
) -> Result<Page, RepositoryError> {
    let limit = wanted.limit.clamp(1, BATCH_MAX);
    let rows: Vec<TenantRow> = query_as(
        "SELECT id, revision, spec, created_at, updated_at FROM tenants \
         WHERE id > ?1 AND CASE WHEN ?2 IS NULL THEN status <> 'deleted' ELSE status = ?2 END \
         ORDER BY id LIMIT ?3",
    )
    .bind(wanted.after.as_ref().map_or("", TenantId::as_str))
    .bind(wanted.status.map(crate::model::Status::as_str))
    .bind(i64::from(limit) + 1) // one more, to tell whether there is another page
    .fetch_all(on)
    .await
    .map_err(unavailable("list tenants"))?;
    let more = rows.len() > usize::from(limit);
    let mut records = Vec::with_capacity(rows.len());
    for row in rows.into_iter().take(limit.into()) {
        records.push(record(row)?);
    }
    let last = records.last().filter(|_| more);
    let next = last.map(|record: &TenantRecord| record.tenant.id.clone());
    Ok(Page { records, next })
}

/// Creates or replaces a tenant's row.
pub(super) async fn store(
    on: &mut SqliteConnection,
    record: &TenantRecord,
) -> Result<(), RepositoryError> {
    let tenant = &record.tenant;
    let spec = serde_json::to_string(tenant).map_err(|source| RepositoryError::Unavailable {
        kind: super::KIND,
        action: "write a tenant",
        source: source.into(),
    })?;
    query(
        "INSERT INTO tenants (id, revision, status, spec, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, status = excluded.status, \
         spec = excluded.spec, created_at = excluded.created_at, updated_at = excluded.updated_at",
    )
    .bind(tenant.id.as_str())
    .bind(integer(record.revision.0))
    .bind(tenant.status.as_str())
    .bind(spec)
    .bind(record.created_at.to_string())
    .bind(record.updated_at.to_string())
    .execute(on)
    .await
    .map_err(unavailable("write a tenant"))?;
    Ok(())
}

/// Puts down who made `record` what it is now.
pub(super) async fn account(
    on: &mut SqliteConnection,
    record: &TenantRecord,
    outcome: Outcome,
    before: Option<Revision>,
    by: &Author,
) -> Result<(), RepositoryError> {
    query(
        "INSERT INTO audit (at, author, origin, request_id, outcome, tenant, before_revision, \
         after_revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.updated_at.to_string())
    .bind(&*by.name)
    .bind(&by.origin)
    .bind(&by.request_id)
    .bind(outcome.as_str())
    .bind(record.tenant.id.as_str())
    .bind(before.map(|Revision(count)| integer(count)))
    .bind(integer(record.revision.0))
    .execute(on)
    .await
    .map_err(unavailable("write an audit event"))?;
    Ok(())
}

/// The last sequence number ever given. Not `max(sequence)`, which old rows being pruned could
/// take back.
pub(super) async fn position(on: impl SqliteExecutor<'_>) -> Result<ChangeCursor, RepositoryError> {
    let last: Option<i64> = query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
        .fetch_optional(on)
        .await
        .map_err(unavailable("tell its position"))?;
    Ok(ChangeCursor(natural(last.unwrap_or(0))))
}

/// The changes after a position, without waiting for any.
pub(super) async fn changes(
    on: impl SqliteExecutor<'_>,
    after: ChangeCursor,
) -> Result<Changes, RepositoryError> {
    let rows: Vec<(i64, String)> =
        query_as("SELECT sequence, tenant FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?")
            .bind(integer(after.0))
            .bind(i64::from(BATCH_MAX))
            .fetch_all(on)
            .await
            .map_err(unavailable("tell what changed"))?;
    let next = rows
        .last()
        .map_or(after, |(sequence, _)| ChangeCursor(natural(*sequence)));
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    for (sequence, tenant) in rows {
        match TenantId::from_str(&tenant) {
            Ok(id) if seen.insert(id.clone()) => ids.push(id),
            Ok(_) => {}
            // No reader can hold such a tenant, and stopping here would hide all later changes.
            Err(error) => tracing::error!(%error, tenant, sequence, "skipped an audit event"),
        }
    }
    Ok(Changes { ids, next })
}

type AuditRow = (
    i64,
    String,
    String,
    String,
    String,
    String,
    String,
    Option<i64>,
    i64,
);

/// Audit events, newest first.
pub(super) async fn audit(
    on: impl SqliteExecutor<'_>,
    before: Option<u64>,
    limit: u16,
) -> Result<Vec<AuditEvent>, RepositoryError> {
    let rows: Vec<AuditRow> = query_as(
        "SELECT sequence, at, author, origin, request_id, outcome, tenant, before_revision, \
         after_revision FROM audit WHERE sequence < ? ORDER BY sequence DESC LIMIT ?",
    )
    .bind(before.map_or(i64::MAX, integer))
    .bind(limit.clamp(1, BATCH_MAX))
    .fetch_all(on)
    .await
    .map_err(unavailable("read its audit events"))?;
    rows.into_iter().map(event).collect()
}

fn record(row: TenantRow) -> Result<TenantRecord, RepositoryError> {
    let (id, revision, spec, created_at, updated_at) = row;
    let read = || -> Result<TenantRecord, Box<dyn Error + Send + Sync>> {
        let tenant: crate::model::Tenant = serde_json::from_str(&spec)?;
        if tenant.id.as_str() != id {
            return Err(format!("it says it is tenant {}", tenant.id).into());
        }
        Ok(TenantRecord {
            tenant,
            revision: Revision(natural(revision)),
            created_at: created_at.parse()?,
            updated_at: updated_at.parse()?,
        })
    };
    read().map_err(|source| RepositoryError::Corrupt {
        id: id.clone(),
        source,
    })
}

fn event(row: AuditRow) -> Result<AuditEvent, RepositoryError> {
    let (sequence, at, author, origin, request_id, outcome, tenant, before, after) = row;
    let corrupt = |source| RepositoryError::Corrupt {
        id: tenant.clone(),
        source,
    };
    Ok(AuditEvent {
        sequence: natural(sequence),
        at: Timestamp::from_str(&at).map_err(|error| corrupt(error.into()))?,
        author,
        origin,
        request_id,
        outcome: Outcome::from_name(&outcome)
            .ok_or_else(|| corrupt(format!("{outcome:?} is no outcome of a write").into()))?,
        tenant: TenantId::from_str(&tenant).map_err(|error| corrupt(error.into()))?,
        before: before.map(|count| Revision(natural(count))),
        after: Revision(natural(after)),
    })
}

/// `SQLite`'s integers are signed. Counts of ours begin at 0 and can't reach 2^63; a cursor that
/// somebody made up may, and then means "after everything".
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn natural(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}
