//! What it costs to watch many endpoints: CPU time, memory, and how evenly the probes come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use health::{Monitor, MonitorConfig, ProbeSpec};

use crate::{deep_check, endpoints::Endpoints, proc, start, target, tell};

/// Measures for `seconds`, after everybody has been probed.
#[expect(clippy::too_many_lines, reason = "one measurement, told line by line")]
pub(crate) async fn measure(
    endpoints: u32,
    interval: Duration,
    deep: Option<Duration>,
    seconds: Duration,
) -> anyhow::Result<()> {
    let process = Endpoints::start().await?;
    let monitor = Monitor::new(MonitorConfig::default());
    let client = health::client_builder().build()?;
    let probe = ProbeSpec {
        interval,
        ..ProbeSpec::default()
    };
    let deep = deep.map(|interval| Arc::new(deep_check(interval)));
    let before = proc::resident()?;
    let mut held = Vec::new();
    for number in 0..endpoints {
        let target = target(process.address(number), &client, probe, deep.clone())?;
        held.push(monitor.watch(target));
    }
    let watched = proc::resident()?;
    start(&monitor);
    let begun = Instant::now();
    while monitor.stats().probes.total() < u64::from(endpoints) {
        ensure!(
            begun.elapsed() < 3 * interval + Duration::from_mins(1),
            "too slow"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let first_round = begun.elapsed();
    // Over one interval the second round has become as even as the first.
    tokio::time::sleep(interval).await;

    let (cpu_before, stats, begun) = (proc::cpu_time()?, monitor.stats(), Instant::now());
    let (mut least, mut most, mut so_far) = (u64::MAX, 0, stats.probes.total());
    while begun.elapsed() < seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let total = monitor.stats().probes.total();
        (least, most) = (least.min(total - so_far), most.max(total - so_far));
        so_far = total;
    }
    let (took, cpu) = (
        begun.elapsed(),
        proc::cpu_time()?.saturating_sub(cpu_before),
    );
    let probes = monitor.stats().probes.total() - stats.probes.total();
    let failed = monitor.stats().probes.total() - monitor.stats().probes.ok;
    let resident = proc::resident()?;
    let per_second = |count: u64| whole(count) / took.as_secs_f64();
    let per_endpoint = |bytes: u64| bytes.saturating_sub(before) / u64::from(endpoints);
    let looked = held
        .iter()
        .filter(|health| health.snapshot().deep.is_some());
    for line in [
        format!("endpoints             {endpoints}, each probed every {interval:?}"),
        format!("first round           {:.1} s", first_round.as_secs_f64()),
        format!(
            "probes                {:.0}/s; in one second {least} to {most}; {failed} failed",
            per_second(probes)
        ),
        format!(
            "CPU                   {:.1} % of one core",
            100.0 * cpu.as_secs_f64() / took.as_secs_f64()
        ),
        format!(
            "CPU per probe         {:.0} µs, the connection and its sockets included",
            1e6 * cpu.as_secs_f64() / whole(probes)
        ),
        format!(
            "memory when watched   {} MiB, {} bytes per endpoint",
            watched >> 20,
            per_endpoint(watched)
        ),
        format!(
            "memory when probed    {} MiB, {} bytes per endpoint",
            resident >> 20,
            per_endpoint(resident)
        ),
        format!("looked at closely     {}", looked.count()),
    ] {
        tell(&line)?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of probes are small")]
fn whole(count: u64) -> f64 {
    count as f64
}
