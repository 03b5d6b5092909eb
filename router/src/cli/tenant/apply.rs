//! Carries out changes one tenant at a time, and tells the outcome of each.

use tenant_store::{
    model::{Tenant, TenantId},
    repository::Outcome,
};

use super::client::{AdminClient, AdminError};
use crate::cli::{Failure, output::Terminal};

/// Makes each tenant what its document says.
pub(super) async fn apply(
    client: &AdminClient,
    tenants: &[Tenant],
    dry_run: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let mut tally = Tally::new(tenants.len(), dry_run);
    for tenant in tenants {
        tally.count(&tenant.id, client.put(tenant, dry_run).await, terminal)?;
    }
    tally.result()
}

/// Deletes each tenant.
pub(super) async fn delete(
    client: &AdminClient,
    ids: &[TenantId],
    dry_run: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let mut tally = Tally::new(ids.len(), dry_run);
    for id in ids {
        tally.count(id, client.delete(id, dry_run).await, terminal)?;
    }
    tally.result()
}

/// What became of several changes: one that is refused does not keep the others from being tried.
struct Tally {
    asked: usize,
    failed: usize,
    worst: u8,
    dry_run: bool,
}

impl Tally {
    fn new(asked: usize, dry_run: bool) -> Self {
        Self {
            asked,
            failed: 0,
            worst: 0,
            dry_run,
        }
    }

    fn count(
        &mut self,
        id: &TenantId,
        change: Result<Outcome, AdminError>,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        match change {
            Ok(outcome) => {
                let note = if self.dry_run { " (dry run)" } else { "" };
                terminal.say(&format_args!("tenant {id} {}{note}", outcome.as_str()))
            }
            Err(error) if error.ends_all() || self.asked == 1 => Err(error.into()),
            Err(error) => {
                terminal.complain(&format_args!("tenant {id}: {error}"));
                self.failed += 1;
                self.worst = self.worst.max(Failure::from(error).exit_code());
                Ok(())
            }
        }
    }

    fn result(self) -> Result<(), Failure> {
        match self {
            Self { failed: 0, .. } => Ok(()),
            Self {
                failed,
                asked,
                worst,
                ..
            } => Err(Failure::Partly {
                failed,
                asked,
                worst,
            }),
        }
    }
}
