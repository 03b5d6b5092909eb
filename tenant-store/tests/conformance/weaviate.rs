//! Weaviate: the common demands, and what its faults may do. Against a double, or against the real
//! one that `MIRADOR_TEST_WEAVIATE` names by its URL.

mod half_done;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tenant_store::{
    model::{ApiKey, Revision, Status},
    repository::{
        AuditQuery, ChangeCursor, Expect, Kind, RecordQuery, Repository, RepositoryError,
        TenantRepository,
        weaviate::{WeaviateOptions, WeaviateRepository},
    },
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    Store, conformance,
    double::{Manners, Weaviate},
    samples::{id, keep, key, named, put, tenant},
};

/// Longer than any answer may take, however slow the machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Not atomic, for a moment in which a racing test can well be.
const WINDOW: Duration = Duration::from_millis(2);

/// Classes of a test's own.
pub(crate) struct Classes {
    /// `None` if a real server is to be used.
    double: Option<Arc<Weaviate>>,
    prefix: String,
}

impl Classes {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let own = || {
            let window = WINDOW;
            Arc::new(Weaviate::start(Manners {
                window,
                ..Manners::default()
            }))
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let real = env::var_os("MIRADOR_TEST_WEAVIATE").is_some();
        let prefix = if real {
            format!("Test{}n{number}", Uuid::new_v4().simple())
        } else {
            "Mirador".into()
        };
        Self {
            double: (!real).then(own),
            prefix,
        }
    }

    fn url(&self) -> String {
        match &self.double {
            Some(double) => double.url(),
            None => env::var("MIRADOR_TEST_WEAVIATE").expect("a URL"),
        }
    }
}

impl Store for Classes {
    async fn open(&self) -> Arc<Repository> {
        let settling = match self.double {
            Some(_) => 4 * WINDOW,
            None => Duration::from_millis(100),
        };
        let options = WeaviateOptions {
            timeout: Duration::from_secs(20),
            poll_interval: Duration::from_millis(250),
            settling,
            class_prefix: self.prefix.clone(),
            ..WeaviateOptions::default()
        };
        let store = open(&self.url(), None, options).await;
        Arc::new(Repository::new(store.unwrap()))
    }
}

conformance!(Classes::new());

async fn open(
    url: &str,
    api_key: Option<&str>,
    options: WeaviateOptions,
) -> Result<WeaviateRepository, RepositoryError> {
    // Fails only if another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = url.parse().unwrap();
    WeaviateRepository::open(http, &url, api_key.map(Into::into), options).await
}

/// One that looks often, and waits for an answer as long as that may take.
fn patient() -> WeaviateOptions {
    WeaviateOptions {
        timeout: DEADLINE,
        poll_interval: Duration::from_millis(50),
        settling: Duration::from_millis(20),
        ..WeaviateOptions::default()
    }
}

/// One that soon gives up, and soon takes a write for abandoned: it waits for that as long as for an
/// answer, which on a busy machine takes more than a moment.
fn impatient() -> WeaviateOptions {
    WeaviateOptions {
        timeout: Duration::from_secs(2),
        ..patient()
    }
}

async fn repository(double: &Weaviate, options: WeaviateOptions) -> Arc<Repository> {
    let store = open(&double.url(), None, options).await;
    Arc::new(Repository::new(store.unwrap()))
}

