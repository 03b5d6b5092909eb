//! What is measured: a proxy, or nothing between generator and upstream.

pub(crate) mod mirador;
pub(crate) mod vmauth;

use std::net::SocketAddr;

use crate::{
    error::BenchError,
    lab::Lab,
    load::{Identity, Load, LoadResult, LoadSpec},
    process::Process,
    procfs::{CpuTime, Memory},
};

/// One way from the generator to the upstream.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    identity: Identity,
    /// `None` where nothing lies between.
    process: Option<Process>,
}

/// How many requests to send, and over what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Volume {
    pub(crate) connections: u32,
    pub(crate) requests: u32,
    /// Requests per connection before those that are measured.
    pub(crate) warm_up: u32,
    /// Tenants that take turns.
    pub(crate) tenants: u32,
}

/// What one load showed.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) load: LoadResult,
    /// CPU time per request of the proxy's process, in microseconds; `None` without a proxy.
    pub(crate) cpu_us: Option<f64>,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.load.requests) / self.load.seconds
    }
}

impl Peer {
    /// The upstream itself.
    pub(crate) fn direct(lab: &Lab) -> Self {
        Self {
            name: "direct",
            address: lab.home(0),
            identity: Identity::Header,
            process: None,
        }
    }

    /// Loads it, and tells what it took.
    pub(crate) async fn measure(
        &mut self,
        lab: &Lab,
        volume: Volume,
    ) -> Result<Measured, BenchError> {
        let Volume {
            connections,
            requests,
            warm_up,
            tenants,
        } = volume;
        let (target, identity) = (self.address, self.identity);
        let spec = LoadSpec {
            target,
            connections,
            requests,
            warm_up,
            tenants,
            identity,
        };
        let mut load = Load::prepare(&spec, self.name, lab.cpus.generator, lab.folder()).await?;
        let before = self.cpu_time()?;
        let result = load.go().await?;
        let after = self.cpu_time()?;
        load.end().await?;
        if let Some(process) = &mut self.process {
            process.expect_running()?;
        }
        let used = before
            .zip(after)
            .map(|(before, after)| after.since(&before));
        let cpu_us = used.map(|used| used.as_secs_f64() * 1e6 / f64::from(requests));
        Ok(Measured {
            load: result,
            cpu_us,
        })
    }

    /// CPU time used so far.
    pub(crate) fn cpu_time(&self) -> Result<Option<CpuTime>, BenchError> {
        self.process
            .as_ref()
            .map(|process| CpuTime::of(process.pid()))
            .transpose()
    }

    /// Memory held now.
    pub(crate) fn memory(&self) -> Result<Option<Memory>, BenchError> {
        self.process
            .as_ref()
            .map(|process| Memory::of(process.pid()))
            .transpose()
    }

    pub(crate) async fn stop(self) -> Result<(), BenchError> {
        match self.process {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }
}
