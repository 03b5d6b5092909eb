//! The endpoint in use dies under load, without a word, and comes back.

use std::time::Duration;

use tokio::time::Instant;

use super::load::{CLIENTS, Load};
use crate::demo::{
    DemoError,
    backend::Backend,
    page::{Count, Took},
    sandbox::Sandbox,
    wait::until,
    world::World,
};

/// How many answers tell that an endpoint is in use.
const IN_USE: u64 = 500;
/// How long a change may take to show.
const SOON: Duration = Duration::from_mins(1);

/// Kills the preferred endpoint with SIGKILL while clients ask, and lets them go on with the other.
pub(super) async fn kill(
    world: &World,
    sandbox: &mut Sandbox,
    load: &Load,
) -> Result<String, DemoError> {
    let [first, second] = &world.acme.metrics;
    until_used(world, first).await?;
    let (before, killed) = (load.right(), Instant::now());
    sandbox.kill(first.process()).await?;
    until_used(world, second).await?;
    let (after, took) = (load.right().saturating_sub(before), Took(killed.elapsed()));
    let account = load.account()?;
    Ok(format!(
        "{CLIENTS} clients, {account}; {} of them in the {took} after the kill",
        Count(after)
    ))
}

/// Starts it again and waits until it is preferred again, then ends the load.
pub(super) async fn come_back(
    world: &World,
    sandbox: &mut Sandbox,
    load: Load,
) -> Result<String, DemoError> {
    let [first, _] = &world.acme.metrics;
    first.start_again(sandbox)?;
    first.until_healthy(&world.client, sandbox).await?;
    let healthy = Instant::now();
    until_used(world, first).await?;
    let took = Took(healthy.elapsed());
    let account = load.account()?;
    Ok(format!(
        "used again {took} after it was healthy; {account} in all"
    ))
}

/// Waits until the router says that the endpoint has answered many more requests than now.
async fn until_used(world: &World, endpoint: &Backend) -> Result<(), DemoError> {
    let authority = endpoint.authority();
    let answers = async || world.client.answers_of(world.acme.id, &authority).await;
    let before = answers().await?;
    until(&format!("{authority} to be used"), SOON, async || {
        Ok((answers().await? >= before + IN_USE).then_some(()))
    })
    .await
}
