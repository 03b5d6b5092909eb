//! History in the shared database. Every value is bound, never written into a statement.

use std::num::NonZeroU32;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{PgConnection, PgPool, query, query_as};

use super::{
    KIND, failed,
    rows::{escaped, unescaped},
};
use crate::{
    history::{
        Batch, HistoryEntry, HistoryPage, HistoryQuery, HistoryStore, Horizon, NewEntry, Since,
        Span, Sum,
        rows::{ChangeRow, SumRow, cut_page, read_sums},
    },
    model::{Signal, TenantId},
    repository::{RepositoryError, rows::integer},
};

const WRITE: &str = "write history";

/// What is remembered of health, in a `PostgreSQL` database.
#[derive(Debug)]
pub(super) struct PostgresHistory {
    pub(super) pool: PgPool,
}

#[async_trait]
impl HistoryStore for PostgresHistory {
    async fn write(&self, batch: &Batch, most: NonZeroU32) -> Result<(), RepositoryError> {
        let failed = failed(WRITE);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let fresh = query(
            "INSERT INTO mirador_history_writers AS known (writer, batch, at) VALUES ($1, $2, $3) \
             ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at \
             WHERE known.batch < excluded.batch",
        )
        .bind(batch.writer.to_string())
        .bind(integer(batch.number))
        .bind(Timestamp::now().as_second())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if fresh.rows_affected() == 0 {
            return transaction.rollback().await.map_err(failed);
        }
        add_changes(&mut transaction, batch, most).await?;
        add_counts(&mut transaction, batch).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn page(&self, wanted: &HistoryQuery) -> Result<HistoryPage, RepositoryError> {
        let limit = wanted.bounded_limit();
        let (at, id) = wanted
            .before
            .map_or((i64::MAX, i64::MAX), |before| (before.at, before.id));
        let rows: Vec<ChangeRow> = query_as(
            "SELECT id, at, router, kind, signal, endpoint, was, became, cause, sentence \
             FROM mirador_health_changes WHERE tenant = $1 AND (at, id) < ($2, $3) \
             AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR signal = $5) \
             AND ($6::bigint IS NULL OR at >= $6) AND ($7::bigint IS NULL OR at < $7) \
             ORDER BY at DESC, id DESC LIMIT $8",
        )
        .bind(wanted.tenant.as_str())
        .bind(at)
        .bind(id)
        .bind(wanted.kind.as_deref().map(escaped))
        .bind(wanted.signal.map(Signal::as_str))
        .bind(wanted.since.map(Timestamp::as_microsecond))
        .bind(wanted.until.map(Timestamp::as_microsecond))
        .bind(i64::try_from(limit + 1).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read history"))?;
        let mut page = cut_page(&wanted.tenant, rows, limit)?;
        page.entries.iter_mut().for_each(unescape);
        Ok(page)
    }

    async fn sums(
        &self,
        tenants: &[TenantId],
        since: &[Since],
    ) -> Result<Vec<Sum>, RepositoryError> {
        let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
        let spans: Vec<i32> = since.iter().map(|one| seconds(one.span)).collect();
        let starts: Vec<i64> = since.iter().map(|one| one.start).collect();
        let rows: Vec<SumRow> = query_as(
            "SELECT tenant, signal, place - 1, sum(good)::bigint, sum(bad)::bigint \
             FROM unnest($2::int[], $3::bigint[]) WITH ORDINALITY AS wanted (length, since, place) \
             JOIN mirador_request_counts ON span = length AND start >= since \
             WHERE tenant = ANY($1) GROUP BY tenant, signal, place ORDER BY tenant, signal",
        )
        .bind(tenants)
        .bind(spans)
        .bind(starts)
        .fetch_all(&self.pool)
        .await
        .map_err(failed("count requests"))?;
        read_sums(rows, since.len())
    }

    async fn prune(&self, horizon: Horizon) -> Result<bool, RepositoryError> {
        const PRUNE: &str = "forget old history";
        let most = u64::from(Horizon::AT_A_TIME);
        let mut more = false;
        // What another router is about to forget is left to it.
        let changes = query(
            "DELETE FROM mirador_health_changes WHERE id IN \
             (SELECT id FROM mirador_health_changes WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(horizon.changes.as_microsecond())
        .bind(integer(most));
        let done = changes.execute(&self.pool).await.map_err(failed(PRUNE))?;
        more |= done.rows_affected() == most;
        for span in Span::ALL {
            let counts = query(
                "DELETE FROM mirador_request_counts WHERE (tenant, span, start, signal) IN \
                 (SELECT tenant, span, start, signal FROM mirador_request_counts \
                  WHERE span = $1 AND start < $2 LIMIT $3 FOR UPDATE SKIP LOCKED)",
            )
            .bind(seconds(span))
            .bind(horizon.counts(span))
            .bind(integer(most));
            let done = counts.execute(&self.pool).await.map_err(failed(PRUNE))?;
            more |= done.rows_affected() == most;
        }
        query("DELETE FROM mirador_history_writers WHERE at < $1")
            .bind(horizon.counts(Span::Day))
            .execute(&self.pool)
            .await
            .map_err(failed(PRUNE))?;
        Ok(more)
    }

    async fn forget(&self, tenant: &TenantId) -> Result<(), RepositoryError> {
        const FORGET: &str = "forget a tenant's history";
        for statement in [
            "DELETE FROM mirador_health_changes WHERE tenant = $1",
            "DELETE FROM mirador_request_counts WHERE tenant = $1",
        ] {
            query(statement)
                .bind(tenant.as_str())
                .execute(&self.pool)
                .await
                .map_err(failed(FORGET))?;
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        KIND
    }
}

async fn add_changes(
    on: &mut PgConnection,
    batch: &Batch,
    most: NonZeroU32,
) -> Result<(), RepositoryError> {
    fn column<T>(batch: &Batch, of: impl Fn(&NewEntry) -> T) -> Vec<T> {
        batch.entries.iter().map(of).collect()
    }
    query(
        "INSERT INTO mirador_health_changes \
         (tenant, at, router, kind, signal, endpoint, was, became, cause, sentence) \
         SELECT tenant, at, router, kind, signal, endpoint, was, became, cause, sentence \
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], \
         $7::text[], $8::text[], $9::text[], $10::text[]) WITH ORDINALITY \
         AS fresh (tenant, at, router, kind, signal, endpoint, was, became, cause, sentence, place) \
         ORDER BY place",
    )
    .bind(column(batch, |new| new.tenant.to_string()))
    .bind(column(batch, |new| new.entry.at.as_microsecond()))
    .bind(column(batch, |new| escaped(&new.entry.router)))
    .bind(column(batch, |new| escaped(&new.entry.kind)))
    .bind(column(batch, |new| new.entry.signal.map(Signal::as_str)))
    .bind(column(batch, |new| new.entry.endpoint.as_deref().map(escaped)))
    .bind(column(batch, |new| escaped(&new.entry.from)))
    .bind(column(batch, |new| escaped(&new.entry.to)))
    .bind(column(batch, |new| escaped(&new.entry.cause)))
    .bind(column(batch, |new| escaped(&new.entry.sentence)))
    .execute(&mut *on)
    .await
    .map_err(failed(WRITE))?;
    for tenant in batch.changed() {
        query(
            "DELETE FROM mirador_health_changes WHERE id IN \
             (SELECT id FROM mirador_health_changes WHERE tenant = $1 \
              ORDER BY at DESC, id DESC OFFSET $2)",
        )
        .bind(tenant.as_str())
        .bind(i64::from(most.get()))
        .execute(&mut *on)
        .await
        .map_err(failed(WRITE))?;
    }
    Ok(())
}

async fn add_counts(on: &mut PgConnection, batch: &Batch) -> Result<(), RepositoryError> {
    let rows = batch.additions();
    let tenants: Vec<&str> = rows.iter().map(|row| row.tenant.as_str()).collect();
    let spans: Vec<i32> = rows.iter().map(|row| seconds(row.bucket.span)).collect();
    let starts: Vec<i64> = rows.iter().map(|row| row.bucket.start).collect();
    let signals: Vec<&str> = rows.iter().map(|row| row.signal.as_str()).collect();
    let good: Vec<i64> = rows.iter().map(|row| integer(row.tally.good)).collect();
    let bad: Vec<i64> = rows.iter().map(|row| integer(row.tally.bad)).collect();
    query(
        "INSERT INTO mirador_request_counts AS held (tenant, span, start, signal, good, bad) \
         SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::bigint[], \
         $6::bigint[]) \
         ON CONFLICT (tenant, span, start, signal) DO UPDATE \
         SET good = held.good + excluded.good, bad = held.bad + excluded.bad",
    )
    .bind(tenants)
    .bind(spans)
    .bind(starts)
    .bind(signals)
    .bind(good)
    .bind(bad)
    .execute(on)
    .await
    .map_err(failed(WRITE))?;
    Ok(())
}

fn unescape(entry: &mut HistoryEntry) {
    let texts = [
        &mut entry.router,
        &mut entry.kind,
        &mut entry.from,
        &mut entry.to,
        &mut entry.cause,
        &mut entry.sentence,
    ];
    for text in texts.into_iter().chain(&mut entry.endpoint) {
        *text = unescaped(text);
    }
}

fn seconds(span: Span) -> i32 {
    i32::try_from(span.seconds()).unwrap_or(i32::MAX)
}
