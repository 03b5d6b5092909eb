//! What every store of history must do.

use std::{num::NonZeroU32, sync::Arc};

use jiff::{Timestamp, ToSpan};
use tenant_store::{
    history::{
        Batch, Bucket, CountRow, HistoryEntry, HistoryQuery, HistoryStore, Horizon, MemoryHistory,
        NewEntry, Since, Span, Tally,
    },
    model::{Signal, TenantId},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Store, conformance, postgres::Database, samples::id, sqlite::SqliteFile};

/// A store of a test's own, empty at first, as another process would open it.
pub(crate) trait Keeper {
    async fn history(&self) -> Arc<dyn HistoryStore>;
}

impl Keeper for SqliteFile {
    async fn history(&self) -> Arc<dyn HistoryStore> {
        self.open().await.store().history().unwrap()
    }
}

impl Keeper for Database {
    async fn history(&self) -> Arc<dyn HistoryStore> {
        self.open().await.store().history().unwrap()
    }
}

struct InMemory(Arc<MemoryHistory>);

impl Keeper for InMemory {
    async fn history(&self) -> Arc<dyn HistoryStore> {
        self.0.clone()
    }
}

/// Makes one test of each demand, for the store that `$store` makes.
macro_rules! remembers {
    ($store:expr) => {
        conformance! {
            $store;
            history::{
                changes_come_newest_first_in_pages, changes_are_chosen_by_what_they_are,
                only_the_newest_changes_are_kept, a_batch_that_is_sent_again_counts_once,
                counts_add_up_in_every_span, counts_of_many_writers_add_up,
                what_is_too_old_is_forgotten, a_tenant_can_be_forgotten, keeps_any_text,
            },
        }
    };
}

mod of_sqlite {
    use super::{SqliteFile, conformance};
    remembers!(SqliteFile::new());
}

mod of_postgres {
    use super::{Database, conformance};
    remembers!(Database::new().await);
}

mod in_memory {
    use super::{InMemory, conformance};
    remembers!(InMemory(std::sync::Arc::default()));
}

const MOST: NonZeroU32 = NonZeroU32::new(500).unwrap();

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn change(tenant: &str, second: i64, sentence: &str) -> NewEntry {
    NewEntry {
        tenant: id(tenant),
        entry: HistoryEntry {
            at: moment(second),
            router: "router-1".into(),
            kind: "endpoint".into(),
            signal: Some(Signal::Metrics),
            endpoint: Some("vm-1:8428".into()),
            from: "healthy".into(),
            to: "unhealthy".into(),
            cause: "connect".into(),
            sentence: sentence.into(),
        },
    }
}

fn count(tenant: &str, signal: Signal, second: i64, good: u64, bad: u64) -> CountRow {
    CountRow {
        tenant: id(tenant),
        signal,
        bucket: Bucket::of(Span::Minutes, moment(second)),
        tally: Tally { good, bad },
    }
}

fn batch(writer: u128, number: u64, entries: Vec<NewEntry>, counts: Vec<CountRow>) -> Batch {
    Batch {
        writer: Uuid::from_u128(writer),
        number,
        entries,
        counts,
    }
}

async fn remember(history: &dyn HistoryStore, number: u64, entries: Vec<NewEntry>) {
    let batch = batch(1, number, entries, Vec::new());
    history.write(&batch, MOST).await.unwrap();
}

/// What is said of the changes that `query` finds, page by page.
async fn told(history: &dyn HistoryStore, mut query: HistoryQuery) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let page = history.page(&query).await.unwrap();
        assert!(page.entries.len() <= query.bounded_limit());
        told.extend(page.entries.into_iter().map(|entry| entry.sentence));
        query.before = page.next;
        if query.before.is_none() {
            return told;
        }
    }
}

async fn sum(history: &dyn HistoryStore, tenant: &str, signal: Signal, since: Since) -> Tally {
    let sums = history.sums(&[id(tenant)], &[since]).await.unwrap();
    let found = sums.into_iter().find(|sum| sum.signal == signal);
    found.map_or(Tally::default(), |found| found.tallies[0])
}

