//! Carries out changes one tenant at a time, and tells the outcome of each.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tenant_store::model::{HumanDuration, Maintenance, Revision, Tenant, TenantId};

use super::{out_of_use::Drained, wait};
use crate::cli::{
    Failure,
    client::{AdminClient, AdminError, Body, Change, Changed, Condition},
    output::Terminal,
};

/// A change of one tenant.
pub(super) enum Step {
    /// Make it what its document says.
    Put(Box<Tenant>),
    /// Change some of its fields: a merge patch.
    Patch(TenantId, String),
    Suspend(TenantId),
    Activate(TenantId),
    /// To a tombstone, or for good.
    Delete(TenantId, bool),
    Restore(TenantId),
    /// Take an endpoint out of use.
    Drain(Drained),
    /// Take one back into use.
    Undrain(Drained),
    /// Begin maintenance, or change what it is for and when it ends.
    Maintain(TenantId, Maintenance),
    EndMaintenance(TenantId),
    /// Have it read again.
    Invalidate(TenantId),
}

/// Takes the steps one by one; each only if its tenant is at `revision`, if that is given. One that
/// is refused does not keep the others from being tried.
pub(super) async fn run(
    client: &AdminClient,
    steps: Vec<Step>,
    revision: Option<Revision>,
    dry_run: bool,
    wait: Option<HumanDuration>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let mut tally = Tally::new(steps.len(), dry_run);
    for step in &steps {
        let changed = take(client, step, revision, dry_run).await;
        let waits = match (&changed, wait) {
            (Ok(changed), Some(limit)) if !dry_run => changed.body["revision"]
                .as_u64()
                .map(|revision| (Revision(revision), limit)),
            _ => None,
        };
        tally.count(step.id(), changed, terminal)?;
        if let Some((revision, limit)) = waits {
            wait::until_healthy(client, step.id(), revision, limit).await?;
            terminal.say(&format_args!("tenant {} healthy", step.id()))?;
        }
    }
    tally.result()
}

async fn take(
    client: &AdminClient,
    step: &Step,
    revision: Option<Revision>,
    dry_run: bool,
) -> Result<Changed, AdminError> {
    let tag = revision.map_or_else(|| "*".to_owned(), |revision| format!("\"{revision}\""));
    let id = step.id().as_str();
    let query = [("dry_run", dry_run.to_string())];
    let sender = Sender {
        client,
        query: &query,
        tag: &tag,
    };
    match step {
        Step::Put(tenant) => put(client, tenant, dry_run).await,
        Step::Patch(_, fields) => {
            let path = ["tenants", id];
            sender.send(Method::PATCH, &path, Body::Patch(fields)).await
        }
        Step::Delete(_, purge) => {
            let purge = ("purge", purge.to_string());
            let query = [query[0].clone(), purge];
            let sender = Sender {
                query: &query,
                ..sender
            };
            let path = ["tenants", id];
            sender.send(Method::DELETE, &path, Body::None).await
        }
        Step::Suspend(_) => sender.post(&["tenants", id, "suspend"]).await,
        Step::Restore(_) => sender.post(&["tenants", id, "restore"]).await,
        Step::Activate(_) => sender.post(&["tenants", id, "activate"]).await,
        Step::Drain(drained) => {
            let (path, body) = (drained.path("drain"), drained.body());
            sender.send(Method::POST, &path, Body::Json(&body)).await
        }
        Step::Undrain(drained) => {
            let (path, body) = (drained.path("undrain"), drained.body());
            sender.send(Method::POST, &path, Body::Json(&body)).await
        }
        Step::Maintain(_, maintenance) => {
            let path = ["tenants", id, "maintenance"];
            let body = serde_json::to_value(maintenance).unwrap_or(Value::Null);
            sender.send(Method::PUT, &path, Body::Json(&body)).await
        }
        Step::EndMaintenance(_) => {
            let path = ["tenants", id, "maintenance"];
            sender.send(Method::DELETE, &path, Body::None).await
        }
        Step::Invalidate(_) => invalidate(client, id).await,
    }
}

/// Sends changes of what is there, each on the same condition.
struct Sender<'s> {
    client: &'s AdminClient,
    query: &'s [(&'s str, String)],
    tag: &'s str,
}

impl Sender<'_> {
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        body: Body<'_>,
    ) -> Result<Changed, AdminError> {
        let change = Change {
            method,
            path,
            query: self.query,
            condition: Condition::Match(self.tag),
            body,
        };
        self.client.change(change).await
    }

    async fn post(&self, path: &[&str]) -> Result<Changed, AdminError> {
        self.send(Method::POST, path, Body::None).await
    }
}

/// Has a tenant read again: that changes nothing, so it takes no condition.
async fn invalidate(client: &AdminClient, id: &str) -> Result<Changed, AdminError> {
    let change = Change {
        method: Method::POST,
        path: &["tenants", id, "cache", "invalidate"],
        query: &[],
        condition: Condition::None,
        body: Body::None,
    };
    client.change(change).await
}

/// Creates or replaces a tenant, whatever it was.
async fn put(client: &AdminClient, tenant: &Tenant, dry_run: bool) -> Result<Changed, AdminError> {
    let path = ["tenants", tenant.id.as_str()];
    let query = [("dry_run", dry_run.to_string())];
    let document = serde_json::to_value(tenant).unwrap_or(Value::Null);
    let put = |condition| Change {
        method: Method::PUT,
        path: &path,
        query: &query,
        condition,
        body: Body::Json(&document),
    };
    match client.change(put(Condition::Match("*"))).await {
        Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) => {
            client.change(put(Condition::Absent)).await
        }
        answer => answer,
    }
}

impl Step {
    fn id(&self) -> &TenantId {
        match self {
            Self::Put(tenant) => &tenant.id,
            Self::Drain(drained) | Self::Undrain(drained) => &drained.id,
            Self::Patch(id, _)
            | Self::Maintain(id, _)
            | Self::EndMaintenance(id)
            | Self::Suspend(id)
            | Self::Activate(id)
            | Self::Delete(id, _)
            | Self::Restore(id)
            | Self::Invalidate(id) => id,
        }
    }
}

/// What became of several changes.
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
        change: Result<Changed, AdminError>,
        terminal: &mut Terminal<'_>,
    ) -> Result<(), Failure> {
        match change {
            Ok(Changed { outcome, body }) => {
                let outcome = match (outcome.as_str(), body["status"].as_str()) {
                    ("", Some(status)) => status,
                    (outcome, _) => outcome,
                };
                let note = if self.dry_run { " (dry run)" } else { "" };
                terminal.say(&format_args!("tenant {id} {outcome}{note}"))
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
