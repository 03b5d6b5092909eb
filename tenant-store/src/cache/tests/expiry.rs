//! Soft and hard expiry.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, advance, sleep, sleep_until};

use super::{World, id, scripted::Mood, until};
use crate::cache::{CacheConfig, Known};

const TICK: Duration = Duration::from_millis(1);

/// However many ask, one re-reads; and a revision that is still the same stays the same entry.
#[tokio::test(start_paused = true)]
async fn past_soft_expiry_it_is_served_and_read_once() {
    let world = World::new();
    let soft_ttl = CacheConfig::default().soft_ttl;
    world.store.write("acme");
    let entry = world.cache.get(&id("acme")).await.unwrap().unwrap();

    let mut read_at = Instant::now();
    for round in 1..=3_u32 {
        sleep_until(read_at + soft_ttl - TICK).await;
        assert_eq!(world.served("acme"), Some(1));
        assert_eq!(world.store.gets(), round as usize, "it was fresh still");
        sleep_until(read_at + soft_ttl).await;
        read_at = Instant::now();
        for _ in 0..1_000 {
            assert_eq!(world.served("acme"), Some(1));
        }
        until(|| world.store.gets() > round as usize).await;
        sleep(TICK).await;
        assert_eq!(world.store.gets(), round as usize + 1);
        assert_eq!(world.cache.stats().stale, 1_000 * u64::from(round));
    }
    let Known::Tenant(still) = world.cache.known("acme") else {
        panic!("it was dropped")
    };
    assert!(Arc::ptr_eq(&entry, &still));
    assert!(entry.is_current());
    assert_eq!(world.builds(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_finds_a_newer_revision_replaces_the_entry() {
    let world = World::new();
    world.store.write("acme");
    let old = world.cache.get(&id("acme")).await.unwrap().unwrap();
    world.store.write("acme");
    advance(CacheConfig::default().soft_ttl).await;
    assert_eq!(world.served("acme"), Some(1));
    assert!(old.is_current());
    until(|| world.served("acme") == Some(2)).await;
    assert!(!old.is_current());
    let new = world.cache.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(new.route().generations, 2, "the counters were lost");
    assert_eq!(world.builds(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_finds_a_tombstone_or_nothing_ends_it() {
    for name in ["buried", "vanished"] {
        let world = World::new();
        world.store.write(name);
        let entry = world.cache.get(&id(name)).await.unwrap().unwrap();
        match name {
            "buried" => drop(world.store.bury(name)),
            _ => world.store.wipe(),
        }
        advance(CacheConfig::default().soft_ttl).await;
        assert_eq!(world.served(name), Some(1));
        until(|| !entry.is_current()).await;
        assert!(matches!(world.cache.known(name), Known::NoSuchTenant));
    }
}

/// A store that fails, hangs or talks nonsense takes nothing away before the hard expiry, is not
/// asked more often than a healthy one, and what it took away comes back unbuilt.
#[tokio::test(start_paused = true)]
async fn a_failing_store_takes_nothing_before_hard_expiry() {
    for mood in [Mood::Failing, Mood::Hanging, Mood::Garbling] {
        let config = CacheConfig {
            hard_ttl: Duration::from_mins(10),
            ..CacheConfig::default()
        };
        let world = World::with(config);
        world.store.write("acme");
        let entry = world.cache.get(&id("acme")).await.unwrap().unwrap();
        world.store.is(mood);
        for second in 0..599 {
            sleep(Duration::from_secs(1)).await;
            assert_eq!(world.served("acme"), Some(1), "{mood:?} {second}");
            assert!(entry.is_current());
        }
        assert!(world.store.gets() <= 21, "{mood:?} {}", world.store.gets());
        sleep(Duration::from_secs(1)).await;
        assert!(matches!(world.cache.known("acme"), Known::NeverAsked));
        assert!(!entry.is_current());
        assert_eq!(world.cache.entries().count(), 0);
        assert!(world.cache.get(&id("acme")).await.is_err());

        world.store.is(Mood::Answering);
        let again = world.cache.get(&id("acme")).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&entry, &again) && entry.is_current());
        assert_eq!(world.builds(), 1);
    }
}

/// Hard expiry soon enough for a test to wait through it in steps of a sweep.
fn short_lived() -> CacheConfig {
    CacheConfig {
        hard_ttl: Duration::from_secs(1_000),
        ..CacheConfig::default()
    }
}

/// An entry that only front caches use is never asked for here, and still kept young.
#[tokio::test(start_paused = true)]
async fn an_idle_entry_is_read_again_half_way_to_hard_expiry() {
    let world = World::with(short_lived());
    world.store.write("acme");
    let entry = world.cache.get(&id("acme")).await.unwrap().unwrap();
    sleep(Duration::from_secs(490)).await;
    assert_eq!(world.store.gets(), 1);
    sleep(Duration::from_secs(2_000)).await;
    assert!(entry.is_current());
    assert_eq!(world.store.gets(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idle_entry_past_hard_expiry_is_no_longer_current() {
    let world = World::with(short_lived());
    world.store.write("acme");
    let entry = world.cache.get(&id("acme")).await.unwrap().unwrap();
    world.store.is(Mood::Failing);
    sleep(Duration::from_secs(999)).await;
    assert!(entry.is_current());
    sleep(Duration::from_secs(11)).await;
    assert!(!entry.is_current());
}
