//! The SQL. Every value is bound, never written into a statement.

use jiff::Timestamp;
use sqlx::{
    SqliteConnection, SqliteExecutor, SqlitePool,
    error::BoxDynError,
    migrate::{Migration, MigrationType, Migrator},
    query, query_as, query_scalar,
};

use super::{WRITE, failed};
use crate::{
    model::{Revision, TenantId, Tier},
    repository::{
        AuditEvent, AuditQuery, Author, BATCH_MAX, ChangeCursor, Changes, Kind, Outcome, Record,
        RecordKey, RecordPage, RecordQuery, RecordStatus, RecordWrite, RepositoryError,
        rows::{
            EventRow, FeedRow, RecordRow, integer, natural, read_changes, read_event, read_record,
        },
    },
};

/// The schema's versions; what was released is never edited.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (
        1,
        "tenants",
        include_str!("../../../migrations/sqlite/0001_tenants.sql"),
    ),
    (
        2,
        "records",
        include_str!("../../../migrations/sqlite/0002_records.sql"),
    ),
    (
        3,
        "history",
        include_str!("../../../migrations/sqlite/0003_history.sql"),
    ),
];

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

/// One record, whatever its status.
pub(super) async fn record(
    on: impl SqliteExecutor<'_>,
    key: &RecordKey,
) -> Result<Option<Record>, RepositoryError> {
    let row: Option<RecordRow<String>> = query_as(
        "SELECT kind, id, revision, status, document, created_at, updated_at, used_at \
         FROM records WHERE kind = ? AND id = ?",
    )
    .bind(key.kind.as_str())
    .bind(&*key.id)
    .fetch_optional(on)
    .await
    .map_err(failed("read a record"))?;
    row.map(read).transpose()
}

/// One page of records, and whether there is another.
pub(super) async fn page(
    on: impl SqliteExecutor<'_>,
    wanted: &RecordQuery,
) -> Result<RecordPage, RepositoryError> {
    let limit = wanted.bounded_limit();
    let (key, value) = wanted.label.clone().unzip();
    let rows: Vec<RecordRow<String>> = query_as(
        "SELECT kind, id, revision, status, document, created_at, updated_at, used_at \
         FROM records WHERE kind = ?1 AND id > ?2 \
         AND CASE WHEN ?3 IS NULL THEN status IN ('provisioning', 'active', 'suspended') \
             ELSE status = ?3 END \
         AND (?4 IS NULL OR json_extract(document, '$.tier') = ?4) \
         AND (?5 IS NULL OR json_extract(document, '$.tenant') = ?5) \
         AND (?6 IS NULL OR EXISTS (SELECT 1 FROM json_each(document, '$.labels') \
              WHERE json_each.key = ?6 AND json_each.value = ?7)) \
         ORDER BY id LIMIT ?8",
    )
    .bind(wanted.kind.as_str())
    .bind(wanted.after.as_deref().unwrap_or(""))
    .bind(wanted.status.map(RecordStatus::as_str))
    .bind(wanted.tier.as_ref().map(Tier::as_str))
    .bind(wanted.tenant.as_ref().map(TenantId::as_str))
    .bind(key)
    .bind(value)
    .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX)) // one more, to tell whether there is another page
    .fetch_all(on)
    .await
    .map_err(failed("list records"))?;
    let records = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(RecordPage::cut(records, limit))
}

