//! The world the tests play in: processes, backends, sockets that misbehave on demand.

pub(crate) mod acme;
pub(crate) mod alertmanager;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod dns;
pub(crate) mod h2;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod metrics;
pub(crate) mod mirador;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod signer;
pub(crate) mod tenant;
pub(crate) mod tls;
pub(crate) mod tools;
pub(crate) mod traces;
pub(crate) mod upstream;
pub(crate) mod victoria;
pub(crate) mod wire;

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that ought to take milliseconds, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `work`, or fails the test after [`PATIENCE`], saying what was waited for.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    within_time(PATIENCE, what, work).await
}

/// Runs `work`, or fails the test after `limit`, saying what was waited for.
pub(crate) async fn within_time<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = T>,
) -> T {
    match timeout(limit, work).await {
        Ok(value) => value,
        Err(elapsed) => panic!("waited {limit:?} for {what}: {elapsed}"),
    }
}

/// Asks `probe` again and again until it answers with something, or fails the test.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
