//! Waiting for something to become true, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::DemoError;

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers with something.
///
/// # Errors
/// `probe` fails, or has nothing to answer within `limit`.
pub(super) async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>, DemoError>,
) -> Result<T, DemoError> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(DemoError::TooLate {
                what: what.into(),
                limit,
            });
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_condition_or_with_the_deadline() {
        let mut asked = 0;
        let third = until("a third time", Duration::from_secs(1), async || {
            asked += 1;
            Ok((asked == 3).then_some("here"))
        });
        assert_eq!(third.await.expect("in time"), "here");

        let never = until("a miracle", Duration::from_secs(2), async || Ok(None::<()>)).await;
        let told = never.expect_err("too late").to_string();
        assert_eq!(told, "waited 2s in vain for a miracle");
    }
}
