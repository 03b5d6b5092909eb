//! What users see when one of two endpoints dies, or hangs for a while. Here a failed read is a
//! result.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    driven::generator,
    rounds::{Rounds, restarted},
};
use crate::{
    error::BenchError,
    lab::Lab,
    load::{
        generator::Job,
        paced::{Read, Reads, Spec},
    },
    peer::{Kind, Peer, Setup, Volume},
    process::Signal,
    stats::percentile,
};

const PEERS: [Kind; 5] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];
/// Longer than health checks need to find both endpoints alive.
const SETTLE: Duration = Duration::from_secs(3);
/// After both have come, before either goes: connections to both are then in use.
const WARM_UP: Volume = Volume {
    connections: 64,
    requests: 2_000,
    warm_up: 0,
    tenants: 1,
};
/// Answers later than these are counted.
const LATE_MS: f64 = 250.0;
const VERY_LATE_MS: f64 = 1_000.0;

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    pub(crate) connections: u32,
    /// Reads per second.
    pub(crate) rate: u32,
    /// Seconds before one endpoint goes.
    pub(crate) before: u32,
    /// Seconds that an endpoint hangs.
    pub(crate) hang: u32,
    /// Seconds that are watched from the death on, or after the hang.
    pub(crate) after: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        connections: 64,
        rate: 2_000,
        before: 1,
        hang: 4,
        after: 3,
    };
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        connections: 16,
        rate: 200,
        before: 1,
        hang: 2,
        after: 1,
    };
}

/// Both, with all peers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failover {
    pub(crate) connections: u32,
    pub(crate) rate: u32,
    pub(crate) hang: u32,
    pub(crate) after: u32,
    pub(crate) killed: Vec<Rounds<Outcome>>,
    pub(crate) hung: Vec<Rounds<Outcome>>,
    /// Of Mirador alone, which does it if asked to.
    pub(crate) hung_with_hedging: Vec<Rounds<Outcome>>,
}

/// What became of the reads that were under way at the event, or due from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) reads: usize,
    pub(crate) failed: usize,
    /// How the first of them failed, if any did.
    pub(crate) first_failure: String,
    /// From when a read was due until its answer was whole, of those that did not fail.
    pub(crate) p99_ms: f64,
    pub(crate) worst_ms: f64,
    /// Answers that took more than a quarter of a second, and more than a second.
    pub(crate) late: usize,
    pub(crate) very_late: usize,
    /// The worst answer before, to compare with.
    pub(crate) worst_before_ms: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Death,
    Hang,
    HangWithHedging,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Failover, BenchError> {
    let death = async |kind| watch(lab, kind, extent, Event::Death).await;
    let killed = restarted("an endpoint is killed", &PEERS, extent.rounds, death).await?;
    let stop = async |kind| watch(lab, kind, extent, Event::Hang).await;
    let hung = restarted("an endpoint hangs", &PEERS, extent.rounds, stop).await?;
    let hedged = async |kind| watch(lab, kind, extent, Event::HangWithHedging).await;
    let what = "an endpoint hangs, with hedging";
    let hung_with_hedging = restarted(what, &[Kind::Mirador], extent.rounds, hedged).await?;
    Ok(Failover {
        connections: extent.connections,
        rate: extent.rate,
        hang: extent.hang,
        after: extent.after,
        killed,
        hung,
        hung_with_hedging,
    })
}

async fn watch(lab: &Lab, kind: Kind, extent: Extent, event: Event) -> Result<Outcome, BenchError> {
    let (lasting, failing) = (lab.upstream().await?, lab.upstream().await?);
    // The first one, which is in use wherever one is preferred.
    let endpoints = vec![failing.address(), lasting.address()];
    let mut setup = Setup::with_endpoints(vec![endpoints]);
    setup.hedging = event == Event::HangWithHedging;
    let mut peer = Peer::start(lab, kind, &setup).await?;
    sleep(SETTLE).await;
    peer.measure(lab, WARM_UP).await?;
    let hang = match event {
        Event::Death => 0,
        Event::Hang | Event::HangWithHedging => extent.hang,
    };
    let job = Job::Paced(Spec {
        target: peer.target(),
        connections: extent.connections,
        rate: extent.rate,
        seconds: extent.before + hang + extent.after,
        tenants: 0..1,
    });
    let mut generator = generator(&job, &peer, lab).await?;
    let began = Instant::now();
    generator.let_go().await?;
    sleep(Duration::from_secs(extent.before.into())).await;
    let at = began.elapsed();
    match event {
        Event::Death => failing.process.signal(Signal::KILL)?,
        Event::Hang | Event::HangWithHedging => {
            let frozen = failing.process.freeze()?;
            sleep(Duration::from_secs(hang.into())).await;
            drop(frozen);
        }
    }
    let reads: Reads = generator.hear().await?;
    peer.expect_running()?;
    generator.end().await?;
    peer.stop().await?;
    lasting.process.stop().await?;
    failing.process.stop().await?;
    Outcome::of(&reads, at.as_secs_f64() * 1e3).ok_or_else(|| BenchError::Unexpected {
        what: "reads before and after an endpoint failed",
        text: format!("{} in all", reads.reads.len()),
    })
}

impl Outcome {
    /// Of what was not answered before `at`, in milliseconds; `None` if there was nothing before or after.
    fn of(
        Reads {
            reads,
            first_failure,
        }: &Reads,
        at: f64,
    ) -> Option<Self> {
        let (after, before): (Vec<&Read>, Vec<&Read>) = reads
            .iter()
            .partition(|read| read.due_ms + read.took_ms >= at);
        let worst_before_ms = before.iter().map(|read| read.took_ms).reduce(f64::max)?;
        let answered = after.iter().filter(|read| !read.failed);
        let mut took: Vec<f64> = answered.map(|read| read.took_ms).collect();
        took.sort_by(f64::total_cmp);
        let later_than = |limit| took.iter().filter(|took| **took > limit).count();
        Some(Self {
            reads: after.len(),
            failed: reads.iter().filter(|read| read.failed).count(),
            first_failure: first_failure.clone(),
            p99_ms: percentile(&took, 99)?,
            worst_ms: percentile(&took, 100)?,
            late: later_than(LATE_MS),
            very_late: later_than(VERY_LATE_MS),
            worst_before_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_before_is_not_counted_but_every_failure_is() {
        let read = |due_ms, took_ms, failed| Read {
            due_ms,
            took_ms,
            failed,
        };
        let reads = Reads {
            reads: vec![
                read(0.0, 2.0, false),
                read(9.0, 5.0, true),
                read(10.0, 300.0, false),
                read(11.0, 1_200.0, false),
                read(12.0, 9_000.0, true),
                read(13.0, 1.0, false),
            ],
            first_failure: "reset".into(),
        };
        let outcome = Outcome::of(&reads, 10.0).expect("enough");
        assert_eq!((outcome.reads, outcome.failed), (5, 2));
        assert_eq!((outcome.late, outcome.very_late), (2, 1));
        assert!((outcome.worst_ms - 1_200.0).abs() < f64::EPSILON);
        assert!((outcome.worst_before_ms - 2.0).abs() < f64::EPSILON);
        assert_eq!(Outcome::of(&reads, 20_000.0), None);
    }
}
