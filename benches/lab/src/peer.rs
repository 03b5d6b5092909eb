//! What is measured: a proxy, or nothing between generator and upstream.
//!
//! [`Peer::start`] starts any of them; what is particular to one is in its own file.

mod envoy;
mod haproxy;
pub(crate) mod mirador;
mod nginx;
pub(crate) mod program;
pub(crate) mod setup;
mod vmauth;

use std::{net::SocketAddr, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    error::BenchError,
    http1::Connection,
    lab::Lab,
    load::{Identity, Load, LoadResult, LoadSpec, target::Target},
    port::Port,
    process::{Process, Signal, until},
    procfs::{self, CpuTime, Memory},
};

pub(crate) use self::setup::Setup;

/// The ways from the generator to the upstream, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Nothing between them.
    Direct,
    /// `HAProxy` that copies bytes and knows no HTTP: the bound. It has one upstream only, the
    /// first tenant's.
    TcpForward,
    Mirador,
    Haproxy,
    Nginx,
    Envoy,
    /// With a bearer token for each tenant.
    Vmauth,
    /// With a rule on `X-Tenant-ID` for each tenant, which it tries one after the other.
    VmauthByHeader,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Direct,
        Self::TcpForward,
        Self::Mirador,
        Self::Haproxy,
        Self::Nginx,
        Self::Envoy,
        Self::Vmauth,
        Self::VmauthByHeader,
    ];

    /// What it is called in tables and errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::TcpForward => "TCP forward",
            Self::Mirador => "Mirador",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
            Self::Vmauth => "vmauth",
            Self::VmauthByHeader => "vmauth by header",
        }
    }

    /// How a request must tell its tenant.
    pub(crate) const fn identity(self) -> Identity {
        match self {
            Self::Vmauth => Identity::Bearer,
            _ => Identity::Header,
        }
    }

    /// The most tenants it is fit for.
    pub(crate) const fn most_tenants(self) -> u32 {
        match self {
            Self::TcpForward => 1,
            Self::VmauthByHeader => 1_000,
            _ => u32::MAX,
        }
    }
}

/// One way from the generator to the upstream.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    setup: Setup,
    /// `None` where nothing lies between.
    process: Option<Process>,
    control: Control,
    /// Held for as long as it runs.
    _ports: Vec<Port>,
}

/// How a running peer is told of a change.
#[derive(Debug)]
enum Control {
    /// Not at all.
    None,
    Mirador(mirador::Api),
    Haproxy(haproxy::Files),
    Nginx(nginx::Files),
    Envoy(envoy::Files),
    Vmauth(vmauth::Files),
}

/// How many requests to send, and over what.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) connections: u32,
    pub(crate) requests: u32,
    /// Requests per connection before those that are measured.
    pub(crate) warm_up: u32,
    /// Tenants that take turns.
    pub(crate) tenants: u32,
}

/// What one load showed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) load: LoadResult,
    /// CPU time per request of the proxy's processes, in microseconds; `None` without a proxy.
    pub(crate) cpu_us: Option<f64>,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.load.requests) / self.load.seconds
    }
}

impl Peer {
    /// Starts it in its recommended configuration, and returns when it answers.
    pub(crate) async fn start(lab: &Lab, kind: Kind, setup: &Setup) -> Result<Self, BenchError> {
        match kind {
            Kind::Direct => Ok(Self {
                kind,
                address: setup.first_endpoint(),
                setup: setup.clone(),
                process: None,
                control: Control::None,
                _ports: Vec::new(),
            }),
            Kind::TcpForward => haproxy::forward(lab, setup).await,
            Kind::Mirador => mirador::start(lab, setup).await,
            Kind::Haproxy => haproxy::start(lab, setup).await,
            Kind::Nginx => nginx::start(lab, setup).await,
            Kind::Envoy => envoy::start(lab, setup).await,
            Kind::Vmauth | Kind::VmauthByHeader => vmauth::start(lab, kind, setup).await,
        }
    }

    /// Gets everything ready to give one tenant other endpoints (or the next free number its
    /// first ones), such as the files that the peer is to read.
    pub(crate) fn prepare_change(
        &mut self,
        tenant: u32,
        endpoints: Vec<SocketAddr>,
    ) -> Result<(), BenchError> {
        self.setup.set(tenant, endpoints);
        match &self.control {
            Control::None | Control::Mirador(_) => Ok(()),
            Control::Haproxy(files) => files.prepare(&self.setup),
            Control::Nginx(files) => files.prepare(&self.setup),
            Control::Envoy(files) => files.prepare(&self.setup),
            Control::Vmauth(files) => files.prepare(&self.setup),
        }
    }

