//! What other tenants see while one is changed: requests that come at their times, before the
//! change and while it goes on.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::driven::generator;
use crate::{
    error::BenchError,
    lab::Lab,
    load::{
        generator::Job,
        paced::{Read, Reads, Spec},
    },
    peer::{Peer, Volume},
    stats::percentile,
};

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// Other tenants that are asked.
    pub(crate) tenants: u32,
    pub(crate) connections: u32,
    /// Requests per second.
    pub(crate) rate: u32,
    /// Seconds before the change.
    pub(crate) before: u32,
    /// Seconds that are watched beyond the longest that a change took to be in effect.
    pub(crate) after: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        tenants: 500,
        connections: 16,
        rate: 1_000,
        before: 2,
        after: 2,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        tenants: 10,
        connections: 4,
        rate: 200,
        before: 1,
        after: 1,
    };
}

/// What they saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bystanders {
    pub(crate) undisturbed: Span,
    pub(crate) changing: Span,
    /// How the first request failed, if any did.
    pub(crate) first_failure: String,
}

/// The requests of a while.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    /// Of those that did not fail.
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
}

/// Moves a tenant while others ask; `slowest` is how long that may take to be in effect.
pub(super) async fn watch(
    lab: &Lab,
    peer: &mut Peer,
    extent: Extent,
    (tenant, to): (u32, SocketAddr),
    slowest: Duration,
) -> Result<Bystanders, BenchError> {
    let first = tenant + 1;
    let tenants = first..(first + extent.tenants).min(peer.tenants());
    // Each once, so that connections and routes are there.
    let once = Volume {
        connections: extent.connections,
        requests: tenants.end,
        warm_up: 0,
        tenants: tenants.end,
    };
    peer.measure(lab, once).await?;
    let seconds = u32::try_from(slowest.as_secs()).unwrap_or(u32::MAX);
    let job = Job::Paced(Spec {
        target: peer.target(),
        connections: extent.connections,
        rate: extent.rate,
        seconds: extent.before + seconds.saturating_add(1) + extent.after,
        tenants,
    });
    peer.prepare_change(tenant, vec![to])?;
    let mut generator = generator(&job, peer, lab).await?;
    let began = Instant::now();
    generator.let_go().await?;
    sleep(Duration::from_secs(extent.before.into())).await;
    let at = began.elapsed();
    peer.tell_change(tenant).await?;
    let reads: Reads = generator.hear().await?;
    peer.expect_running()?;
    generator.end().await?;
    let at_ms = at.as_secs_f64() * 1e3;
    Bystanders::of(reads, at_ms).ok_or_else(|| BenchError::Unexpected {
        what: "requests before and during a change",
        text: "none was answered".into(),
    })
}

impl Bystanders {
    /// With a change at that time, in milliseconds; `None` if nothing was answered before or
    /// after.
    fn of(seen: Reads, at_ms: f64) -> Option<Self> {
        // One that was under way when the change was told belongs to the change.
        let (changing, undisturbed): (Vec<Read>, Vec<Read>) = seen
            .reads
            .into_iter()
            .partition(|read| read.due_ms + read.took_ms >= at_ms);
        Some(Self {
            undisturbed: Span::of(&undisturbed)?,
            changing: Span::of(&changing)?,
            first_failure: seen.first_failure,
        })
    }
}

impl Span {
    fn of(reads: &[Read]) -> Option<Self> {
        let answered = reads.iter().filter(|read| !read.failed);
        let mut took: Vec<f64> = answered.map(|read| read.took_ms).collect();
        took.sort_by(f64::total_cmp);
        Some(Self {
            requests: reads.len(),
            failed: reads.len() - took.len(),
            p99_ms: percentile(&took, 99)?,
            worst_ms: percentile(&took, 100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_when_the_change_comes_counts_to_it() {
        let read = |due_ms, took_ms, failed| Read {
            due_ms,
            took_ms,
            failed,
        };
        let reads = || Reads {
            reads: vec![
                read(1.0, 0.5, false),
                read(9.0, 4.0, false),
                read(10.0, 1.0, false),
                read(11.0, 30.0, true),
            ],
            first_failure: "reset".into(),
        };
        let seen = Bystanders::of(reads(), 10.0).expect("enough");
        assert_eq!((seen.undisturbed.requests, seen.undisturbed.failed), (1, 0));
        assert_eq!((seen.changing.requests, seen.changing.failed), (3, 1));
        assert!((seen.undisturbed.worst_ms - 0.5).abs() < f64::EPSILON);
        assert!((seen.changing.worst_ms - 4.0).abs() < f64::EPSILON);
        assert_eq!(Bystanders::of(reads(), 100.0), None);
    }
}
