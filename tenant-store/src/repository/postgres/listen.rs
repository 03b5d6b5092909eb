//! Hearing of others' commits, over a connection that may be lost at any time.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};
use tokio::{sync::watch, time::sleep};

/// What commits are announced on.
pub(super) const CHANNEL: &str = "mirador_changes";

/// Between attempts to listen: from the first, doubling, to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Stirs who waits for changes whenever a commit is announced, and whenever one may have been
/// missed. Never returns.
pub(super) async fn listen(pool: PgPool, stirred: watch::Sender<()>) {
    let (first, last) = BACK_OFF;
    let mut pause = first;
    loop {
        match listen_until_lost(&pool, &stirred, || pause = first).await {
            Ok(()) => tracing::debug!("the connection that listens for changes was lost"),
            Err(error) => {
                tracing::debug!(%error, ?pause, "can't listen for changes");
                sleep(pause).await;
                pause = (pause * 2).min(last);
            }
        }
        if pool.is_closed() {
            return;
        }
    }
}

async fn listen_until_lost(
    pool: &PgPool,
    stirred: &watch::Sender<()>,
    mut connected: impl FnMut(),
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // By our own loop, which says so first.
    listener.eager_reconnect(false);
    connected();
    loop {
        // First, as something may have happened before it listened.
        stirred.send_replace(());
        if listener.try_recv().await?.is_none() {
            return Ok(());
        }
    }
}
