//! The scenarios, and how much of each.

pub(crate) mod begin;
pub(crate) mod beyond;
pub(crate) mod bystanders;
pub(crate) mod change;
pub(crate) mod connections;
pub(crate) mod driven;
pub(crate) mod failover;
pub(crate) mod http2;
pub(crate) mod latency;
pub(crate) mod memory;
mod probed;
pub(crate) mod reload;
pub(crate) mod rounds;
pub(crate) mod scaling;
pub(crate) mod soak;
pub(crate) mod streaming;
pub(crate) mod tails;
pub(crate) mod tenants;
pub(crate) mod throughput;
pub(crate) mod tls;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::Serialize;
use tokio::time::timeout;

use self::rounds::Rounds;
use crate::{
    error::BenchError,
    lab::Lab,
    peer::Measured,
    record::{Conditions, Record, Shelf},
};

/// For one scenario, so that nothing waits for ever; several times what any takes.
const LIMIT: Duration = Duration::from_mins(30);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Requests per second and CPU time per request beside the peers
    Throughput,
    /// Added latency at low load beside the peers
    Latency,
    /// CPU time per request and memory by number of tenants beside the peers
    Tenants,
    /// What a change of one tenant costs, and what others see of it, beside the peers
    Reload,
    /// Memory by number of tenants
    Memory,
    /// Memory over waves of all that a router is asked
    Soak,
    /// Memory with far more tenants in the store than a router holds
    Beyond,
    /// Time for a tenant's change to take effect
    Change,
    /// Long bodies: CPU time by size, and memory, beside the peers
    Streaming,
    /// CPU time of TLS, by request and by connection, beside the peers
    Tls,
    /// CPU time per request over HTTP/2 beside the peers
    Http2,
    /// CPU time of short connections and memory of idle ones beside the peers
    Connections,
    /// Memory and CPU time of silent live tails beside the peers
    Tails,
    /// What users see when one of two endpoints dies or hangs, beside the peers
    Failover,
    /// Time to the first answer by number of tenants
    Start,
    /// CPU time per request with one worker and with two beside the peers
    Scaling,
}

impl Scenario {
    /// As it is called on the command line and on record.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Tenants => "tenants",
            Self::Reload => "reload",
            Self::Memory => "memory",
            Self::Soak => "soak",
            Self::Beyond => "beyond",
            Self::Change => "change",
            Self::Streaming => "streaming",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Connections => "connections",
            Self::Tails => "tails",
            Self::Failover => "failover",
            Self::Start => "start",
            Self::Scaling => "scaling",
        }
    }

    /// Measures it and puts what was seen on record.
    #[expect(clippy::too_many_lines, reason = "one arm for each scenario")]
    pub(crate) async fn measure(self, size: &Size, desk: &Desk<'_>) -> Result<(), BenchError> {
        let lab = desk.lab;
        match self {
            Self::Throughput => {
                desk.keep(
                    self,
                    size.throughput,
                    throughput::measure(lab, size.throughput),
                )
                .await
            }
            Self::Latency => {
                desk.keep(self, size.latency, latency::measure(lab, size.latency))
                    .await
            }
            Self::Tenants => {
                desk.keep(self, size.tenants, tenants::measure(lab, size.tenants))
                    .await
            }
            Self::Reload => {
                desk.keep(self, size.reload, reload::measure(lab, size.reload))
                    .await
            }
            Self::Memory => {
                desk.keep(self, size.memory, memory::measure(lab, size.memory))
                    .await
            }
            Self::Soak => {
                desk.keep(self, size.soak, soak::measure(lab, size.soak))
                    .await
            }
            Self::Beyond => {
                desk.keep(self, size.beyond, beyond::measure(lab, size.beyond))
                    .await
            }
            Self::Change => {
                desk.keep(self, size.change, change::measure(lab, size.change))
                    .await
            }
            Self::Streaming => {
                desk.keep(
                    self,
                    size.streaming,
                    streaming::measure(lab, size.streaming),
                )
                .await
            }
            Self::Tls => desk.keep(self, size.tls, tls::measure(lab, size.tls)).await,
            Self::Http2 => {
                desk.keep(self, size.http2, http2::measure(lab, size.http2))
                    .await
            }
            Self::Connections => {
                desk.keep(
                    self,
                    size.connections,
                    connections::measure(lab, size.connections),
                )
                .await
            }
            Self::Tails => {
                desk.keep(self, size.tails, tails::measure(lab, size.tails))
                    .await
            }
            Self::Failover => {
                desk.keep(self, size.failover, failover::measure(lab, size.failover))
                    .await
            }
            Self::Start => {
                desk.keep(self, size.start, begin::measure(lab, size.start))
                    .await
            }
            Self::Scaling => {
                desk.keep(self, size.scaling, scaling::measure(lab, size.scaling))
                    .await
            }
        }
    }
}

/// What is needed to put results on record.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) conditions: &'a Conditions,
    pub(crate) shelf: &'a Shelf,
}