fn ever(span: Span) -> Since {
    Since { span, start: 0 }
}

pub(crate) async fn changes_come_newest_first_in_pages(keeper: &impl Keeper) {
    let history = keeper.history().await;
    // Seven at one moment, and one that comes late.
    let same = (0..7).map(|n| change("acme", 10, &format!("same-{n}")));
    let mut entries = vec![change("acme", 20, "new"), change("globex", 15, "other")];
    entries.extend(same);
    remember(&*history, 1, entries).await;
    remember(&*history, 2, vec![change("acme", 5, "late")]).await;
    let mut expected = vec!["new".to_owned()];
    expected.extend((0..7).rev().map(|n| format!("same-{n}")));
    expected.push("late".into());
    let again = keeper.history().await;
    for limit in [1, 2, 3, 9, 100] {
        let query = HistoryQuery::newest(id("acme"), limit);
        assert_eq!(told(&*again, query).await, expected, "{limit} at a time");
    }
    let whole = again.page(&HistoryQuery::newest(id("globex"), 1)).await;
    let whole = whole.unwrap();
    assert_eq!(whole.entries, [change("globex", 15, "other").entry]);
    assert_eq!(whole.next, None);
    let nobody = HistoryQuery::newest(id("initech"), 10);
    assert_eq!(told(&*again, nobody).await, Vec::<String>::new());
}

