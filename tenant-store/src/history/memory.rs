//! History in memory: for stores that keep none. It ends with the process, and is no other router's.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    num::NonZeroU32,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    Batch, Bucket, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, HistoryStore, Horizon,
    NewEntry, Since, Sum, Tally,
};
use crate::{
    model::{Signal, TenantId},
    repository::RepositoryError,
};

/// Changes of all tenants together: some 10 MB.
const CHANGES: usize = 20_000;

/// Counts of all tenants together: some 10 MB.
const COUNTS: usize = 150_000;

/// History in memory, bounded: beyond 20,000 changes the oldest are forgotten, beyond 150,000
/// counts the oldest of the finest.
#[derive(Debug, Default)]
pub struct MemoryHistory(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    writers: HashMap<Uuid, u64>,
    changes: BTreeMap<HistoryCursor, NewEntry>,
    by_tenant: HashMap<TenantId, VecDeque<HistoryCursor>>,
    given: i64,
    counts: BTreeMap<Bucket, HashMap<(TenantId, Signal), Tally>>,
    rows: usize,
}

#[async_trait]
impl HistoryStore for MemoryHistory {
    async fn write(&self, batch: &Batch, most: NonZeroU32) -> Result<(), RepositoryError> {
        let mut held = self.0.lock();
        let last = held.writers.entry(batch.writer).or_default();
        if batch.number <= *last {
            return Ok(());
        }
        *last = batch.number;
        for new in &batch.entries {
            held.remember(new, most);
        }
        for row in batch.additions() {
            let place = (row.tenant, row.signal);
            let known = held.counts.entry(row.bucket).or_default();
            let before = known.len();
            *known.entry(place).or_default() += row.tally;
            let new = known.len() - before;
            held.rows += new;
        }
        held.bound();
        Ok(())
    }

    async fn page(&self, query: &HistoryQuery) -> Result<HistoryPage, RepositoryError> {
        let held = self.0.lock();
        let limit = query.bounded_limit();
        let places = held.by_tenant.get(&query.tenant).into_iter().flatten();
        let found = places.rev().filter_map(|place| {
            let entry = &held.changes.get(place)?.entry;
            fits(query, *place, entry).then(|| (*place, entry.clone()))
        });
        Ok(HistoryPage::cut(found.take(limit + 1).collect(), limit))
    }

    async fn sums(
        &self,
        tenants: &[TenantId],
        since: &[Since],
    ) -> Result<Vec<Sum>, RepositoryError> {
        let held = self.0.lock();
        let mut sums = Vec::new();
        let mut tenants: Vec<_> = tenants.iter().collect();
        tenants.sort_unstable();
        tenants.dedup();
        for tenant in tenants {
            for signal in Signal::ALL {
                let place = (tenant.clone(), signal);
                let tallies: Vec<_> = since.iter().map(|one| held.sum(&place, *one)).collect();
                if tallies.iter().any(|tally| !tally.is_empty()) {
                    let (tenant, signal) = place;
                    sums.push(Sum {
                        tenant,
                        signal,
                        tallies,
                    });
                }
            }
        }
        Ok(sums)
    }

    async fn prune(&self, horizon: Horizon) -> Result<bool, RepositoryError> {
        let mut held = self.0.lock();
        let oldest = horizon.changes.as_microsecond();
        while let Some((place, _)) = held.changes.first_key_value()
            && place.at < oldest
        {
            held.forget_oldest();
        }
        held.counts
            .retain(|bucket, _| bucket.start >= horizon.counts(bucket.span));
        held.rows = held.counts.values().map(HashMap::len).sum();
        Ok(false)
    }

    async fn forget(&self, tenant: &TenantId) -> Result<(), RepositoryError> {
        let mut held = self.0.lock();
        for place in held.by_tenant.remove(tenant).unwrap_or_default() {
            held.changes.remove(&place);
        }
        for counts in held.counts.values_mut() {
            counts.retain(|(whose, _), _| whose != tenant);
        }
        held.rows = held.counts.values().map(HashMap::len).sum();
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}

impl Held {
    fn remember(&mut self, new: &NewEntry, most: NonZeroU32) {
        self.given += 1;
        let place = HistoryCursor {
            at: new.entry.at.as_microsecond(),
            id: self.given,
        };
        self.changes.insert(place, new.clone());
        let places = self.by_tenant.entry(new.tenant.clone()).or_default();
        let after = places.partition_point(|other| *other < place);
        places.insert(after, place);
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        while places.len() > most {
            let oldest = places.pop_front();
            oldest.and_then(|oldest| self.changes.remove(&oldest));
        }
    }

    fn sum(&self, place: &(TenantId, Signal), since: Since) -> Tally {
        let bucket = |start| Bucket {
            span: since.span,
            start,
        };
        let mut sum = Tally::default();
        for (_, counts) in self.counts.range(bucket(since.start)..=bucket(i64::MAX)) {
            sum += counts.get(place).copied().unwrap_or_default();
        }
        sum
    }

    fn bound(&mut self) {
        while self.changes.len() > CHANGES {
            self.forget_oldest();
        }
        while self.rows > COUNTS {
            let Some((_, oldest)) = self.counts.pop_first() else {
                return;
            };
            self.rows -= oldest.len();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((place, new)) = self.changes.pop_first() else {
            return;
        };
        if let Some(places) = self.by_tenant.get_mut(&new.tenant) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.by_tenant.remove(&new.tenant);
            }
        }
    }
}

fn fits(query: &HistoryQuery, place: HistoryCursor, entry: &HistoryEntry) -> bool {
    query.before.is_none_or(|before| place < before)
        && query.kind.as_ref().is_none_or(|kind| *kind == entry.kind)
        && query
            .signal
            .is_none_or(|signal| entry.signal == Some(signal))
        && query.since.is_none_or(|since| entry.at >= since)
        && query.until.is_none_or(|until| entry.at < until)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::history::{CountRow, Span};

    /// The finest of the oldest goes first, and what is coarser still knows of it.
    #[tokio::test]
    async fn memory_is_bounded_and_forgets_what_is_finest_and_oldest() {
        let history = MemoryHistory::default();
        let count = |n: i64| CountRow {
            tenant: format!("t-{}", n % 40_000).parse().unwrap(),
            signal: Signal::Logs,
            bucket: Bucket {
                span: Span::Minutes,
                start: n / 40_000 * 300,
            },
            tally: Tally { good: 1, bad: 0 },
        };
        let batch = Batch {
            writer: Uuid::from_u128(1),
            number: 1,
            entries: Vec::new(),
            counts: (0..80_000).map(count).collect(),
        };
        let most = NonZeroU32::MIN;
        history.write(&batch, most).await.unwrap();
        assert!(history.0.lock().rows <= COUNTS);
        let tenant: TenantId = "t-1".parse().unwrap();
        let sum = async |span| {
            let since = Since { span, start: 0 };
            let sums = history.sums(std::slice::from_ref(&tenant), &[since]).await;
            sums.unwrap().first().map(|sum| sum.tallies[0].good)
        };
        assert_eq!(sum(Span::Minutes).await, Some(1), "the older one is gone");
        assert_eq!(sum(Span::Hour).await, Some(2));
        let horizon = Horizon {
            changes: Timestamp::UNIX_EPOCH,
            now: Timestamp::from_second(5 * 86_400).unwrap(),
        };
        history.prune(horizon).await.unwrap();
        assert_eq!(sum(Span::Hour).await, None);
        assert_eq!(sum(Span::Day).await, Some(2));
    }
}
