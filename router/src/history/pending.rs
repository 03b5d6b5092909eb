//! What waits to be written, in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use tenant_store::{
    history::{Batch, Bucket, CountRow, NewEntry, Span, Tally},
    model::{Signal, TenantId},
};
use uuid::Uuid;

/// Changes that wait at most, some 4 MB: beyond them the oldest are lost.
const CHANGES: usize = 10_000;

/// Counts that wait at most, some 12 MB: beyond them finer ones become coarser ones.
const COUNTS: usize = 100_000;

/// Changes, and counts, in one batch.
const AT_A_TIME: usize = 500;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changes: VecDeque<NewEntry>,
    counts: BTreeMap<(Bucket, TenantId, Signal), Tally>,
    /// What is being written: until that is known to have happened it is sent again as it is.
    in_flight: Option<Batch>,
    /// The number of the last batch.
    number: u64,
    pub(super) changes_lost: u64,
    pub(super) counts_lost: u64,
}

impl Pending {
    /// Takes in a change.
    pub(super) fn change(&mut self, new: NewEntry) {
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
            self.changes_lost += 1;
        }
        self.changes.push_back(new);
    }

    /// Takes in what the workers have counted since they were last asked, all of it now, unless it
    /// is not to count.
    pub(super) fn count(
        &mut self,
        fresh: Vec<(TenantId, Signal, Tally)>,
        now: Timestamp,
        counts: impl Fn(&TenantId) -> bool,
    ) {
        let bucket = Bucket::of(Span::Minutes, now);
        for (tenant, signal, tally) in fresh {
            if counts(&tenant) {
                *self.counts.entry((bucket, tenant, signal)).or_default() += tally;
            }
        }
        self.bound(bucket);
    }

    /// Forgets what waits of a tenant. What is being written is not held up.
    pub(super) fn forget(&mut self, tenant: &TenantId) {
        self.changes.retain(|new| new.tenant != *tenant);
        self.counts.retain(|(_, whose, _), _| whose != tenant);
    }

    /// What is to be written next: what was not known to be written, or else the oldest of what
    /// waits. Counts only if they are wanted.
    pub(super) fn next(&mut self, writer: Uuid, with_counts: bool) -> Option<Batch> {
        if self.in_flight.is_none() {
            let changes = self.changes.len().min(AT_A_TIME);
            let entries: Vec<_> = self.changes.drain(..changes).collect();
            let mut counts = Vec::new();
            while with_counts && counts.len() < AT_A_TIME {
                let Some(((bucket, tenant, signal), tally)) = self.counts.pop_first() else {
                    break;
                };
                counts.push(CountRow {
                    tenant,
                    signal,
                    bucket,
                    tally,
                });
            }
            if entries.is_empty() && counts.is_empty() {
                return None;
            }
            self.number += 1;
            self.in_flight = Some(Batch {
                writer,
                number: self.number,
                entries,
                counts,
            });
        }
        self.in_flight.clone()
    }

    /// A batch was written.
    pub(super) fn written(&mut self, number: u64) {
        self.in_flight.take_if(|batch| batch.number == number);
    }

    /// Changes and counts that wait.
    pub(super) fn waiting(&self) -> usize {
        let in_flight = self.in_flight.as_ref();
        let in_flight = in_flight.map_or(0, |batch| batch.entries.len() + batch.counts.len());
        self.changes.len() + self.counts.len() + in_flight
    }

    /// Whether there is a change to be written.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty() || self.in_flight.is_some()
    }

    /// Counts of minutes that are over become those of their hours, and those of their days, until
    /// there is room; then the oldest are lost.
    fn bound(&mut self, now: Bucket) {
        for span in [Span::Minutes, Span::Hour] {
            if self.counts.len() <= COUNTS {
                return;
            }
            let held = std::mem::take(&mut self.counts);
            for ((bucket, tenant, signal), tally) in held {
                let is_over = bucket.span == span && bucket != now;
                let bucket = bucket.coarser().filter(|_| is_over).unwrap_or(bucket);
                *self.counts.entry((bucket, tenant, signal)).or_default() += tally;
            }
        }
        while self.counts.len() > COUNTS {
            self.counts.pop_first();
            self.counts_lost += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use tenant_store::history::HistoryEntry;

    use super::*;

    const WRITER: Uuid = Uuid::nil();

    fn id(n: usize) -> TenantId {
        format!("t-{n}").parse().expect("an id")
    }

    fn change(n: usize) -> NewEntry {
        NewEntry {
            tenant: id(n),
            entry: HistoryEntry {
                at: Timestamp::UNIX_EPOCH,
                router: String::new(),
                kind: "tenant".into(),
                signal: None,
                endpoint: None,
                from: String::new(),
                to: String::new(),
                cause: String::new(),
                sentence: n.to_string(),
            },
        }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("a time")
    }

    fn fresh(n: usize, good: u64) -> (TenantId, Signal, Tally) {
        (id(n), Signal::Logs, Tally { good, bad: good })
    }

    /// Everything that waits, written.
    fn drain(pending: &mut Pending) -> (usize, Vec<CountRow>) {
        let (mut changes, mut counts) = (0, Vec::new());
        while let Some(batch) = pending.next(WRITER, true) {
            assert!(batch.entries.len() <= AT_A_TIME && batch.counts.len() <= AT_A_TIME);
            pending.written(batch.number);
            changes += batch.entries.len();
            counts.extend(batch.counts);
        }
        assert_eq!(pending.waiting(), 0);
        (changes, counts)
    }

    #[test]
    fn what_counts_goes_where_its_time_is() {
        let mut pending = Pending::default();
        let all = |_: &TenantId| true;
        pending.count(vec![fresh(1, 3)], at(0), all);
        pending.count(vec![fresh(1, 2)], at(4), all);
        pending.count(vec![fresh(1, 4)], at(5), all);
        pending.count(vec![fresh(1, 91)], at(6), |_| false);
        pending.count(vec![fresh(1, 1)], at(7), all);
        let (_, counts) = drain(&mut pending);
        let told: Vec<_> = counts
            .iter()
            .map(|row| (row.bucket.start, row.tally.good))
            .collect();
        assert_eq!(told, [(0, 5), (300, 5)]);
    }

    #[test]
    fn what_was_not_written_is_sent_again_as_it_was() {
        let mut pending = Pending::default();
        pending.change(change(1));
        let first = pending.next(WRITER, true).expect("a batch");
        pending.change(change(2));
        pending.count(vec![fresh(1, 3)], at(0), |_| true);
        assert_eq!(pending.next(WRITER, true).as_ref(), Some(&first));
        pending.written(first.number + 1);
        assert_eq!(pending.next(WRITER, true).as_ref(), Some(&first));
        pending.written(first.number);
        let second = pending.next(WRITER, false).expect("a batch");
        assert_eq!((second.number, second.counts.len()), (2, 0));
        pending.written(2);
        assert_eq!(pending.next(WRITER, false), None);
        assert!(!pending.has_changes());
        assert_eq!(
            pending.next(WRITER, true).map(|batch| batch.number),
            Some(3)
        );
    }

    #[test]
    fn the_oldest_changes_are_lost_first() {
        let mut pending = Pending::default();
        for n in 0..CHANGES + 5 {
            pending.change(change(n));
        }
        assert_eq!((pending.waiting(), pending.changes_lost), (CHANGES, 5));
        let batch = pending.next(WRITER, true).expect("a batch");
        assert_eq!(batch.entries[0], change(5));
    }

    /// A store that is down for a day costs no count, only how finely they are told apart.
    #[test]
    fn counts_become_coarser_before_any_is_lost() {
        const TENANTS: usize = 3_000;
        let mut pending = Pending::default();
        for round in 0..288 {
            let all = (0..TENANTS).map(|n| fresh(n, 1)).collect();
            let minute = round * 5;
            pending.count(all, at(minute), |_| true);
            assert!(pending.waiting() <= COUNTS);
        }
        assert_eq!(pending.counts_lost, 0);
        let (_, counts) = drain(&mut pending);
        let sum: u64 = counts.iter().map(|row| row.tally.good).sum();
        assert_eq!(sum, 288 * 3_000);
        let day = at(0)..at(24 * 60);
        assert!(counts.iter().all(|row| {
            let start = Timestamp::from_second(row.bucket.start).expect("a time");
            day.contains(&start)
        }));
    }
}
