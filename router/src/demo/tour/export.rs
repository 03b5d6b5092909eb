//! A large export passes through the router without staying in its memory.

use std::time::Duration;

use tokio::time::Instant;

use super::ensure;
use crate::demo::{
    DemoError,
    page::{Bytes, Took},
    world::World,
};

/// Reads everything of acme through the router, whose process has this id.
pub(super) async fn streams(world: &World, router: u32) -> Result<String, DemoError> {
    let samples = &world.acme.samples;
    forget_peak(router);
    let before = memory(router, "VmRSS:");
    let begun = Instant::now();
    let (bytes, lines) = read(world).await?;
    let took = begun.elapsed();
    let peak = memory(router, "VmHWM:");
    ensure(lines == samples.series_count(), || {
        format!(
            "it should have {} lines, one for each series; it has {lines}",
            samples.series_count()
        )
    })?;
    let passed = format!("{} in {} ({})", Bytes(bytes), Took(took), rate(bytes, took));
    let Some((before, peak)) = before.zip(peak) else {
        return Ok(format!(
            "{passed}; this system does not tell the router's memory"
        ));
    };
    let growth = peak.saturating_sub(before);
    ensure(growth < bytes / 2, || {
        format!(
            "{passed}, but the router's memory grew by {}",
            Bytes(growth)
        )
    })?;
    Ok(format!(
        "{passed}; router's memory {}, at most {} more meanwhile",
        Bytes(before),
        Bytes(growth)
    ))
}

async fn read(world: &World) -> Result<(u64, u64), DemoError> {
    let export = world
        .client
        .tenant(world.acme.id)
        .export(world.acme.samples.selector)
        .await;
    let (mut export, mut bytes, mut lines) = (export?, 0, 0);
    while let Some(chunk) = export
        .chunk()
        .await
        .map_err(|error| DemoError::http("the export", error))?
    {
        bytes += chunk.len() as u64;
        lines += memchr::memchr_iter(b'\n', &chunk).count() as u64;
    }
    Ok((bytes, lines))
}

fn rate(bytes: u64, took: Duration) -> String {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    format!("{}/s", Bytes(bytes * 1_000 / millis))
}

/// A field of a process's memory in bytes, where the system has such files.
fn memory(process: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Lets the peak of a process's memory begin anew. Where that can't be done, the peak since its
/// start is reported, which errs on the wrong side only for us.
fn forget_peak(process: u32) {
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_whole_export() {
        assert_eq!(rate(70_000_000, Duration::from_millis(500)), "140.0 MB/s");
        assert_eq!(
            rate(1_000, Duration::ZERO),
            "1.0 MB/s",
            "not divided by zero"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_memory_of_a_process_is_read_in_bytes() {
        let own = std::process::id();
        let (now, peak) = (memory(own, "VmRSS:"), memory(own, "VmHWM:"));
        assert!(now.is_some_and(|bytes| bytes > 100_000), "{now:?}");
        assert!(peak >= now, "{peak:?} {now:?}");
        assert_eq!(memory(own, "NoSuchField:"), None);
    }
}
