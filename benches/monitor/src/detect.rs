//! How soon a dead endpoint is found out by probes alone: no request is there to notice it first.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use health::{Availability, Monitor, MonitorConfig, ProbeSpec};

use crate::{endpoints::Endpoints, start, target, tell};

/// How endpoints die.
#[derive(Clone, Copy)]
enum Death {
    Kill,
    Hang,
    Blackhole,
    Unavailable,
}

/// Prints, for each way to die and two paces of probing, the time until the endpoint is down.
pub(crate) async fn measure(endpoints: u32) -> anyhow::Result<()> {
    let quick = ProbeSpec {
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        healthy_after: 2,
        unhealthy_after: 2,
    };
    tell("| probes | died by | median | longest |\n|---|---|---|---|")?;
    for (name, spec) in [
        ("every 5 s, 1 s, after 2", quick),
        ("every 30 s, 5 s, after 3", ProbeSpec::default()),
    ] {
        for (how, death) in [
            ("`kill -9`", Death::Kill),
            ("hanging", Death::Hang),
            ("black hole", Death::Blackhole),
            ("503", Death::Unavailable),
        ] {
            let times = times(endpoints, spec, death).await?;
            let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
            tell(&format!(
                "| {name} | {how} | {:.1} s | {:.1} s |",
                median.as_secs_f64(),
                longest.as_secs_f64()
            ))?;
        }
    }
    Ok(())
}

/// The time from death to discovery of each endpoint, the shortest first.
async fn times(endpoints: u32, spec: ProbeSpec, death: Death) -> anyhow::Result<Vec<Duration>> {
    let mut process = Endpoints::start().await?;
    let monitor = Monitor::new(MonitorConfig::default());
    let client = health::client_builder().build()?;
    start(&monitor);
    let mut transitions = monitor.transitions();
    let mut held = Vec::new();
    for number in 0..endpoints {
        // Each at its own point within the interval when all of them die.
        held.push(monitor.watch(target(process.address(number), &client, spec, None)?));
        tokio::time::sleep(spec.interval / endpoints).await;
    }
    let died = Instant::now();
    match death {
        Death::Kill => process.kill().await?,
        Death::Hang => process.hang()?,
        Death::Blackhole => process.tell("blackhole").await?,
        Death::Unavailable => process.tell("503").await?,
    }
    let mut times = Vec::new();
    while times.len() < held.len() {
        let longest = 3 * (spec.interval + 5 * spec.timeout);
        let transition = tokio::time::timeout(longest, transitions.recv())
            .await
            .context("an endpoint is not found out")??;
        if transition.to == Availability::Down {
            times.push(died.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times)
}
