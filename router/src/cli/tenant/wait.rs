//! Waits for what was changed to be in use.

use std::time::Duration;

use serde::Deserialize;
use tenant_store::model::{HumanDuration, Revision, TenantId};
use tokio::time::{Instant, sleep};

use crate::cli::{Failure, client::AdminClient};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Deserialize)]
struct Health {
    revision: Revision,
    overall: String,
}

/// Waits until the router serves this revision, or a later one, and sees every endpoint healthy.
pub(super) async fn until_healthy(
    client: &AdminClient,
    id: &TenantId,
    revision: Revision,
    limit: HumanDuration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + limit.0;
    loop {
        let path = ["tenants", id.as_str(), "health"];
        let health: Health = client.read(&path, &[]).await?;
        if health.revision >= revision && health.overall == "healthy" {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::NotYet(format!(
                "tenant {id} is still {} after {limit}; `mirador tenant health {id}` tells why",
                health.overall
            )));
        }
        sleep(PAUSE).await;
    }
}
