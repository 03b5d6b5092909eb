//! A generator's job on a peer, and what it cost the peer.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::{
    error::BenchError,
    lab::Lab,
    load::generator::{Generator, Job},
    peer::Peer,
};

/// What a generator saw, and the CPU time that the proxy used meanwhile; `None` without a proxy.
#[derive(Debug)]
pub(crate) struct Driven<Seen> {
    pub(crate) seen: Seen,
    pub(crate) cpu: Option<Duration>,
}

impl<Seen: DeserializeOwned> Driven<Seen> {
    /// Has a generator do the job on a peer.
    pub(crate) async fn by(job: &Job, peer: &mut Peer, lab: &Lab) -> Result<Self, BenchError> {
        let mut generator = generator(job, peer, lab).await?;
        let before = peer.cpu_time()?;
        let seen = generator.go().await;
        let after = peer.cpu_time()?;
        // A peer that has ended says more than the generator that missed it.
        peer.expect_running()?;
        let seen = seen?;
        generator.end().await?;
        let cpu = before
            .zip(after)
            .map(|(before, after)| after.since(&before));
        Ok(Self { seen, cpu })
    }
}

impl<Seen> Driven<Seen> {
    /// CPU time of each of so many, in microseconds.
    pub(crate) fn cpu_us_per(&self, number: u32) -> Option<f64> {
        self.cpu
            .map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(number))
    }
}

/// A generator that is ready to do the job on a peer.
pub(crate) async fn generator(job: &Job, peer: &Peer, lab: &Lab) -> Result<Generator, BenchError> {
    Generator::prepare(job, peer.kind.name(), lab.cpus.generator, lab.folder()).await
}

/// Lets a peer rest, and tells the CPU time it uses meanwhile, in milliseconds per second.
pub(super) async fn rest(peer: &Peer, duration: Duration) -> Result<Option<f64>, BenchError> {
    let (began, before) = (Instant::now(), peer.cpu_time()?);
    sleep(duration).await;
    let (took, after) = (began.elapsed(), peer.cpu_time()?);
    let used = before
        .zip(after)
        .map(|(before, after)| after.since(&before));
    Ok(used.map(|used| used.as_secs_f64() * 1e3 / took.as_secs_f64()))
}

/// Fails if anything has failed that must not.
pub(crate) fn expect_none(
    peer: &Peer,
    failed: u32,
    asked: u32,
    first: &str,
) -> Result<(), BenchError> {
    if failed == 0 {
        return Ok(());
    }
    Err(BenchError::LoadFailed {
        whom: peer.kind.name().into(),
        failed,
        asked,
        first: first.into(),
    })
}
