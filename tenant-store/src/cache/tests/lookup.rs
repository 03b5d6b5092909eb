//! First requests: asking once, whoever waits, and what a failing store does to them.

use std::{sync::Arc, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
    time::timeout,
};

use super::{World, id, scripted::Mood, until};
use crate::cache::{CacheConfig, Known, LookupError, TenantCache};

#[tokio::test(start_paused = true)]
async fn knowing_never_asks_the_store() {
    let world = World::new();
    world.store.write("acme");
    assert!(matches!(world.cache.known("acme"), Known::NeverAsked));
    world.cache.get(&id("acme")).await.unwrap();
    world.cache.get(&id("nobody")).await.unwrap();
    let asked = world.store.gets();
    for _ in 0..100 {
        assert!(matches!(world.cache.known("acme"), Known::Tenant(_)));
        assert!(matches!(world.cache.known("nobody"), Known::NoSuchTenant));
        assert!(matches!(world.cache.known("other"), Known::NeverAsked));
        assert!(matches!(world.cache.known("'; --"), Known::NeverAsked));
    }
    assert_eq!(world.store.gets(), asked);
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_ask_once() {
    let world = World::new();
    world.store.write("acme");
    world.store.is(Mood::Hanging);
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let cache = Arc::clone(&world.cache);
        waiting.spawn(async move { cache.get(&id("acme")).await.unwrap().unwrap() });
    }
    until(|| world.store.gets() > 0).await;
    world.store.is(Mood::Answering);
    let entries = waiting.join_all().await;
    assert!(entries.iter().all(|entry| Arc::ptr_eq(entry, &entries[0])));
    assert_eq!(world.store.gets(), 1);
    assert_eq!(world.builds(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_outlives_who_asked() {
    let world = World::new();
    world.store.write("acme");
    world.store.is(Mood::Hanging);
    let acme = id("acme");
    let impatient = timeout(Duration::from_millis(1), world.cache.get(&acme)).await;
    assert!(impatient.is_err());
    world.store.is(Mood::Answering);
    until(|| world.served("acme") == Some(1)).await;
    assert_eq!(world.store.gets(), 1);
}

/// The answer gets to a runtime other than the one that loads.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_may_live_on_another_runtime() {
    let world = World::new();
    world.store.write("acme");
    let cache = Arc::clone(&world.cache);
    let (tell, told) = oneshot::channel();
    let worker = thread::spawn(move || {
        // Without a timer or I/O driver, as a bare worker might be.
        let runtime = Builder::new_current_thread().build().unwrap();
        tell.send(runtime.block_on(cache.get(&id("acme")))).unwrap();
    });
    let answer = timeout(Duration::from_secs(30), told)
        .await
        .expect("it hung");
    assert_eq!(answer.unwrap().unwrap().unwrap().revision().0, 1);
    worker.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_and_not_remembered() {
    let world = World::new();
    world.store.write("acme");
    world.store.is(Mood::Failing);
    let error = world.cache.get(&id("acme")).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("acme") && told.contains("the cable is cut"),
        "{told}"
    );
    assert!(matches!(world.cache.known("acme"), Known::NeverAsked));

    world.store.is(Mood::Answering);
    assert!(world.cache.get(&id("acme")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_store_is_waited_for_no_longer_than_told() {
    let world = World::new();
    world.store.is(Mood::Hanging);
    let acme = id("acme");
    let asked = timeout(Duration::from_secs(3), world.cache.get(&acme)).await;
    let error = asked.expect("it went on waiting").unwrap_err();
    assert!(error.to_string().contains("no answer within 2s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_is_remembered_briefly() {
    let tick = Duration::from_millis(1);
    let config = CacheConfig {
        negative_ttl: tick * 5_000,
        ..CacheConfig::default()
    };
    let world = World::with(config);
    assert!(world.cache.get(&id("acme")).await.unwrap().is_none());
    world.store.write("acme");
    tokio::time::advance(tick * 4_999).await;
    assert!(world.cache.get(&id("acme")).await.unwrap().is_none());
    assert_eq!(world.store.gets(), 1);
    tokio::time::advance(tick).await;
    assert!(world.cache.get(&id("acme")).await.unwrap().is_some());
    assert_eq!(world.store.gets(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_is_nobody() {
    let world = World::new();
    world.store.write("acme");
    world.store.bury("acme");
    assert!(world.cache.get(&id("acme")).await.unwrap().is_none());
    assert!(matches!(world.cache.known("acme"), Known::NoSuchTenant));
    assert_eq!(world.builds(), 0);
}

/// A bug in the builder costs the request that met it, not the tenant.
#[tokio::test(start_paused = true)]
async fn a_panic_while_building_is_an_interruption() {
    let world = World::new();
    let first = world.store.write("acme").revision;
    let cache = TenantCache::new(
        world.store.clone(),
        CacheConfig::default(),
        Handle::current(),
        move |record, _: Option<&()>| assert_ne!(record.revision, first, "not this one"),
    );
    let error = cache.get(&id("acme")).await.unwrap_err();
    assert!(
        matches!(error, LookupError::Interrupted { .. }),
        "{error:?}"
    );
    world.store.write("acme");
    assert!(cache.get(&id("acme")).await.unwrap().is_some());
}

/// The runtime that loads is gone: an error at once, also for the second who asks.
#[test]
fn a_stopped_runtime_is_an_interruption() {
    let loading = Builder::new_current_thread().enable_all().build().unwrap();
    let world = loading.block_on(async { World::new() });
    drop(loading);
    let asking = Builder::new_current_thread().enable_all().build().unwrap();
    asking.block_on(async {
        for _ in 0..2 {
            let acme = id("acme");
            let asked = timeout(Duration::from_secs(30), world.cache.get(&acme)).await;
            let error = asked.expect("it hung").unwrap_err();
            assert!(
                matches!(error, LookupError::Interrupted { .. }),
                "{error:?}"
            );
            world.cache.invalidate(&acme);
        }
    });
}