async fn until(what: &str, fits: impl AsyncFn() -> bool) {
    let waiting = async {
        while !fits().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come about"));
}

/// Listings come from a replica that is behind: nothing that is known is taken back, and in the end
/// everybody knows the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_replica_takes_nothing_back() {
    let lag = Duration::from_millis(400);
    let double = Weaviate::start(Manners {
        lag,
        ..Manners::default()
    });
    let (writer, reader) = (
        repository(&double, patient()).await,
        repository(&double, patient()).await,
    );
    let mut cursor = reader.position().await.unwrap();
    let mut last = Revision(0);
    let began = Instant::now();
    for round in 0..20 {
        let named = named("acme", &round.to_string());
        let written = put(&*writer, named, Expect::Anything).await.unwrap();
        let revision = written.record.revision;
        // Whoever wrote lists it at once, as written, and so does whoever has read it.
        for store in [&writer, &reader] {
            let found = store.get(&id("acme")).await.unwrap().unwrap();
            assert!(found.revision >= revision, "in round {round}");
            let listed = store.page::<tenant_store::model::Tenant>(RecordQuery::all(Kind::Tenant));
            let listed = listed.await.unwrap().records.remove(0);
            assert!(listed.revision >= revision, "in round {round}");
        }
        let changes = reader.changes(cursor, DEADLINE).await.unwrap();
        assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);
        cursor = changes.next;
        last = revision;
    }
    assert!(began.elapsed() > lag, "no listing was ever behind");
    drop(writer);
    // Looks one after the other: by the time of the last, what the first showed was taken in. One of
    // them may still be the writer's.
    let fresh = || double.fresh_listings("MiradorTenant");
    let before = fresh();
    until("listings that are not behind", async || {
        fresh() >= before + 3
    })
    .await;
    let found = reader.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(found.revision, last);
    let listed = reader.page::<tenant_store::model::Tenant>(RecordQuery::all(Kind::Tenant));
    assert_eq!(listed.await.unwrap().records.remove(0).revision, last);
}

/// Somebody who only lists hears of it, too, within a poll and the replica's lag.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_lists_hears_of_changes() {
    let double = Weaviate::start(Manners {
        lag: Duration::from_millis(200),
        ..Manners::default()
    });
    let (writer, reader) = (
        repository(&double, patient()).await,
        repository(&double, patient()).await,
    );
    put(&*writer, tenant("acme"), Expect::Absent).await.unwrap();
    let waiting = reader.changes(ChangeCursor(0), DEADLINE);
    let changes = timeout(DEADLINE, waiting).await.expect("it never looked");
    let changes = changes.unwrap();
    assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);
    let nothing = reader
        .changes(changes.next, Duration::from_millis(300))
        .await;
    assert_eq!(nothing.unwrap().keys, []);
}

/// The server tells both of two creators that they did it; one of them has, and knows it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_were_told_they_created_one_has() {
    let double = Weaviate::start(Manners {
        window: Duration::from_millis(10),
        ..Manners::default()
    });
    let (one, other) = (
        repository(&double, patient()).await,
        repository(&double, patient()).await,
    );
    for round in 0..20 {
        let name = format!("t-{round}");
        let (first, second) = tokio::join!(
            put(&*one, named(&name, "one"), Expect::Absent),
            put(&*other, named(&name, "other"), Expect::Absent),
        );
        let won = usize::from(first.is_ok()) + usize::from(second.is_ok());
        assert_eq!(won, 1, "in round {round}: {first:?} {second:?}");
        let winner = first.or(second).unwrap().record;
        assert_eq!(winner.revision, Revision(1));
        assert_eq!(other.get(&id(&name)).await.unwrap(), Some(winner));
    }
    let events = one.audit(&AuditQuery::newest(100)).await.unwrap();
    assert_eq!(events.len(), 20);
    assert_eq!(double.count("MiradorClaim"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answered_with_success_may_have_failed() {
    let double = Weaviate::start(Manners::default());
    let store = repository(&double, patient()).await;
    keep(&store, key("abcdef012345", "acme"), Expect::Absent)
        .await
        .unwrap();
    double.behave(Manners {
        batches_fail: true,
        ..Manners::default()
    });
    let now = Timestamp::now();
    let error = store
        .touch::<ApiKey>("abcdef012345", now)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("consistency level"), "{error}");
    let found = store.find::<ApiKey>("abcdef012345").await.unwrap().unwrap();
    assert_eq!(found.used_at, None);
}

/// The server goes, and comes back: errors meanwhile, soon; everything as before afterwards, and
/// nothing missed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_is_found_again() {
    let double = Arc::new(Weaviate::start(Manners::default()));
    let store = repository(&double, impatient()).await;
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let cursor = store.position().await.unwrap();
    let stop = |double: Arc<Weaviate>| tokio::task::spawn_blocking(move || double.stop());
    stop(double.clone()).await.unwrap();
    let waiting = timeout(DEADLINE, store.changes(cursor, DEADLINE * 2)).await;
    let error = waiting.expect("it noticed nothing").unwrap_err();
    assert!(
        matches!(error, RepositoryError::Unavailable { .. }),
        "{error}"
    );
    assert!(store.get(&id("acme")).await.is_err());
    assert!(store.position().await.is_err());
    let refused = put(&*store, named("acme", "lost"), Expect::Anything).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable { .. })));

    let again = double.clone();
    tokio::task::spawn_blocking(move || again.run_again())
        .await
        .unwrap();
    let other = repository(&double, impatient()).await;
    let mut suspended = tenant("acme");
    suspended.status = Status::Suspended;
    put(&*other, suspended.clone(), Expect::Anything)
        .await
        .unwrap();
    let heard = async || {
        let changes = store.changes(cursor, DEADLINE).await;
        changes.is_ok_and(|changes| changes.tenants().any(|tenant| tenant == id("acme")))
    };
    until("the change", heard).await;
    let found = store.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(found.tenant, suspended);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_error_names_the_place_and_no_key() {
    let double = Weaviate::start(Manners {
        api_key: Some("a-right-key".into()),
        ..Manners::default()
    });
    let refused = open(&double.url(), Some("a-wrong-key"), patient()).await;
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("store.api_key_file") && told.contains("401"),
        "{told}"
    );
    assert!(
        told.contains(&double.url()) && !told.contains("-key "),
        "{told}"
    );
    assert!(!told.contains("a-wrong-key"), "{told}");
    let store = open(&double.url(), Some("a-right-key"), patient()).await;
    let shown = format!("{:?}", store.unwrap());
    assert!(!shown.contains("a-right-key"), "{shown}");

    let nowhere = open("http://127.0.0.1:1", None, patient()).await;
    let error = nowhere.unwrap_err();
    assert!(matches!(error, RepositoryError::Open { .. }));
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

