//! Warming, and following the store's changes.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{World, id, scripted::Mood, until, until_within};
use crate::cache::{CacheConfig, Known};

#[tokio::test(start_paused = true)]
async fn warming_reads_every_page() {
    let world = World::new();
    for number in 0..2_500 {
        world.store.write(&format!("t-{number}"));
    }
    world.store.bury("t-7");
    assert_eq!(world.cache.warm().await.unwrap(), 2_499);
    assert_eq!(world.cache.stats().entries, 2_499);
    assert_eq!(world.served("t-2499"), Some(1));
    assert_eq!(world.served("t-7"), None);
    assert_eq!(world.store.gets(), 0);
}

#[tokio::test(start_paused = true)]
async fn warming_stops_at_capacity() {
    let config = CacheConfig {
        capacity: 1_100,
        ..CacheConfig::default()
    };
    let world = World::with(config);
    for number in 0..2_500 {
        world.store.write(&format!("t-{number}"));
    }
    assert_eq!(world.cache.warm().await.unwrap(), 1_100);
    let stats = world.cache.stats();
    assert_eq!((stats.entries, stats.evictions), (1_100, 0));
}

#[tokio::test(start_paused = true)]
async fn warming_tells_of_a_store_that_fails_or_hangs() {
    let world = World::new();
    for mood in [Mood::Failing, Mood::Hanging] {
        world.store.is(mood);
        assert!(world.cache.warm().await.is_err(), "{mood:?}");
    }
}

/// Nothing is re-read because of its age.
fn only_following() -> CacheConfig {
    CacheConfig {
        soft_ttl: Duration::from_hours(10),
        ..CacheConfig::default()
    }
}

/// Changed, deleted, created, and changed between warming and following; who nobody knows here
/// is not read.
#[tokio::test(start_paused = true)]
async fn what_changes_elsewhere_is_taken_in() {
    let world = World::with(only_following());
    for name in ["changed", "deleted", "meanwhile"] {
        world.store.write(name);
    }
    world.cache.warm().await.unwrap();
    assert!(world.cache.get(&id("created")).await.unwrap().is_none());
    world.store.write("meanwhile");
    let follower = tokio::spawn(Arc::clone(&world.cache).follow());
    let started = Instant::now();
    until(|| world.served("meanwhile") == Some(2)).await;
    // It went on from where the warming began: nothing else was read.
    let gets = world.store.gets();
    assert_eq!(gets, 2);

    world.store.write("changed");
    world.store.bury("deleted");
    world.store.write("created");
    world.store.write("unheard-of");
    until(|| world.served("changed") == Some(2)).await;
    until(|| matches!(world.cache.known("deleted"), Known::NoSuchTenant)).await;
    until(|| world.served("created") == Some(1)).await;
    assert!(matches!(world.cache.known("unheard-of"), Known::NeverAsked));
    assert_eq!(world.store.gets(), gets + 3);
    assert!(started.elapsed() < only_following().negative_ttl);
    follower.abort();
}

#[tokio::test(start_paused = true)]
async fn what_changed_during_an_outage_is_taken_in_after_it() {
    let world = World::with(only_following());
    for number in 0..100 {
        world.store.write(&format!("t-{number}"));
    }
    world.cache.warm().await.unwrap();
    let follower = tokio::spawn(Arc::clone(&world.cache).follow());
    for mood in [Mood::Failing, Mood::Hanging] {
        until(|| world.store.follows() > 1).await;
        world.store.is(mood);
        for number in 0..100 {
            world.store.write(&format!("t-{number}"));
        }
        let before = world.store.follows();
        sleep(Duration::from_mins(10)).await;
        assert!(world.store.follows() - before < 40, "it does not back off");
        let kept = (0..100).all(|number| world.served(&format!("t-{number}")).is_some());
        assert!(kept, "something was dropped");

        let newest = ["t-0", "t-50", "t-99"].map(|name| (name, world.store.write(name)));
        world.store.is(Mood::Answering);
        for (name, record) in newest {
            let caught_up = || world.served(name) == Some(record.revision.0);
            until_within(Duration::from_secs(40), caught_up).await;
        }
    }
    follower.abort();
}

/// The store was replaced by another, whose changes are numbered anew: everything known is read
/// again.
#[tokio::test(start_paused = true)]
async fn another_store_is_noticed_after_an_outage() {
    let world = World::with(only_following());
    for name in ["acme", "globex", "initech"] {
        world.store.write(name);
    }
    world.cache.warm().await.unwrap();
    let follower = tokio::spawn(Arc::clone(&world.cache).follow());
    until(|| world.store.follows() > 1).await;
    world.store.is(Mood::Failing);
    world.store.write("acme"); // wakes the follower into the outage
    sleep(Duration::from_secs(1)).await;
    world.store.wipe();
    world.store.write("acme");
    world.store.is(Mood::Answering);
    let noticed = || matches!(world.cache.known("globex"), Known::NoSuchTenant);
    until_within(Duration::from_secs(40), noticed).await;
    assert_eq!(world.served("acme"), Some(1));
    follower.abort();
}

/// A record that can't be read stays as it was known, and later changes are taken in.
#[tokio::test(start_paused = true)]
async fn an_unreadable_record_does_not_stop_the_feed() {
    let world = World::with(only_following());
    for name in ["acme", "globex"] {
        world.store.write(name);
    }
    world.cache.warm().await.unwrap();
    let follower = tokio::spawn(Arc::clone(&world.cache).follow());
    until(|| world.store.follows() > 1).await;
    world.store.is(Mood::Garbling);
    world.store.write("acme");
    until(|| world.store.gets() > 0).await;
    sleep(Duration::from_millis(1)).await;
    world.store.is(Mood::Answering);
    world.store.write("globex");
    until(|| world.served("globex") == Some(2)).await;
    assert_eq!(world.served("acme"), Some(1));
    follower.abort();
}
