//! Keeps the world going while somebody looks around: new samples and log lines all the time, and
//! an endpoint that the visitor kills comes back after a while.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    DemoError,
    backend::Backend,
    page::Page,
    sandbox::Sandbox,
    world::{TenantWorld, World},
};

/// Between two log lines of a tenant.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// One round of samples for so many log lines.
const LOGS_PER_ROUND: u32 = 5;
/// How long a killed backend stays away.
const ABSENCE: Duration = Duration::from_secs(20);

/// Runs until it is dropped, or the router ends.
pub(super) async fn keep_alive(
    world: &World,
    sandbox: &mut Sandbox,
    page: &mut Page,
) -> Result<(), DemoError> {
    let mut ticks = interval(LOG_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut absent = Vec::new();
    for number in 0_u32.. {
        ticks.tick().await;
        sandbox.expect_running(world.router.process)?;
        look_after_backends(world, &mut absent, sandbox, page)?;
        for tenant in world.tenants() {
            feed(world, tenant, number).await;
        }
    }
    Ok(())
}

/// What can't be delivered is lost: its backend may just have been killed.
async fn feed(world: &World, tenant: &TenantWorld, number: u32) {
    let now = Timestamp::now();
    let samples = &tenant.samples;
    let line = samples.log_line(samples.log_count + number, now.as_millisecond());
    let _ = world
        .client
        .tenant(tenant.id)
        .insert_logs(line, samples.stream_fields)
        .await;
    if number.is_multiple_of(LOGS_PER_ROUND) {
        for endpoint in &tenant.metrics {
            let lines = samples.lines_at(now);
            let _ = world
                .client
                .direct(&endpoint.url())
                .import_samples(lines)
                .await;
        }
    }
}

/// A backend that is away, and since when.
type Absent<'w> = (&'w Backend, Instant);

fn look_after_backends<'w>(
    world: &'w World,
    absent: &mut Vec<Absent<'w>>,
    sandbox: &mut Sandbox,
    page: &mut Page,
) -> Result<(), DemoError> {
    for (backend, _) in absent.extract_if(.., |(_, since)| since.elapsed() >= ABSENCE) {
        backend.start_again(sandbox)?;
        page.line(format_args!("{} is started again", backend.authority()))?;
    }
    for backend in world.tenants().flat_map(TenantWorld::backends) {
        let known = absent
            .iter()
            .any(|(other, _)| other.process() == backend.process());
        if !known && sandbox.has_ended(backend.process())? {
            absent.push((backend, Instant::now()));
            let (gone, back) = (backend.authority(), ABSENCE.as_secs());
            page.line(format_args!(
                "{gone} has ended; it will be started again in {back} s"
            ))?;
        }
    }
    Ok(())
}
