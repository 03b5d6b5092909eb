//! Local writes and invalidation.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    Route, World, id,
    scripted::{Mood, record},
    until,
};
use crate::{cache::Known, model::Status};

#[tokio::test(start_paused = true)]
async fn a_local_write_holds_at_once() {
    let world = World::new();
    assert!(world.cache.get(&id("acme")).await.unwrap().is_none());
    world.cache.store(&record("acme", 1, Status::Active));
    assert_eq!(world.served("acme"), Some(1));
    let first = world.cache.get(&id("acme")).await.unwrap().unwrap();

    world.cache.store(&record("acme", 2, Status::Suspended));
    assert_eq!(world.served("acme"), Some(2));
    assert!(!first.is_current());

    world.cache.store(&record("acme", 3, Status::Deleted));
    assert!(matches!(world.cache.known("acme"), Known::NoSuchTenant));
    assert_eq!(world.cache.entries().count(), 0);

    world.cache.store(&record("acme", 4, Status::Active));
    assert_eq!(world.served("acme"), Some(4));
    assert_eq!(world.store.gets(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_revision_is_ignored() {
    let world = World::new();
    world.cache.store(&record("acme", 5, Status::Active));
    for older in [
        record("acme", 4, Status::Active),
        record("acme", 4, Status::Deleted),
    ] {
        world.cache.store(&older);
        assert_eq!(world.served("acme"), Some(5));
    }
    world.cache.store(&record("acme", 6, Status::Deleted));
    world.cache.store(&record("acme", 5, Status::Active));
    assert!(matches!(world.cache.known("acme"), Known::NoSuchTenant));

    // Nor is it believed when a store that lags behind answers so, once it is asked again.
    world.store.write("acme");
    sleep(Duration::from_secs(11)).await;
    assert!(world.cache.get(&id("acme")).await.unwrap().is_none());
    assert_eq!(world.store.gets(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_revision_again_builds_nothing() {
    let world = World::new();
    world.cache.store(&record("acme", 1, Status::Active));
    let entry = world.cache.get(&id("acme")).await.unwrap().unwrap();
    world.cache.store(&record("acme", 1, Status::Active));
    let same = world.cache.get(&id("acme")).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&entry, &same) && entry.is_current());
    assert_eq!(world.builds(), 1);
}

/// What was read before a local write and arrives after it does not undo the write, and who waits
/// gets what holds now.
#[tokio::test(start_paused = true)]
async fn a_load_overtaken_by_a_write_is_read_again() {
    for status in [Status::Active, Status::Deleted] {
        for existed in [true, false] {
            let world = World::new();
            if existed {
                world.store.write("acme");
            }
            world.store.is(Mood::Hanging);
            let asking = tokio::spawn({
                let cache = Arc::clone(&world.cache);
                async move { cache.get(&id("acme")).await }
            });
            until(|| world.store.gets() == 1).await;
            let written = match status {
                Status::Deleted => world.store.bury("acme"),
                _ => world.store.write("acme"),
            };
            world.cache.store(&written);
            world.store.is(Mood::Answering);
            let answer = asking.await.unwrap().unwrap();
            let revision = answer.map(|entry| entry.revision());
            let expected = (status == Status::Active).then_some(written.revision);
            assert_eq!(revision, expected, "{status:?} {existed}");
            assert_eq!(world.served("acme"), expected.map(|revision| revision.0));
            assert_eq!(world.store.gets(), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn invalidation_reads_again_and_drops_nothing() {
    let world = World::new();
    world.store.write("acme");
    let entry = world.cache.get(&id("acme")).await.unwrap().unwrap();
    world.store.write("acme");
    world.store.is(Mood::Hanging);
    world.cache.invalidate(&id("acme"));
    until(|| world.store.gets() == 2).await;
    assert_eq!(world.served("acme"), Some(1));
    assert!(entry.is_current());

    // Written after the read began: it takes another read to see it.
    world.store.write("acme");
    world.cache.invalidate(&id("acme"));
    world.store.is(Mood::Answering);
    until(|| world.served("acme") == Some(3)).await;
    assert_eq!(world.store.gets(), 3);
    assert_eq!(world.cache.stats().invalidations, 2);
}

#[tokio::test(start_paused = true)]
async fn invalidation_forgets_at_once_that_an_id_was_unknown() {
    let world = World::new();
    assert!(world.cache.get(&id("acme")).await.unwrap().is_none());
    world.store.write("acme");
    world.cache.invalidate(&id("acme"));
    assert!(matches!(world.cache.known("acme"), Known::NeverAsked));
    assert!(world.cache.get(&id("acme")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn invalidating_what_nobody_asked_for_asks_nothing() {
    let world = World::new();
    world.store.write("acme");
    world.cache.invalidate(&id("acme"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.store.gets(), 0);
    assert!(matches!(world.cache.known("acme"), Known::NeverAsked));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_rebuilt_is_built_anew_at_the_same_revision() {
    let world = World::new();
    world.store.write("acme");
    let first = world.cache.get(&id("acme")).await.unwrap().unwrap();
    world.cache.rebuild(&id("acme"));
    until(|| world.builds() == 2).await;
    assert!(!first.is_current());
    let second = world.cache.get(&id("acme")).await.unwrap().unwrap();
    assert_eq!(
        (second.revision(), second.route().generations),
        (first.revision(), 2)
    );

    assert_eq!(world.cache.rebuild_all().await.unwrap(), 1);
    assert_eq!((world.builds(), second.is_current()), (3, false));
    assert_eq!(world.cache.warm().await.unwrap(), 1);
    assert_eq!(world.builds(), 3, "once is enough");
}

/// What is not in the record changes without the store, even while that is down, and takes nothing
/// else with it.
#[tokio::test(start_paused = true)]
async fn a_route_is_renewed_without_the_store() {
    let world = World::new();
    world.store.write("acme");
    let before = world.cache.get(&id("acme")).await.unwrap().unwrap();
    let asked = world.store.gets();
    world.store.is(Mood::Failing);
    let renew = |route: &Route| {
        Some(Route {
            revision: route.revision,
            generations: route.generations + 10,
        })
    };
    assert!(world.cache.renew(&id("acme"), renew));
    assert!(!before.is_current());
    let Known::Tenant(after) = world.cache.known("acme") else {
        panic!("it is known");
    };
    assert_eq!(
        (after.revision(), after.route().generations),
        (before.revision(), 11)
    );
    assert!(!world.cache.renew(&id("acme"), |_| None));
    assert!(after.is_current());
    assert!(!world.cache.renew(&id("nobody"), renew));
    assert!(matches!(world.cache.known("nobody"), Known::NeverAsked));
    assert_eq!(world.store.gets(), asked);

    // It does not outlive a newer revision.
    world.store.is(Mood::Answering);
    let record = world.store.write("acme");
    world.cache.store(&record);
    assert!(!after.is_current());
    assert_eq!(world.served("acme"), Some(2));
}
