//! History in the embedded store's file. Every value is bound, never written into a statement.

use std::{num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, SqlitePool, query, query_as};

use super::{KIND, failed, file::DatabaseFile};
use crate::{
    history::{
        Batch, HistoryPage, HistoryQuery, HistoryStore, Horizon, Since, Span, Sum,
        rows::{ChangeRow, SumRow, cut_page, read_sums},
    },
    model::TenantId,
    repository::{RepositoryError, rows::integer},
};

const WRITE: &str = "write history";

/// What is remembered of health, in an `SQLite` file.
#[derive(Debug)]
pub(super) struct SqliteHistory {
    pub(super) file: Arc<DatabaseFile>,
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

#[async_trait]
impl HistoryStore for SqliteHistory {
    async fn write(&self, batch: &Batch, most: NonZeroU32) -> Result<(), RepositoryError> {
        self.file.check(WRITE)?;
        let mut connection = self.writer.acquire().await.map_err(failed(WRITE))?;
        let written = write_on(&mut connection, batch, most).await;
        if written.is_err() {
            // SQLite itself rolls back after some faults, behind the driver's back.
            connection.close_on_drop();
        }
        written
    }

    async fn page(&self, wanted: &HistoryQuery) -> Result<HistoryPage, RepositoryError> {
        self.file.check("read history")?;
        let limit = wanted.bounded_limit();
        let (at, id) = wanted
            .before
            .map_or((i64::MAX, i64::MAX), |before| (before.at, before.id));
        let rows: Vec<ChangeRow> = query_as(
            "SELECT id, at, router, kind, signal, endpoint, was, became, cause, sentence \
             FROM health_changes WHERE tenant = ?1 AND (at, id) < (?2, ?3) \
             AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR signal = ?5) \
             AND (?6 IS NULL OR at >= ?6) AND (?7 IS NULL OR at < ?7) \
             ORDER BY at DESC, id DESC LIMIT ?8",
        )
        .bind(wanted.tenant.as_str())
        .bind(at)
        .bind(id)
        .bind(&wanted.kind)
        .bind(wanted.signal.map(crate::model::Signal::as_str))
        .bind(wanted.since.map(Timestamp::as_microsecond))
        .bind(wanted.until.map(Timestamp::as_microsecond))
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("read history"))?;
        cut_page(&wanted.tenant, rows, limit)
    }

    async fn sums(
        &self,
        tenants: &[TenantId],
        since: &[Since],
    ) -> Result<Vec<Sum>, RepositoryError> {
        self.file.check("count requests")?;
        let tenants: Value = tenants.iter().map(TenantId::as_str).collect();
        let moments = since
            .iter()
            .map(|one| json!([one.span.seconds(), one.start]));
        let moments: Value = moments.collect();
        let rows: Vec<SumRow> = query_as(
            "SELECT tenant, signal, wanted.key, sum(good), sum(bad) \
             FROM json_each(?1) AS wanted CROSS JOIN request_counts \
             WHERE tenant IN (SELECT value FROM json_each(?2)) \
             AND span = wanted.value ->> 0 AND start >= wanted.value ->> 1 \
             GROUP BY tenant, signal, wanted.key ORDER BY tenant, signal",
        )
        .bind(moments.to_string())
        .bind(tenants.to_string())
        .fetch_all(&self.readers)
        .await
        .map_err(failed("count requests"))?;
        read_sums(rows, since.len())
    }