pub(crate) async fn changes_are_chosen_by_what_they_are(keeper: &impl Keeper) {
    let history = keeper.history().await;
    let mut tenant = change("acme", 3, "tenant");
    tenant.entry.kind = "tenant".into();
    tenant.entry.signal = None;
    tenant.entry.endpoint = None;
    let mut logs = change("acme", 2, "logs");
    logs.entry.signal = Some(Signal::Logs);
    let entries = vec![change("acme", 1, "metrics"), logs, tenant];
    remember(&*history, 1, entries).await;
    let all = || HistoryQuery::newest(id("acme"), 10);
    let cases = [
        (
            HistoryQuery {
                kind: Some("tenant".into()),
                ..all()
            },
            &["tenant"][..],
        ),
        (
            HistoryQuery {
                signal: Some(Signal::Logs),
                ..all()
            },
            &["logs"],
        ),
        (
            HistoryQuery {
                since: Some(moment(2)),
                ..all()
            },
            &["tenant", "logs"],
        ),
        (
            HistoryQuery {
                until: Some(moment(2)),
                ..all()
            },
            &["metrics"],
        ),
        (
            HistoryQuery {
                kind: Some("nothing of the kind' OR 1=1".into()),
                ..all()
            },
            &[],
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(told(&*history, query.clone()).await, expected, "{query:?}");
    }
}

pub(crate) async fn only_the_newest_changes_are_kept(keeper: &impl Keeper) {
    let history = keeper.history().await;
    let most = NonZeroU32::new(3).unwrap();
    for number in 1..=4_u32 {
        let second = i64::from(number) * 10;
        let entries = (0..2)
            .map(|n| change("acme", second + n, &format!("{number}.{n}")))
            .chain([change("globex", second, &number.to_string())]);
        let batch = batch(1, number.into(), entries.collect(), Vec::new());
        history.write(&batch, most).await.unwrap();
    }
    let all = |tenant| HistoryQuery::newest(id(tenant), 10);
    assert_eq!(told(&*history, all("acme")).await, ["4.1", "4.0", "3.1"]);
    assert_eq!(told(&*history, all("globex")).await, ["4", "3", "2"]);
}

pub(crate) async fn a_batch_that_is_sent_again_counts_once(keeper: &impl Keeper) {
    let history = keeper.history().await;
    let one = |writer, number| {
        let changes = vec![change("acme", 1, &format!("{writer}.{number}"))];
        let counts = vec![count("acme", Signal::Logs, 1, 10, 1)];
        batch(writer, number, changes, counts)
    };
    // Again after the next, too; and another process has numbers of its own.
    for (writer, number) in [(1, 1), (1, 1), (1, 2), (2, 1), (1, 1), (1, 2)] {
        let history = keeper.history().await;
        history.write(&one(writer, number), MOST).await.unwrap();
    }
    let query = HistoryQuery::newest(id("acme"), 10);
    assert_eq!(told(&*history, query).await, ["2.1", "1.2", "1.1"]);
    let tally = sum(&*history, "acme", Signal::Logs, ever(Span::Minutes)).await;
    assert_eq!(tally, Tally { good: 30, bad: 3 });
}

pub(crate) async fn counts_add_up_in_every_span(keeper: &impl Keeper) {
    let history = keeper.history().await;
    // 1,800,000,000 is on the hour.
    let counts = vec![
        count("acme", Signal::Metrics, 0, 1, 0),
        count("acme", Signal::Metrics, 299, 2, 0),
        count("acme", Signal::Metrics, 300, 4, 1),
        count("acme", Signal::Metrics, 3_600, 8, 2),
        count("acme", Signal::Traces, 3_600, 16, 4),
        count("globex", Signal::Metrics, 3_600, 32, 8),
        count("initech", Signal::Metrics, 3_600, 0, 0),
        CountRow {
            bucket: Bucket::of(Span::Hour, moment(0)),
            ..count("acme", Signal::Metrics, 0, 64, 16)
        },
    ];
    history
        .write(&batch(1, 1, Vec::new(), counts), MOST)
        .await
        .unwrap();
    let start = |span, second| Since {
        span,
        start: moment(second).as_second(),
    };
    let cases = [
        (start(Span::Minutes, 0), (15, 3)),
        (start(Span::Minutes, 300), (12, 3)),
        (start(Span::Minutes, 301), (8, 2)),
        // What is only known by the hour counts there.
        (start(Span::Hour, 0), (79, 19)),
        (start(Span::Hour, 3_600), (8, 2)),
        (ever(Span::Day), (79, 19)),
    ];
    for (since, (good, bad)) in cases {
        let tally = sum(&*history, "acme", Signal::Metrics, since).await;
        assert_eq!(tally, Tally { good, bad }, "{since:?}");
    }
    let tenants = [id("initech"), id("globex"), id("acme"), id("nobody")];
    let since = cases.map(|(since, _)| since);
    let all = history.sums(&[id("acme")], &since).await.unwrap();
    let metrics = all.iter().find(|sum| sum.signal == Signal::Metrics);
    let expected = cases.map(|(_, (good, bad))| Tally { good, bad });
    assert_eq!(metrics.unwrap().tallies, expected, "all at once");
    let sums = history.sums(&tenants, &[start(Span::Hour, 3_600)]).await;
    let sums: Vec<_> = sums.unwrap();
    let found: Vec<_> = sums
        .iter()
        .map(|sum| (sum.tenant.as_str(), sum.signal, sum.tallies[0].good))
        .collect();
    let expected = [
        ("acme", Signal::Metrics, 8),
        ("acme", Signal::Traces, 16),
        ("globex", Signal::Metrics, 32),
    ];
    assert_eq!(found, expected);
    assert_eq!(history.sums(&[], &[ever(Span::Day)]).await.unwrap(), []);
}

/// Several routers add to the same rows, each in an order of its own: none waits for ever, and
/// nothing is lost.
pub(crate) async fn counts_of_many_writers_add_up(keeper: &impl Keeper) {
    const WRITERS: u32 = 6;
    const BATCHES: u64 = 15;
    const TENANTS: usize = 40;
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let history = keeper.history().await;
        writing.spawn(async move {
            for number in 1..=BATCHES {
                let mut tenants: Vec<_> = (0..TENANTS).map(|n| format!("t-{n}")).collect();
                if (u64::from(writer) + number) % 2 == 0 {
                    tenants.reverse();
                }
                let counts = tenants.iter().map(|id| count(id, Signal::Logs, 0, 1, 1));
                let batch = batch(writer.into(), number, Vec::new(), counts.collect());
                // A store that is busy says so; the batch is sent again.
                while history.write(&batch, MOST).await.is_err() {}
            }
        });
    }
    while let Some(done) = writing.join_next().await {
        done.unwrap();
    }
    let history = keeper.history().await;
    let tenants: Vec<TenantId> = (0..TENANTS).map(|n| id(&format!("t-{n}"))).collect();
    for span in Span::ALL {
        let sums = history.sums(&tenants, &[ever(span)]).await.unwrap();
        assert_eq!(sums.len(), TENANTS);
        let each = u64::from(WRITERS) * BATCHES;
        let expected = Tally {
            good: each,
            bad: each,
        };
        assert!(sums.iter().all(|sum| sum.tallies == [expected]), "{sums:?}");
    }
}

