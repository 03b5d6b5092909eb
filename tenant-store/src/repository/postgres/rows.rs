//! The SQL. Every value is bound, never written into a statement.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    error::BoxDynError,
    migrate::{Migration, MigrationType, Migrator},
    query, query_as, query_scalar,
};

use super::{WRITE, failed, listen::CHANNEL};
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
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (
        1,
        "records",
        include_str!("../../../migrations/postgres/0001_records.sql"),
    ),
    (
        2,
        "history",
        include_str!("../../../migrations/postgres/0002_history.sql"),
    ),
];

/// The advisory lock for bringing the schema up to date, by a number that nobody else is likely to
/// use.
const MIGRATING: i64 = 0x6d69_7261_646f_7201;

/// Brings the schema up to date: all steps in one transaction that holds a lock, so that routers
/// that start together take turns.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), BoxDynError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        let sql = sqlx::SqlSafeStr::into_sql_str(sql);
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name("mirador_migrations");
    // The lock below is held until the transaction ends, and works through a pooler too.
    migrator.set_locking(false);
    let mut transaction = connection.begin().await?;
    query("SELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATING)
        .execute(&mut *transaction)
        .await?;
    transaction
        .execute("SET LOCAL client_min_messages = warning")
        .await?;
    migrator.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(())
}

/// One record, whatever its status.
pub(super) async fn record(
    on: &PgPool,
    key: &RecordKey,
) -> Result<Option<Record>, RepositoryError> {
    let row: Option<RecordRow<i64>> = query_as(
        "SELECT kind, id, revision, status, document, \
         (extract(epoch FROM created_at) * 1000000)::bigint, \
         (extract(epoch FROM updated_at) * 1000000)::bigint, \
         (extract(epoch FROM used_at) * 1000000)::bigint \
         FROM mirador_records WHERE kind = $1 AND id = $2",
    )
    .bind(key.kind.as_str())
    .bind(&*key.id)
    .fetch_optional(on)
    .await
    .map_err(failed("read a record"))?;
    row.map(read).transpose()
}

/// One page of records, and whether there is another.
pub(super) async fn page(on: &PgPool, wanted: &RecordQuery) -> Result<RecordPage, RepositoryError> {
    let limit = wanted.bounded_limit();
    let label = wanted.label.as_ref();
    if label.is_some_and(|(key, value)| key.contains('\0') || value.contains('\0')) {
        // No label has one, and the database can't even be asked.
        return Ok(RecordPage::cut(Vec::new(), limit));
    }
    let label = label.map(|(key, value)| serde_json::json!({ key.as_str(): value }).to_string());
    let rows: Vec<RecordRow<i64>> = query_as(
        "SELECT kind, id, revision, status, document, \
         (extract(epoch FROM created_at) * 1000000)::bigint, \
         (extract(epoch FROM updated_at) * 1000000)::bigint, \
         (extract(epoch FROM used_at) * 1000000)::bigint \
         FROM mirador_records WHERE kind = $1 AND id > $2 \
         AND CASE WHEN $3::text IS NULL THEN status IN ('provisioning', 'active', 'suspended') \
             ELSE status = $3 END \
         AND ($4::text IS NULL OR tier = $4) AND ($5::text IS NULL OR tenant = $5) \
         AND ($6::text IS NULL OR labels @> $6::jsonb) \
         ORDER BY id LIMIT $7",
    )
    .bind(wanted.kind.as_str())
    .bind(wanted.after.as_deref().unwrap_or(""))
    .bind(wanted.status.map(RecordStatus::as_str))
    .bind(wanted.tier.as_ref().map(Tier::as_str))
    .bind(wanted.tenant.as_ref().map(TenantId::as_str))
    .bind(label)
    .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX)) // one more, to tell whether there is another page
    .fetch_all(on)
    .await
    .map_err(failed("list records"))?;
    let records = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(RecordPage::cut(records, limit))
}

/// Creates or replaces a record's row if it is still as expected. False if it is not.
pub(super) async fn store(
    on: &mut PgConnection,
    write: &RecordWrite,
) -> Result<bool, RepositoryError> {
    let record = &write.record;
    let statement = match write.before {
        None => query(
            "INSERT INTO mirador_records \
             (kind, id, revision, status, document, created_at, updated_at, tier, tenant, labels) \
             VALUES ($1, $2, $3, $4, $5, timestamptz 'epoch' + $6 * interval '1 microsecond', \
                     timestamptz 'epoch' + $7 * interval '1 microsecond', $8, $9, $10::jsonb) \
             ON CONFLICT DO NOTHING",
        ),
        Some(_) => query(
            "UPDATE mirador_records SET revision = $3, status = $4, document = $5, \
             created_at = timestamptz 'epoch' + $6 * interval '1 microsecond', \
             updated_at = timestamptz 'epoch' + $7 * interval '1 microsecond', \
             tier = $8, tenant = $9, labels = $10::jsonb \
             WHERE kind = $1 AND id = $2 AND revision = $11",
        ),
    };
    let document: Value = serde_json::from_str(&record.document).unwrap_or_default();
    let text = |field: &str| document[field].as_str().map(str::to_owned);
    let labels = document.get("labels").map(Value::to_string);
    let statement = statement
        .bind(record.key.kind.as_str())
        .bind(&*record.key.id)
        .bind(integer(record.revision.0))
        .bind(record.status.as_str())
        .bind(&record.document)
        .bind(record.created_at.as_microsecond())
        .bind(record.updated_at.as_microsecond())
        .bind(text("tier"))
        .bind(text("tenant"))
        .bind(labels);
    let statement = match write.before {
        None => statement,
        Some(Revision(before)) => statement.bind(integer(before)),
    };
    let done = statement.execute(on).await.map_err(failed(WRITE))?;
    Ok(done.rows_affected() == 1)
}