    /// Tells it of the change that was prepared, by the means it has for it. Returns when it has
    /// been told, which may be long before it acts.
    pub(crate) async fn tell_change(&self, tenant: u32) -> Result<(), BenchError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        match &self.control {
            Control::None => Ok(()),
            Control::Mirador(api) => {
                let mut admin = api.connect().await?;
                admin.put(tenant, self.setup.endpoints_of(tenant)).await
            }
            // Masters of both HAProxy and nginx start new workers on the new files, which relieve
            // the old ones.
            Control::Haproxy(_) => process.signal(Signal::USR2),
            Control::Nginx(_) | Control::Vmauth(_) => process.signal(Signal::HUP),
            Control::Envoy(files) => files.publish(),
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
        let spec = LoadSpec {
            target: self.address,
            connections,
            requests,
            warm_up,
            tenants,
            identity: self.kind.identity(),
            certificate: self.certificate().map(Path::to_owned),
        };
        let mut load =
            Load::prepare(&spec, self.kind.name(), lab.cpus.generator, lab.folder()).await?;
        let before = self.cpu_time()?;
        let result = load.go().await?;
        let after = self.cpu_time()?;
        load.end().await?;
        self.expect_running()?;
        let used = before
            .zip(after)
            .map(|(before, after)| after.since(&before));
        let cpu_us = used.map(|used| used.as_secs_f64() * 1e6 / f64::from(requests));
        Ok(Measured {
            load: result,
            cpu_us,
        })
    }

    /// Whom a generator asks to ask it.
    pub(crate) fn target(&self) -> Target {
        Target {
            address: self.address,
            identity: self.kind.identity(),
            certificate: self.certificate().map(Path::to_owned),
        }
    }

    fn certificate(&self) -> Option<&Path> {
        self.setup.tls.as_ref().map(|tls| tls.cert.as_path())
    }

    /// Threads or processes of it that serve requests.
    pub(crate) fn workers(&self) -> u32 {
        self.setup.workers
    }

    /// How many tenants it has.
    pub(crate) fn tenants(&self) -> u32 {
        self.setup.count()
    }

    /// Its process and those it started.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.process
            .as_ref()
            .map_or_else(Vec::new, |process| procfs::tree(process.pid()))
    }

    /// Has its peak of memory begin anew.
    pub(crate) fn reset_peak(&self) -> Result<(), BenchError> {
        match &self.process {
            Some(process) => procfs::reset_peak(process.pid()),
            None => Ok(()),
        }
    }

    /// Fails with its last words if it has ended.
    pub(crate) fn expect_running(&mut self) -> Result<(), BenchError> {
        match &mut self.process {
            Some(process) => process.expect_running(),
            None => Ok(()),
        }
    }

    /// CPU time that it and the processes it started have used so far.
    pub(crate) fn cpu_time(&self) -> Result<Option<CpuTime>, BenchError> {
        self.process
            .as_ref()
            .map(|process| CpuTime::of_tree(process.pid()))
            .transpose()
    }

    /// Memory that it and the processes it started hold now.
    pub(crate) fn memory(&self) -> Result<Option<Memory>, BenchError> {
        self.process
            .as_ref()
            .map(|process| Memory::of_tree(process.pid()))
            .transpose()
    }

    /// The same of a proxy.
    ///
    /// # Errors
    /// There is nothing between generator and upstream, or it can't be looked at.
    pub(crate) fn held(&self) -> Result<Memory, BenchError> {
        self.memory()?.ok_or_else(|| BenchError::Unexpected {
            what: "whose memory to look at",
            text: self.kind.name().into(),
        })
    }

    /// Has it end by itself, or fails.
    pub(crate) async fn end(self) -> Result<(), BenchError> {
        match self.process {
            Some(process) => process.end().await,
            None => Ok(()),
        }
    }

    /// Ends it and all it started.
    pub(crate) async fn stop(self) -> Result<(), BenchError> {
        match self.process {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Waits until it takes connections; for those that read all of their configuration before.
    async fn wait_until_listening(&mut self, limit: Duration) -> Result<(), BenchError> {
        let what = format!("{} to listen", self.kind.name());
        until(&what, limit, async || {
            self.expect_running()?;
            Ok(Connection::open(self.address).await.is_ok())
        })
        .await
    }
}
