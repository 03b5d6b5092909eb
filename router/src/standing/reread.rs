//! When a tenant that no endpoint is left of is read again: its backends may have moved.

use std::time::Duration;

use tokio::time::Instant;

/// The next time.
#[derive(Debug)]
pub(super) struct Reread {
    next: Instant,
    pause: Duration,
}

impl Reread {
    /// Asked whenever the tenant is looked at while none is left; true if it is to be read now.
    pub(super) fn is_due(reread: &mut Option<Self>, now: Instant) -> bool {
        match reread {
            None => {
                *reread = Some(Self {
                    next: now + FIRST_PAUSE,
                    pause: FIRST_PAUSE,
                });
                true
            }
            Some(reread) if reread.next <= now => {
                reread.pause = (reread.pause * 2).min(LONGEST_PAUSE);
                reread.next = now + reread.pause;
                true
            }
            Some(_) => false,
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// At once, then after 5 s, 10 s, 20 s, 40 s, and every minute from then on.
    #[tokio::test(start_paused = true)]
    async fn a_tenant_without_endpoints_is_read_again_less_and_less_often() {
        let begun = Instant::now();
        let mut reread = None;
        let mut read_at = Vec::new();
        for second in 0..200 {
            let now = begun + Duration::from_secs(second);
            if Reread::is_due(&mut reread, now) {
                read_at.push(second);
            }
        }
        assert_eq!(read_at, [0, 5, 15, 35, 75, 135, 195]);
    }
}