/// Notes a use, if it is later than what is noted.
pub(super) async fn touch(
    on: &PgPool,
    key: &RecordKey,
    used_at: Timestamp,
) -> Result<(), RepositoryError> {
    query(
        "UPDATE mirador_records SET used_at = timestamptz 'epoch' + $1 * interval '1 microsecond' \
         WHERE kind = $2 AND id = $3 AND (used_at IS NULL OR \
         used_at < timestamptz 'epoch' + $1 * interval '1 microsecond')",
    )
    .bind(used_at.as_microsecond())
    .bind(key.kind.as_str())
    .bind(&*key.id)
    .execute(on)
    .await
    .map_err(failed("note a use"))?;
    Ok(())
}

/// Puts down who made a record what it is now, moves the feed on, and announces it. The last
/// before the commit: from here on, other writers wait.
pub(super) async fn account(
    on: &mut PgConnection,
    write: &RecordWrite,
    by: &Author,
) -> Result<(), RepositoryError> {
    let record = &write.record;
    query(
        "WITH moved AS (UPDATE mirador_feed SET position = position + 1 RETURNING position), \
         told AS (SELECT pg_notify($11, '')) \
         INSERT INTO mirador_events (sequence, at, author, origin, request_id, outcome, kind, id, \
         before_revision, after_revision, changes) \
         SELECT moved.position, timestamptz 'epoch' + $1 * interval '1 microsecond', \
         $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM moved, told",
    )
    .bind(record.updated_at.as_microsecond())
    .bind(escaped(&by.name))
    .bind(escaped(&by.origin))
    .bind(escaped(&by.request_id))
    .bind(write.outcome.as_str())
    .bind(record.key.kind.as_str())
    .bind(&*record.key.id)
    .bind(write.before.map(|Revision(count)| integer(count)))
    .bind(integer(record.revision.0))
    .bind((!write.changes.is_null()).then(|| write.changes.to_string()))
    .bind(CHANNEL)
    .execute(on)
    .await
    .map_err(failed("write an audit event"))?;
    Ok(())
}

/// The position after the last commit.
pub(super) async fn position(on: &PgPool) -> Result<ChangeCursor, RepositoryError> {
    let position: i64 = query_scalar("SELECT position FROM mirador_feed")
        .fetch_one(on)
        .await
        .map_err(failed("tell its position"))?;
    Ok(ChangeCursor(natural(position)))
}

/// The changes after a position, without waiting for any.
pub(super) async fn changes(on: &PgPool, after: ChangeCursor) -> Result<Changes, RepositoryError> {
    let rows: Vec<FeedRow> = query_as(
        "SELECT sequence, kind, id FROM mirador_events WHERE sequence > $1 \
         ORDER BY sequence LIMIT $2",
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
    on: &PgPool,
    wanted: &AuditQuery,
) -> Result<Vec<AuditEvent>, RepositoryError> {
    let rows: Vec<EventRow<i64>> = query_as(
        "SELECT sequence, (extract(epoch FROM at) * 1000000)::bigint, author, origin, request_id, \
         outcome, kind, id, before_revision, after_revision, changes \
         FROM mirador_events WHERE sequence < $1 \
         AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR id = $3) \
         AND ($4::text IS NULL OR author = $4) AND ($5::text IS NULL OR request_id = $5) \
         AND ($6::text IS NULL OR outcome = $6) \
         AND ($7::bigint IS NULL OR at >= timestamptz 'epoch' + $7 * interval '1 microsecond') \
         AND ($8::bigint IS NULL OR at < timestamptz 'epoch' + $8 * interval '1 microsecond') \
         ORDER BY sequence DESC LIMIT $9",
    )
    .bind(wanted.before.map_or(i64::MAX, integer))
    .bind(wanted.kind.map(Kind::as_str))
    .bind(wanted.id.as_deref().map(escaped))
    .bind(wanted.author.as_deref().map(escaped))
    .bind(wanted.request_id.as_deref().map(escaped))
    .bind(wanted.outcome.map(Outcome::as_str))
    .bind(wanted.since.map(Timestamp::as_microsecond))
    .bind(wanted.until.map(Timestamp::as_microsecond))
    .bind(i64::try_from(wanted.bounded_limit()).unwrap_or(i64::MAX))
    .fetch_all(on)
    .await
    .map_err(failed("read its audit events"))?;
    rows.into_iter().map(event).collect()
}

fn read(row: RecordRow<i64>) -> Result<Record, RepositoryError> {
    read_record(row, Timestamp::from_microsecond)
}

fn event(row: EventRow<i64>) -> Result<AuditEvent, RepositoryError> {
    let event = read_event(row, Timestamp::from_microsecond)?;
    Ok(AuditEvent {
        author: unescaped(&event.author),
        origin: unescaped(&event.origin),
        request_id: unescaped(&event.request_id),
        ..event
    })
}

/// A text as the database can hold it, which has no NUL.
pub(super) fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\0', r"\0")
}

pub(super) fn unescaped(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => whole.extend(rest.next().map(|c| if c == '0' { '\0' } else { c })),
            _ => whole.push(c),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_goes_in_and_comes_out(text in r"[\\0\x00a]*") {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains('\0'));
            prop_assert_eq!(unescaped(&escaped), text);
        }
    }
}
