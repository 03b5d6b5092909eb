//! When names are looked up and what becomes of the answers. Answers are the tests' own, and so is
//! the clock; real servers are asked end to end.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use super::*;

type Answers = Arc<Mutex<Result<Vec<u8>, LookupFailure>>>;

/// A resolver whose every question is answered with what stands in `answers`, and counted.
fn resolver(answers: &Answers) -> (Arc<Resolver>, Arc<AtomicUsize>) {
    let (answers, asked) = (Arc::clone(answers), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let ask = move |_: Question| -> Asked {
        count.fetch_add(1, SeqCst);
        let answer = answers.lock().clone().and_then(|last| {
            let place = |last| Place {
                service: None,
                address: [10, 0, 0, last].into(),
            };
            Answer::of(last.into_iter().map(place).collect()).ok_or(LookupFailure::Empty)
        });
        Box::pin(async move { answer })
    };
    let resolver = Resolver::asking(Duration::from_secs(30), Duration::from_secs(5), ask);
    (resolver, asked)
}

fn answering(last: &[u8]) -> Answers {
    Arc::new(Mutex::new(Ok(last.to_vec())))
}

fn host(name: &str) -> Question {
    Question::Host(name.into())
}

fn addresses(name: &WatchedName) -> Vec<IpAddr> {
    name.known()
        .places
        .iter()
        .map(|place| place.address)
        .collect()
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// Lets so much time pass, and everything happen that is due in it.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_at_once_and_then_now_and_again() {
    let answers = answering(&[2, 1]);
    let (resolver, asked) = resolver(&answers);
    let mut changes = resolver.changes();
    let name = resolver.watch(&host("vm"));
    assert_eq!(name.version(), 0);
    tokio::spawn(Arc::clone(&resolver).run());
    changes.changed().await.unwrap();
    assert_eq!(addresses(&name), [address(1), address(2)]);
    assert_eq!((name.version(), asked.load(SeqCst)), (1, 1));

    // The same in another order is no news.
    *answers.lock() = Ok(vec![1, 2]);
    pass(Duration::from_secs(31)).await;
    assert!(asked.load(SeqCst) >= 2);
    assert_eq!(name.version(), 1);

    *answers.lock() = Ok(vec![2, 3]);
    pass(Duration::from_secs(34)).await;
    assert_eq!(addresses(&name), [address(2), address(3)]);
    assert_eq!(name.version(), 2);
    // 100 s are three lookups, give or take one.
    let before = asked.load(SeqCst);
    pass(Duration::from_secs(100)).await;
    assert!((3..=4).contains(&(asked.load(SeqCst) - before)));
}

/// Whatever a lookup comes to but addresses, those that are known stay.
#[tokio::test(start_paused = true)]
async fn failures_keep_what_is_known() {
    let answers = answering(&[1]);
    let (resolver, _) = resolver(&answers);
    tokio::spawn(Arc::clone(&resolver).run());
    let name = resolver.watch(&host("vm"));
    pass(Duration::from_secs(1)).await;
    for failure in [
        LookupFailure::Empty,
        LookupFailure::Timeout(Duration::from_secs(5)),
        LookupFailure::Refused("SERVFAIL".into()),
        LookupFailure::Unasked("no servers".into()),
    ] {
        *answers.lock() = Err(failure.clone());
        pass(Duration::from_secs(40)).await;
        assert_eq!(addresses(&name), [address(1)]);
        let told = name.snapshot();
        assert_eq!(told.error, Some(failure.to_string()));
        assert!(told.failing_since.is_some() && told.resolved_at.is_some());
        let stats = resolver.stats();
        assert_eq!((stats.resolved, stats.kept, stats.unresolved), (0, 1, 0));
    }
    *answers.lock() = Ok(vec![1]);
    pass(Duration::from_secs(40)).await;
    assert_eq!(name.snapshot().error, None);
    assert_eq!(name.version(), 1, "it has the addresses it had");
    assert_eq!(resolver.stats().resolved, 1);
}

/// A name that fails is asked for again soon, and less and less often.
#[tokio::test(start_paused = true)]
async fn a_name_without_an_answer_is_asked_for_sooner() {
    let answers: Answers = Arc::new(Mutex::new(Err(LookupFailure::Empty)));
    let (resolver, asked) = resolver(&answers);
    tokio::spawn(Arc::clone(&resolver).run());
    let name = resolver.watch(&host("vm"));
    pass(Duration::from_secs(20)).await;
    // After 0, 1, 3, 7 and 15 s, a tenth sooner or later.
    assert_eq!(asked.load(SeqCst), 5);
    assert!(name.known().places.is_empty());
    pass(Duration::from_mins(5)).await;
    assert!((13..=16).contains(&asked.load(SeqCst)), "{asked:?}");
}

/// However many endpoints fail at a time, and however often: once a second.
#[tokio::test(start_paused = true)]
async fn doubts_are_looked_into_at_most_once_a_second() {
    let answers = answering(&[1]);
    let (resolver, asked) = resolver(&answers);
    tokio::spawn(Arc::clone(&resolver).run());
    let name = resolver.watch(&host("vm"));
    pass(Duration::from_millis(10)).await;
    assert_eq!(asked.load(SeqCst), 1);
    *answers.lock() = Ok(vec![2]);
    for _ in 0..40 {
        name.doubt();
        pass(Duration::from_millis(100)).await;
    }
    assert!((4..=5).contains(&asked.load(SeqCst)), "{asked:?}");
    assert_eq!(addresses(&name), [address(2)]);
    // It is followed for a while, less and less closely.
    pass(Duration::from_secs(20)).await;
    assert!((8..=10).contains(&asked.load(SeqCst)), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_forgotten_with_its_last_holder() {
    let answers = answering(&[1]);
    let (resolver, asked) = resolver(&answers);
    tokio::spawn(Arc::clone(&resolver).run());
    let (one, other) = (resolver.watch(&host("vm")), resolver.watch(&host("vm")));
    assert!(
        Arc::ptr_eq(&one, &other),
        "tenants that share a name share its record"
    );
    pass(Duration::from_secs(1)).await;
    drop((one, other));
    let before = asked.load(SeqCst);
    pass(Duration::from_mins(2)).await;
    assert_eq!(asked.load(SeqCst), before);
    assert!(resolver.names.lock().is_empty());
    assert_eq!(resolver.schedule.lock().len(), 0);
    assert_eq!(resolver.stats().resolved, 0);
}

/// Ten thousand names at a start go to the server a few at a time, and are spread out afterwards.
#[tokio::test(start_paused = true)]
async fn many_names_are_asked_for_a_few_at_a_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let asked = Arc::new(AtomicUsize::new(0));
    let ask = {
        let (now, most, asked) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&asked));
        move |_: Question| -> Asked {
            let (now, most, asked) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&asked));
            Box::pin(async move {
                asked.fetch_add(1, SeqCst);
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                now.fetch_sub(1, SeqCst);
                let place = Place {
                    service: None,
                    address: address(1),
                };
                Answer::of(vec![place]).ok_or(LookupFailure::Empty)
            })
        }
    };
    let resolver = Resolver::asking(Duration::from_secs(30), Duration::from_secs(5), ask);
    let names: Vec<_> = (0..10_000)
        .map(|n| resolver.watch(&host(&format!("vm-{n}"))))
        .collect();
    tokio::spawn(Arc::clone(&resolver).run());
    pass(Duration::from_secs(1)).await;
    assert!(names.iter().all(|name| name.version() == 1));
    assert_eq!(most.load(SeqCst), LOOKUPS_AT_ONCE);
    // Afterwards some 333 of them are due in any second.
    pass(Duration::from_secs(5)).await;
    let before = asked.load(SeqCst);
    pass(Duration::from_secs(10)).await;
    let in_ten_seconds = asked.load(SeqCst) - before;
    assert!((2_000..5_000).contains(&in_ten_seconds), "{in_ten_seconds}");
}

/// A server that hangs costs its time, not the list.
#[tokio::test(start_paused = true)]
async fn a_lookup_ends_in_time() {
    let ask = |_: Question| -> Asked { Box::pin(std::future::pending()) };
    let timeout = Duration::from_secs(5);
    let resolver = Resolver::asking(Duration::from_secs(30), timeout, ask);
    tokio::spawn(Arc::clone(&resolver).run());
    let name = resolver.watch(&host("vm"));
    pass(Duration::from_millis(5_100)).await;
    assert_eq!(
        name.snapshot().error,
        Some(LookupFailure::Timeout(timeout).to_string())
    );
    assert_eq!(resolver.stats().lookups.timeout, 1);
}

/// Tens of thousands of names must be affordable.
#[test]
fn a_name_is_a_small_record() {
    let bytes = size_of::<WatchedName>();
    assert!(
        bytes <= 224,
        "{bytes} bytes beside the name and its addresses"
    );
}