pub(crate) async fn what_is_too_old_is_forgotten(keeper: &impl Keeper) {
    let history = keeper.history().await;
    let entries = (0..2_500).map(|n| change(&format!("t-{}", n % 40), 1, "old"));
    let mut entries: Vec<_> = entries.collect();
    entries.push(change("t-0", 100, "kept"));
    remember(&*history, 1, entries).await;
    let counts = vec![count("t-0", Signal::Logs, 0, 1, 0)];
    history
        .write(&batch(2, 1, Vec::new(), counts), MOST)
        .await
        .unwrap();
    let prune = async |now: Timestamp| {
        let changes = moment(100);
        let mut rounds = 0;
        while history.prune(Horizon { changes, now }).await.unwrap() {
            rounds += 1;
            assert!(rounds < 100, "it never ends");
        }
    };
    let mut left = Vec::new();
    for hours in [1, 4, 24 * 5, 24 * 34] {
        prune(moment(0) + hours.hours()).await;
        let mut kept = Vec::new();
        for span in Span::ALL {
            kept.push(sum(&*history, "t-0", Signal::Logs, ever(span)).await.good);
        }
        left.push(kept);
    }
    assert_eq!(left, [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]);
    let all = |tenant| HistoryQuery::newest(id(tenant), 1_000);
    assert_eq!(told(&*history, all("t-0")).await, ["kept"]);
    assert_eq!(told(&*history, all("t-1")).await, Vec::<String>::new());
}

pub(crate) async fn a_tenant_can_be_forgotten(keeper: &impl Keeper) {
    let history = keeper.history().await;
    for (number, tenant) in [(1, "acme"), (2, "globex")] {
        let changes = vec![change(tenant, 1, tenant)];
        let counts = vec![count(tenant, Signal::Logs, 0, 1, 0)];
        let batch = batch(1, number, changes, counts);
        history.write(&batch, MOST).await.unwrap();
    }
    history.forget(&id("acme")).await.unwrap();
    history.forget(&id("nobody")).await.unwrap();
    let all = |tenant| HistoryQuery::newest(id(tenant), 10);
    assert_eq!(told(&*history, all("acme")).await, Vec::<String>::new());
    assert_eq!(told(&*history, all("globex")).await, ["globex"]);
    let good = async |tenant| {
        let tally = sum(&*history, tenant, Signal::Logs, ever(Span::Day)).await;
        tally.good
    };
    assert_eq!((good("acme").await, good("globex").await), (0, 1));
}

pub(crate) async fn keeps_any_text(keeper: &impl Keeper) {
    let history = keeper.history().await;
    let texts = [
        "'); DROP TABLE health_changes; --",
        "\"quoted\" \\ and {\"json\": [1]}",
        "NUL \0 and \\0, tab \t, line\nbreak",
        "emoji 🚦, right-to-left \u{202e}",
        "",
    ];
    for (number, text) in (1..).zip(texts) {
        let mut new = change("acme", number, text);
        let entry = &mut new.entry;
        for field in [
            &mut entry.router,
            &mut entry.kind,
            &mut entry.from,
            &mut entry.to,
            &mut entry.cause,
        ] {
            *field = text.into();
        }
        entry.endpoint = Some(text.into());
        let number = u64::try_from(number).unwrap();
        remember(&*history, number, vec![new.clone()]).await;
        let page = history.page(&HistoryQuery::newest(id("acme"), 1)).await;
        assert_eq!(page.unwrap().entries, [new.entry]);
    }
}