impl Desk<'_> {
    async fn keep<Extent: Serialize, Figures: Serialize>(
        &self,
        scenario: Scenario,
        extent: Extent,
        measuring: impl Future<Output = Result<Figures, BenchError>>,
    ) -> Result<(), BenchError> {
        let (began, clock) = (jiff::Timestamp::now(), Instant::now());
        let Ok(measured) = timeout(LIMIT, Box::pin(measuring)).await else {
            let what = format!("the end of {}", scenario.name());
            return Err(BenchError::TooLate { what, limit: LIMIT });
        };
        let figures = measured?;
        let record = Record {
            conditions: self.conditions.clone(),
            began,
            took_s: clock.elapsed().as_secs(),
            extent,
            figures,
        };
        self.shelf.put(scenario, &record)
    }
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    throughput: throughput::Extent,
    latency: latency::Extent,
    tenants: tenants::Extent,
    reload: reload::Extent,
    memory: memory::Extent,
    soak: soak::Extent,
    beyond: beyond::Extent,
    change: change::Extent,
    streaming: streaming::Extent,
    tls: tls::Extent,
    http2: http2::Extent,
    connections: connections::Extent,
    tails: tails::Extent,
    failover: failover::Extent,
    start: begin::Extent,
    scaling: scaling::Extent,
}

impl Size {
    /// For figures.
    pub(crate) const FULL: Self = Self {
        throughput: throughput::Extent::FULL,
        latency: latency::Extent::FULL,
        tenants: tenants::Extent::FULL,
        reload: reload::Extent::FULL,
        memory: memory::Extent::FULL,
        soak: soak::Extent::FULL,
        beyond: beyond::Extent::FULL,
        change: change::Extent::FULL,
        streaming: streaming::Extent::FULL,
        tls: tls::Extent::FULL,
        http2: http2::Extent::FULL,
        connections: connections::Extent::FULL,
        tails: tails::Extent::FULL,
        failover: failover::Extent::FULL,
        start: begin::Extent::FULL,
        scaling: scaling::Extent::FULL,
    };

    /// For seeing that it works.
    pub(crate) const QUICK: Self = Self {
        throughput: throughput::Extent::QUICK,
        latency: latency::Extent::QUICK,
        tenants: tenants::Extent::QUICK,
        reload: reload::Extent::QUICK,
        memory: memory::Extent::QUICK,
        soak: soak::Extent::QUICK,
        beyond: beyond::Extent::QUICK,
        change: change::Extent::QUICK,
        streaming: streaming::Extent::QUICK,
        tls: tls::Extent::QUICK,
        http2: http2::Extent::QUICK,
        connections: connections::Extent::QUICK,
        tails: tails::Extent::QUICK,
        failover: failover::Extent::QUICK,
        start: begin::Extent::QUICK,
        scaling: scaling::Extent::QUICK,
    };
}

type Kept<Extent, Figures> = Option<Record<Extent, Figures>>;

/// All that is on record; `None` of what is not.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) throughput: Kept<throughput::Extent, Vec<Rounds<Measured>>>,
    pub(crate) latency: Kept<latency::Extent, latency::Latency>,
    pub(crate) tenants: Kept<tenants::Extent, Vec<tenants::Level>>,
    pub(crate) reload: Kept<reload::Extent, reload::Reload>,
    pub(crate) memory: Kept<memory::Extent, Vec<memory::Level>>,
    pub(crate) soak: Kept<soak::Extent, soak::Soak>,
    pub(crate) beyond: Kept<beyond::Extent, beyond::Beyond>,
    pub(crate) change: Kept<change::Extent, change::Change>,
    pub(crate) streaming: Kept<streaming::Extent, streaming::Streaming>,
    pub(crate) tls: Kept<tls::Extent, tls::Tls>,
    pub(crate) http2: Kept<http2::Extent, http2::Http2>,
    pub(crate) connections: Kept<connections::Extent, connections::Connections>,
    pub(crate) tails: Kept<tails::Extent, tails::Tails>,
    pub(crate) failover: Kept<failover::Extent, failover::Failover>,
    pub(crate) start: Kept<begin::Extent, Vec<begin::Beginning>>,
    pub(crate) scaling: Kept<scaling::Extent, scaling::Scaling>,
}

impl Records {
    /// Reads all that is there.
    pub(crate) fn read(shelf: &Shelf) -> Result<Self, BenchError> {
        Ok(Self {
            throughput: shelf.find(Scenario::Throughput)?,
            latency: shelf.find(Scenario::Latency)?,
            tenants: shelf.find(Scenario::Tenants)?,
            reload: shelf.find(Scenario::Reload)?,
            memory: shelf.find(Scenario::Memory)?,
            soak: shelf.find(Scenario::Soak)?,
            beyond: shelf.find(Scenario::Beyond)?,
            change: shelf.find(Scenario::Change)?,
            streaming: shelf.find(Scenario::Streaming)?,
            tls: shelf.find(Scenario::Tls)?,
            http2: shelf.find(Scenario::Http2)?,
            connections: shelf.find(Scenario::Connections)?,
            tails: shelf.find(Scenario::Tails)?,
            failover: shelf.find(Scenario::Failover)?,
            start: shelf.find(Scenario::Start)?,
            scaling: shelf.find(Scenario::Scaling)?,
        })
    }
}