/// A class of an older version gets the properties it does not have; one that is something else is
/// left alone.
#[tokio::test(flavor = "multi_thread")]
async fn classes_that_are_there_are_completed_or_refused() {
    let double = Weaviate::start(Manners::default());
    let older = serde_json::json!({
        "class": "MiradorTenant",
        "properties": [{"name": "tenantId", "dataType": ["text"], "tokenization": "field"}],
    });
    double.define("MiradorTenant", older);
    let store = repository(&double, patient()).await;
    put(&*store, tenant("acme"), Expect::Absent).await.unwrap();
    let class = double.class("MiradorTenant").unwrap();
    let names: Vec<_> = class["properties"].as_array().unwrap().iter().collect();
    assert!(
        names.iter().any(|property| property["name"] == "spec"),
        "{names:?}"
    );
    let made = double.class("MiradorTier").unwrap();
    assert_eq!(
        made["replicationConfig"]["deletionStrategy"],
        "TimeBasedResolution"
    );

    let foreign = Weaviate::start(Manners::default());
    let class = serde_json::json!({
        "class": "MiradorTenant",
        "properties": [{"name": "revision", "dataType": ["text"]}],
    });
    foreign.define("MiradorTenant", class);
    let similar = Weaviate::start(Manners::default());
    similar.define(
        "MIRADORTenant",
        serde_json::json!({"class": "MIRADORTenant"}),
    );
    let refused = open(&similar.url(), None, patient()).await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("only in case"), "{told}");
    let refused = open(&foreign.url(), None, patient()).await;
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("MiradorTenant") && told.contains("revision"),
        "{told}"
    );
}

/// Routers that start together on an empty server all get the same classes.
#[tokio::test(flavor = "multi_thread")]
async fn many_open_a_new_server_at_once() {
    let double = Arc::new(Weaviate::start(Manners::default()));
    let opening = (0..8).map(|number: usize| {
        let double = double.clone();
        tokio::spawn(async move {
            let store = repository(&double, patient()).await;
            let tenant = tenant(&format!("t-{number}"));
            put(&*store, tenant, Expect::Absent).await.unwrap();
        })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap();
    }
    assert_eq!(double.count("MiradorTenant"), 8);
}
