//! Two questions about the monitor of endpoints: what does it cost to watch many of them, and how
//! soon does it find out that one has died.
//!
//! Both are asked over real sockets. The endpoints are a process of their own, which listens on
//! one port of all loopback addresses: as many hosts as one likes, and no CPU time of theirs in the
//! figures.

mod detect;
mod endpoints;
mod proc;
mod scale;

use std::{io::Write as _, time::Duration};

use clap::{Parser, Subcommand};
use health::{DeepCheck, Monitor, ProbeSpec, Product, Target};
use reqwest::Method;

/// The router's own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// What does it cost to watch so many endpoints?
    Scale {
        /// Tenants; each has two endpoints for each of three signals.
        #[arg(long, default_value_t = 10_000)]
        tenants: u32,
        /// Seconds between two probes of an endpoint.
        #[arg(long, default_value_t = 30)]
        interval: u64,
        /// Seconds between two deep checks of an endpoint; 0 for none.
        #[arg(long, default_value_t = 0)]
        deep: u64,
        /// Seconds to measure for, once every endpoint has been probed.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// How soon is a dead endpoint found out, by probes alone?
    Detect {
        /// Endpoints that die at one time, each of which is found out by itself.
        #[arg(long, default_value_t = 20)]
        endpoints: u32,
    },
    /// The endpoints themselves, until standard input ends.
    #[command(hide = true)]
    Endpoints,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // The only one who installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Arguments::parse().question {
        Question::Scale {
            tenants,
            interval,
            deep,
            seconds,
        } => {
            let interval = Duration::from_secs(interval);
            let deep = (deep > 0).then(|| Duration::from_secs(deep));
            scale::measure(tenants * 6, interval, deep, Duration::from_secs(seconds)).await
        }
        Question::Detect { endpoints } => detect::measure(endpoints).await,
        Question::Endpoints => endpoints::serve().await,
    }
}

/// Writes a line of the report.
fn tell(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// How the endpoint at `address` is watched.
fn target(
    address: std::net::SocketAddr,
    client: &reqwest::Client,
    probe: ProbeSpec,
    deep: Option<std::sync::Arc<DeepCheck>>,
) -> anyhow::Result<Target> {
    Ok(Target {
        url: format!("http://{address}/health").parse()?,
        address: None,
        of: None,
        name: address.to_string().into(),
        probe: Some(probe),
        terms: None,
        deep,
        client: client.clone(),
        authorization: None,
        identity: 0,
    })
}

/// Deep checks as the router makes them of metrics.
fn deep_check(interval: Duration) -> DeepCheck {
    DeepCheck {
        interval,
        product: Product::VictoriaMetrics,
        min_version: None,
        query: "/api/v1/query?query=1".into(),
        ingestion: (Method::POST, "/api/v1/import/prometheus".into()),
        min_free_disk_percent: 10,
        max_clock_skew: Duration::from_secs(10),
    }
}

/// Lets a monitor run on this runtime.
fn start(monitor: &std::sync::Arc<Monitor>) {
    tokio::spawn(std::sync::Arc::clone(monitor).run());
}
