//! Many threads at once, in real time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{World, id, scripted::record};
use crate::{cache::Known, model::Status};

/// While one thread writes revisions and others invalidate, readers see them rise only, never an
/// older one than was written before they asked, and each is built once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_revisions_rise() {
    const REVISIONS: u64 = 2_000;
    let world = World::new();
    world.cache.store(&world.store.write("acme"));
    let written = Arc::new(AtomicU64::new(1));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (cache, written) = (Arc::clone(&world.cache), Arc::clone(&written));
            thread::spawn(move || {
                let mut seen = 0;
                while seen < REVISIONS {
                    let least = written.load(Ordering::SeqCst).max(seen);
                    let Known::Tenant(entry) = cache.known("acme") else {
                        panic!("it was gone for a moment")
                    };
                    seen = entry.revision().0;
                    assert!(seen >= least, "{seen} after {least}");
                }
            })
        })
        .collect();
    for revision in 2..=REVISIONS {
        world.store.write("acme");
        world.cache.store(&record("acme", revision, Status::Active));
        written.store(revision, Ordering::SeqCst);
        if revision % 10 == 0 {
            world.cache.invalidate(&id("acme"));
            tokio::task::yield_now().await;
        }
    }
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(u64::from(world.builds()), REVISIONS);
}