    async fn prune(&self, horizon: Horizon) -> Result<bool, RepositoryError> {
        const PRUNE: &str = "forget old history";
        self.file.check(PRUNE)?;
        let most = u64::from(Horizon::AT_A_TIME);
        let mut more = false;
        let changes = query(
            "DELETE FROM health_changes WHERE id IN \
             (SELECT id FROM health_changes WHERE at < ? LIMIT ?)",
        )
        .bind(horizon.changes.as_microsecond())
        .bind(integer(most));
        let done = changes.execute(&self.writer).await.map_err(failed(PRUNE))?;
        more |= done.rows_affected() == most;
        for span in Span::ALL {
            let counts = query(
                "DELETE FROM request_counts WHERE (tenant, span, start, signal) IN \
                 (SELECT tenant, span, start, signal FROM request_counts \
                  WHERE span = ? AND start < ? LIMIT ?)",
            )
            .bind(span.seconds())
            .bind(horizon.counts(span))
            .bind(integer(most));
            let done = counts.execute(&self.writer).await.map_err(failed(PRUNE))?;
            more |= done.rows_affected() == most;
        }
        query("DELETE FROM history_writers WHERE at < ?")
            .bind(horizon.counts(Span::Day))
            .execute(&self.writer)
            .await
            .map_err(failed(PRUNE))?;
        Ok(more)
    }

    async fn forget(&self, tenant: &TenantId) -> Result<(), RepositoryError> {
        const FORGET: &str = "forget a tenant's history";
        self.file.check(FORGET)?;
        for statement in [
            "DELETE FROM health_changes WHERE tenant = ?",
            "DELETE FROM request_counts WHERE tenant = ?",
        ] {
            query(statement)
                .bind(tenant.as_str())
                .execute(&self.writer)
                .await
                .map_err(failed(FORGET))?;
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}

async fn write_on(
    connection: &mut SqliteConnection,
    batch: &Batch,
    most: NonZeroU32,
) -> Result<(), RepositoryError> {
    let failed = failed(WRITE);
    let transaction = connection.begin_with("BEGIN IMMEDIATE").await;
    let mut transaction = transaction.map_err(failed)?;
    let fresh = query(
        "INSERT INTO history_writers (writer, batch, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at \
         WHERE batch < excluded.batch",
    )
    .bind(batch.writer.to_string())
    .bind(integer(batch.number))
    .bind(Timestamp::now().as_second())
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    if fresh.rows_affected() == 0 {
        return Ok(());
    }
    add_changes(&mut transaction, batch, most).await?;
    add_counts(&mut transaction, batch).await?;
    transaction.commit().await.map_err(failed)
}

async fn add_changes(
    on: &mut SqliteConnection,
    batch: &Batch,
    most: NonZeroU32,
) -> Result<(), RepositoryError> {
    let changes: Value = batch
        .entries
        .iter()
        .map(|new| {
            let entry = &new.entry;
            json!([
                new.tenant,
                entry.at.as_microsecond(),
                entry.router,
                entry.kind,
                entry.signal,
                entry.endpoint,
                entry.from,
                entry.to,
                entry.cause,
                entry.sentence
            ])
        })
        .collect();
    query(
        "INSERT INTO health_changes \
         (tenant, at, router, kind, signal, endpoint, was, became, cause, sentence) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
         value ->> 6, value ->> 7, value ->> 8, value ->> 9 FROM json_each(?) ORDER BY key",
    )
    .bind(changes.to_string())
    .execute(&mut *on)
    .await
    .map_err(failed(WRITE))?;
    for tenant in batch.changed() {
        query(
            "DELETE FROM health_changes WHERE id IN (SELECT id FROM health_changes \
             WHERE tenant = ? ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?)",
        )
        .bind(tenant.as_str())
        .bind(i64::from(most.get()))
        .execute(&mut *on)
        .await
        .map_err(failed(WRITE))?;
    }
    Ok(())
}

async fn add_counts(on: &mut SqliteConnection, batch: &Batch) -> Result<(), RepositoryError> {
    let additions: Value = batch
        .additions()
        .iter()
        .map(|row| {
            json!([
                row.tenant,
                row.bucket.span.seconds(),
                row.bucket.start,
                row.signal,
                integer(row.tally.good),
                integer(row.tally.bad)
            ])
        })
        .collect();
    query(
        "INSERT INTO request_counts (tenant, span, start, signal, good, bad) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
         FROM json_each(?) WHERE true \
         ON CONFLICT DO UPDATE SET good = good + excluded.good, bad = bad + excluded.bad",
    )
    .bind(additions.to_string())
    .execute(on)
    .await
    .map_err(failed(WRITE))?;
    Ok(())
}
