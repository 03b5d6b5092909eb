//! Bodies that are long, endless or slow: they flow through in both directions, at once and as fast
//! as the slower side, and the router holds next to nothing of them.

mod downloads;
mod tails;
mod uploads;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::support::{PATIENCE, mirador::Mirador};

/// The most that a stream may add to what the router holds at rest.
const ALLOWANCE_KIB: u64 = 64 * 1024;

/// More than the kernel holds of two connections on their way.
const IN_FLIGHT_BYTES: u64 = 96 * 1024 * 1024;

/// For what takes its time on a busy machine.
const LONG: Duration = Duration::from_mins(8);

/// The router's memory from here on.
struct Memory<'a> {
    mirador: &'a Mirador,
    idle_kib: u64,
}

impl<'a> Memory<'a> {
    /// Begins to watch a router that has answered this tenant before.
    async fn watch(mirador: &'a Mirador, path: &str) -> Self {
        mirador.text("acme", path).await;
        mirador.process.forget_peak();
        Self {
            mirador,
            idle_kib: mirador.process.memory().resident_kib,
        }
    }

    /// Fails if the peak since then was too much.
    fn check(&self) {
        let peak_kib = self.mirador.process.memory().peak_kib;
        let added = peak_kib.saturating_sub(self.idle_kib);
        eprintln!("{added} KiB above the {} KiB at rest", self.idle_kib);
        assert!(
            added < ALLOWANCE_KIB,
            "{added} KiB above {} KiB",
            self.idle_kib
        );
    }
}

/// Waits until a count stops growing, and answers it.
async fn settled(count: &Arc<AtomicU64>) -> u64 {
    const STILL: usize = 20;
    let deadline = Instant::now() + PATIENCE;
    let (mut last, mut still) = (0, 0);
    while still < STILL {
        assert!(Instant::now() < deadline, "{last} bytes and still growing");
        sleep(Duration::from_millis(50)).await;
        let now = count.load(Ordering::SeqCst);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
    }
    last
}
