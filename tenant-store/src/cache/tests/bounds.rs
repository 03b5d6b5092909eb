//! Bounded memory, and what is counted.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{
    World, id,
    scripted::{Mood, record},
    until, until_within,
};
use crate::{
    cache::{CacheConfig, CacheStats, Known, LookupError, REFRESHES_AT_ONCE},
    model::Status,
};

/// 100,000 ids that nobody has: bounded while they come and when they have come.
#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_ids_stays_bounded() {
    let world = World::new();
    let capacity = CacheConfig::default().negative_capacity;
    world.cache.store(&record("acme", 1, Status::Active));
    for flood in 0..10 {
        for number in 0..10_000 {
            let nobody = id(&format!("nobody-{flood}-{number}"));
            assert!(world.cache.get(&nobody).await.unwrap().is_none());
        }
        // Moka settles in batches of some hundreds.
        let held = world.cache.absent.iter().count() as u64;
        assert!(held <= capacity + 2_000, "{held}");
    }
    let stats = world.cache.stats();
    assert!(stats.negative_entries <= capacity, "{stats:?}");
    assert!(stats.negative_entries > capacity / 2, "{stats:?}");
    assert_eq!(stats.entries, 1);
    assert!(world.cache.flights.lock().is_empty());
    assert_eq!(world.served("acme"), Some(1));
}

/// A hanging store and a flood of ids together: waiting look-ups are bounded too, the rest is
/// told at once.
#[tokio::test(start_paused = true)]
async fn look_ups_that_wait_are_bounded() {
    let world = World::new();
    world.store.is(Mood::Hanging);
    let mut flood = JoinSet::new();
    for number in 0..12_000 {
        let cache = Arc::clone(&world.cache);
        flood.spawn(async move { cache.get(&id(&format!("nobody-{number}"))).await });
    }
    let mut overloaded = 0;
    for answer in flood.join_all().await {
        match answer.unwrap_err() {
            LookupError::Overloaded { waiting, .. } => {
                assert_eq!(waiting, 10_000);
                overloaded += 1;
            }
            LookupError::Store { .. } => {}
            other @ LookupError::Interrupted { .. } => panic!("{other}"),
        }
    }
    assert_eq!(overloaded, 2_000);
    assert!(world.store.gets() <= 64, "{}", world.store.gets());
    assert!(world.cache.flights.lock().is_empty());
}

/// Whoever waits for an answer comes before tenants that are served meanwhile; and of these none is
/// forgotten.
#[tokio::test(start_paused = true)]
async fn refreshes_leave_room_for_look_ups() {
    let world = World::new();
    let known: Vec<_> = (0..200).map(|number| format!("t-{number}")).collect();
    for name in &known {
        world.store.write(name);
        world.cache.get(&id(name)).await.unwrap();
    }
    world.store.write("globex");
    tokio::time::advance(CacheConfig::default().soft_ttl).await;
    world.store.is(Mood::Hanging);
    let before = world.store.gets();
    let ask_all = || {
        let served = known.iter().filter(|name| world.served(name) == Some(1));
        assert_eq!(served.count(), 200);
    };
    ask_all();
    until(|| world.store.gets() == before + REFRESHES_AT_ONCE).await;
    let cache = Arc::clone(&world.cache);
    let look_up = tokio::spawn(async move { cache.get(&id("globex")).await });
    // Not just when the others are given up.
    let at_once = CacheConfig::default().load_timeout / 2;
    let looked_up = || world.store.gets() == before + REFRESHES_AT_ONCE + 1;
    until_within(at_once, looked_up).await;
    world.store.is(Mood::Answering);
    assert!(look_up.await.unwrap().unwrap().is_some());
    until(|| {
        ask_all();
        world.store.gets() == before + known.len() + 1
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tenants_over_capacity_are_evicted_and_no_longer_current() {
    let config = CacheConfig {
        capacity: 100,
        ..CacheConfig::default()
    };
    let world = World::with(config);
    let mut entries = Vec::new();
    for number in 0..500 {
        let name = format!("t-{number}");
        world.store.write(&name);
        entries.push(world.cache.get(&id(&name)).await.unwrap().unwrap());
    }
    let stats = world.cache.stats();
    assert_eq!((stats.entries, stats.evictions), (100, 400));
    let current = entries.iter().filter(|entry| entry.is_current()).count();
    assert_eq!(current, 100);
    assert_eq!(world.cache.entries().count(), 100);
    // Whoever was evicted is found again.
    for number in 0..500 {
        let again = world.cache.get(&id(&format!("t-{number}"))).await;
        assert_eq!(again.unwrap().unwrap().revision().0, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_in_two_steps_is_counted_once_and_who_looks_on_not_at_all() {
    let world = World::new();
    world.store.write("acme");
    let acme = id("acme");
    assert!(world.cache.held(&acme).is_none());
    assert!(matches!(world.cache.known("acme"), Known::NeverAsked));
    let fetched = world.cache.fetch(&acme).await.unwrap().unwrap();
    tokio::time::advance(CacheConfig::default().soft_ttl).await;
    let held = world.cache.held(&acme).expect("it is known");
    assert!(Arc::ptr_eq(&held, &fetched));
    let stats = world.cache.stats();
    let asked = (stats.hits, stats.stale, stats.misses, stats.loads_ok);
    assert_eq!(asked, (0, 0, 1, 1));
    assert_eq!(world.store.gets(), 1, "looking on refreshes nothing");
}

#[tokio::test(start_paused = true)]
async fn counts_what_happens() {
    let world = World::new();
    assert_eq!(world.cache.stats(), CacheStats::default());
    world.store.write("acme");
    world.cache.get(&id("acme")).await.unwrap();
    world.cache.get(&id("acme")).await.unwrap();
    world.cache.get(&id("nobody")).await.unwrap();
    world.cache.get(&id("nobody")).await.unwrap();
    world.store.is(Mood::Failing);
    world.cache.get(&id("globex")).await.unwrap_err();
    tokio::time::advance(CacheConfig::default().soft_ttl).await;
    world.cache.known("acme");
    until(|| world.cache.stats().loads_failed == 2).await;
    let stats = world.cache.stats();
    assert!(stats.last_contact.is_some());
    let expected = CacheStats {
        hits: 2,
        negative_hits: 1,
        misses: 3,
        stale: 1,
        loads_ok: 2,
        loads_failed: 2,
        entries: 1,
        negative_entries: 1,
        last_contact: stats.last_contact,
        ..CacheStats::default()
    };
    assert_eq!(stats, expected);
}