/// Creates or replaces a record's row if it is still as expected. False if it is not.
pub(super) async fn store(
    on: &mut SqliteConnection,
    write: &RecordWrite,
) -> Result<bool, RepositoryError> {
    let record = &write.record;
    let statement = match write.before {
        None => query(
            "INSERT INTO records (revision, status, document, created_at, updated_at, kind, id) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ),
        Some(_) => query(
            "UPDATE records SET revision = ?, status = ?, document = ?, created_at = ?, \
             updated_at = ? WHERE kind = ? AND id = ? AND revision = ?",
        ),
    };
    let statement = statement
        .bind(integer(record.revision.0))
        .bind(record.status.as_str())
        .bind(&record.document)
        .bind(record.created_at.to_string())
        .bind(record.updated_at.to_string())
        .bind(record.key.kind.as_str())
        .bind(&*record.key.id);
    let statement = match write.before {
        None => statement,
        Some(Revision(before)) => statement.bind(integer(before)),
    };
    let done = statement.execute(on).await.map_err(failed(WRITE))?;
    Ok(done.rows_affected() == 1)
}

/// Notes a use, if it is later than what is noted.
pub(super) async fn touch(
    on: &SqlitePool,
    key: &RecordKey,
    used_at: Timestamp,
) -> Result<(), RepositoryError> {
    query(
        "UPDATE records SET used_at = ?1 \
         WHERE kind = ?2 AND id = ?3 AND (used_at IS NULL OR used_at < ?1)",
    )
    .bind(comparable(used_at))
    .bind(key.kind.as_str())
    .bind(&*key.id)
    .execute(on)
    .await
    .map_err(failed("note a use"))?;
    Ok(())
}

/// Puts down who made a record what it is now.
pub(super) async fn account(
    on: &mut SqliteConnection,
    write: &RecordWrite,
    by: &Author,
) -> Result<(), RepositoryError> {
    let record = &write.record;
    query(
        "INSERT INTO events (at, author, origin, request_id, outcome, kind, id, before_revision, \
         after_revision, changes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(comparable(record.updated_at))
    .bind(&*by.name)
    .bind(&by.origin)
    .bind(&by.request_id)
    .bind(write.outcome.as_str())
    .bind(record.key.kind.as_str())
    .bind(&*record.key.id)
    .bind(write.before.map(|Revision(count)| integer(count)))
    .bind(integer(record.revision.0))
    .bind((!write.changes.is_null()).then(|| write.changes.to_string()))
    .execute(on)
    .await
    .map_err(failed("write an audit event"))?;
    Ok(())
}

/// The last sequence number ever given. Not `max(sequence)`, which old rows being pruned could
/// take back.
pub(super) async fn position(on: impl SqliteExecutor<'_>) -> Result<ChangeCursor, RepositoryError> {
    let last: Option<i64> = query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        .fetch_optional(on)
        .await
        .map_err(failed("tell its position"))?;
    Ok(ChangeCursor(natural(last.unwrap_or(0))))
}

/// The changes after a position, without waiting for any.
pub(super) async fn changes(
    on: impl SqliteExecutor<'_>,
    after: ChangeCursor,
) -> Result<Changes, RepositoryError> {
    let rows: Vec<FeedRow> = query_as(
        "SELECT sequence, kind, id FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
    )
    .bind(integer(after.0))
    .bind(i64::from(BATCH_MAX))
    .fetch_all(on)
    .await
    .map_err(failed("tell what changed"))?;
    Ok(read_changes(rows, after))
}

/// Audit events, newest first.
pub(super) async fn audit(
    on: impl SqliteExecutor<'_>,
    wanted: &AuditQuery,
) -> Result<Vec<AuditEvent>, RepositoryError> {
    let rows: Vec<EventRow<String>> = query_as(
        "SELECT sequence, at, author, origin, request_id, outcome, kind, id, before_revision, \
         after_revision, changes FROM events WHERE sequence < ?1 \
         AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR id = ?3) \
         AND (?4 IS NULL OR author = ?4) AND (?5 IS NULL OR request_id = ?5) \
         AND (?6 IS NULL OR outcome = ?6) \
         AND (?7 IS NULL OR at >= ?7) AND (?8 IS NULL OR at < ?8) \
         ORDER BY sequence DESC LIMIT ?9",
    )
    .bind(wanted.before.map_or(i64::MAX, integer))
    .bind(wanted.kind.map(Kind::as_str))
    .bind(&wanted.id)
    .bind(&wanted.author)
    .bind(&wanted.request_id)
    .bind(wanted.outcome.map(Outcome::as_str))
    .bind(wanted.since.map(comparable))
    .bind(wanted.until.map(comparable))
    .bind(i64::try_from(wanted.bounded_limit()).unwrap_or(i64::MAX))
    .fetch_all(on)
    .await
    .map_err(failed("read its audit events"))?;
    rows.into_iter().map(event).collect()
}

fn read(row: RecordRow<String>) -> Result<Record, RepositoryError> {
    read_record(row, |time| time.parse())
}

fn event(row: EventRow<String>) -> Result<AuditEvent, RepositoryError> {
    read_event(row, |time| time.parse())
}

/// A time as text whose order is that of the times.
fn comparable(at: Timestamp) -> String {
    format!("{at:.9}")
}
