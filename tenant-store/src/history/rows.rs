//! What rows of databases mean, whichever database it is.

use std::error::Error;

use jiff::Timestamp;

use super::{HistoryCursor, HistoryEntry, HistoryPage, Sum, Tally};
use crate::{
    model::{Signal, TenantId},
    repository::{Kind, RecordKey, RepositoryError},
};

/// The columns of a change: its number, when, router, kind, signal, endpoint, what it was and
/// became, cause and sentence.
pub(crate) type ChangeRow = (
    i64,
    i64,
    String,
    String,
    Option<String>,
    Option<String>,
    String,
    String,
    String,
    String,
);

/// Tenant, signal, which of the moments that were asked about (from 0), good and bad.
pub(crate) type SumRow = (String, String, i64, i64, i64);

/// The page that rows make, one of which is too many if there is another page.
pub(crate) fn cut_page(
    tenant: &TenantId,
    rows: Vec<ChangeRow>,
    limit: usize,
) -> Result<HistoryPage, RepositoryError> {
    let found = rows.into_iter().map(read_change).collect::<Result<_, _>>();
    let found = found.map_err(|source| corrupt(tenant.as_str(), source))?;
    Ok(HistoryPage::cut(found, limit))
}

/// The sums that rows say of `moments` moments, in the order of tenant and signal.
pub(crate) fn read_sums(rows: Vec<SumRow>, moments: usize) -> Result<Vec<Sum>, RepositoryError> {
    let mut sums: Vec<Sum> = Vec::new();
    for (tenant, signal, moment, good, bad) in rows {
        let mut read = || -> Result<(), Fault> {
            let (id, signal) = (tenant.parse::<TenantId>()?, signal.parse::<Signal>()?);
            let last = sums.last();
            if last.is_none_or(|last| (&last.tenant, last.signal) != (&id, signal)) {
                sums.push(Sum {
                    tenant: id,
                    signal,
                    tallies: vec![Tally::default(); moments],
                });
            }
            let tallies = sums.last_mut().map(|last| &mut last.tallies);
            let moment = usize::try_from(moment)?;
            if let Some(tally) = tallies.and_then(|tallies| tallies.get_mut(moment)) {
                tally.good = u64::try_from(good)?;
                tally.bad = u64::try_from(bad)?;
            }
            Ok(())
        };
        read().map_err(|source| corrupt(&tenant, source))?;
    }
    Ok(sums)
}

type Fault = Box<dyn Error + Send + Sync>;

fn read_change(row: ChangeRow) -> Result<(HistoryCursor, HistoryEntry), Fault> {
    let (id, at, router, kind, signal, endpoint, from, to, cause, sentence) = row;
    let entry = HistoryEntry {
        at: Timestamp::from_microsecond(at)?,
        router,
        kind,
        signal: signal.as_deref().map(str::parse).transpose()?,
        endpoint,
        from,
        to,
        cause,
        sentence,
    };
    Ok((HistoryCursor { at, id }, entry))
}

fn corrupt(tenant: &str, source: Fault) -> RepositoryError {
    RepositoryError::Corrupt {
        key: RecordKey::new(Kind::Tenant, tenant),
        source,
    }
}
