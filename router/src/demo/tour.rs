//! The tour: what Mirador promises, tried on real servers, one row of a table for each step.
//!
//! Every figure in the table is measured while the step runs. A step that fails is told and does
//! not keep the others from being tried.

mod export;
mod failover;
mod isolation;
mod load;
mod suspension;

use super::{
    DemoError,
    page::{Page, Took},
    sandbox::Sandbox,
    world::World,
};

use self::load::Load;

/// Walks all steps.
///
/// # Errors
/// A step failed, or the page can't be written.
pub(super) async fn walk(
    world: &World,
    sandbox: &mut Sandbox,
    page: &mut Page,
) -> Result<(), DemoError> {
    let begun = tokio::time::Instant::now();
    let mut tour = Tour {
        page,
        steps: 0,
        failed: 0,
    };
    tour.page.line("")?;
    tour.page.row("STEP", "RESULT", "SEEN")?;
    tour.step(
        "each tenant sees its own metrics",
        isolation::metrics(world),
    )
    .await?;
    tour.step("each tenant sees its own logs", isolation::logs(world))
        .await?;
    tour.step(
        "who names no tenant is refused",
        isolation::no_tenant(world),
    )
    .await?;
    let router = sandbox.pid(world.router.process);
    tour.step("a large export streams", export::streams(world, router))
        .await?;
    let load = Load::start(world);
    tour.step(
        "an endpoint is killed",
        failover::kill(world, sandbox, &load),
    )
    .await?;
    tour.step(
        "it comes back and is used again",
        failover::come_back(world, sandbox, load),
    )
    .await?;
    tour.step("a suspended tenant is refused", suspension::suspend(world))
        .await?;
    tour.page.line("")?;
    if tour.failed > 0 {
        return Err(DemoError::Tour {
            failed: tour.failed,
            steps: tour.steps,
        });
    }
    let (steps, took) = (tour.steps, Took(begun.elapsed()));
    tour.page.line(format_args!(
        "All {steps} steps went as they should, in {took}."
    ))
}

/// The table so far.
struct Tour<'p> {
    page: &'p mut Page,
    steps: usize,
    failed: usize,
}

impl Tour<'_> {
    async fn step(
        &mut self,
        name: &str,
        step: impl Future<Output = Result<String, DemoError>>,
    ) -> Result<(), DemoError> {
        self.steps += 1;
        match Box::pin(step).await {
            Ok(figure) => self.page.row(name, "ok", figure),
            Err(error) => {
                self.failed += 1;
                self.page.row(name, "FAILED", error)
            }
        }
    }
}

/// Fails with what `told` says unless `holds`.
fn ensure(holds: bool, told: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds {
        Ok(())
    } else {
        Err(DemoError::Unexpected(told()))
    }
}
