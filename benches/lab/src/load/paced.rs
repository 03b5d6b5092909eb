//! Requests that come at their times whatever becomes of those before: what a failing endpoint
//! does to users who do not know of each other.

use std::{ops::Range, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    generator::Cues,
    target::{QUERY, Target},
};
use crate::{error::BenchError, http1::Connection, upstream::BODY};

/// Longest that one answer is waited for, and that anything is asked after all was due.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    /// Connections that share the requests out among them; one that broke is replaced.
    pub(crate) connections: u32,
    /// Requests per second, all connections together.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    /// Numbers of the tenants that take turns.
    pub(crate) tenants: Range<u32>,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Read {
    /// When it was due, since the beginning.
    pub(crate) due_ms: f64,
    /// From then until its answer was whole, or it had failed. If the connection was free, from
    /// when it was sent: that the generator's clock rings late is not the proxy's doing.
    pub(crate) took_ms: f64,
    pub(crate) failed: bool,
}

/// Everything that was asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Reads {
    pub(crate) reads: Vec<Read>,
    /// How the first one failed, if any did.
    pub(crate) first_failure: String,
}

/// Connects, and asks when told.
pub(super) async fn run(spec: Spec, cues: &mut Cues) -> Result<(), BenchError> {
    let connecting = |error| BenchError::io("connect to the target", error);
    let mut open = Vec::new();
    for number in 0..spec.connections {
        open.push(
            spec.target
                .connect(number, None)
                .await
                .map_err(connecting)?,
        );
    }
    if !cues.go().await? {
        return Ok(());
    }
    let heads = spec.tenants.clone();
    let heads = heads.map(|tenant| spec.target.head_of(tenant, "GET", QUERY, ""));
    let heads: Arc<Vec<Vec<u8>>> = Arc::new(heads.collect());
    let (spec, began) = (Arc::new(spec), Instant::now());
    let mut working = JoinSet::new();
    for (number, connection) in (0..).zip(open) {
        let client = Client {
            spec: spec.clone(),
            heads: heads.clone(),
            number,
            connection: Some(connection),
        };
        working.spawn(client.work_off(began));
    }
    // Each ends at the latest when all was due and `PATIENCE` has passed.
    let mut all = Reads::default();
    while let Some(Ok(part)) = working.join_next().await {
        all.reads.extend(part.reads);
        if all.first_failure.is_empty() {
            all.first_failure = part.first_failure;
        }
    }
    cues.tell(&all).await
}

#[derive(Debug)]
struct Client {
    spec: Arc<Spec>,
    /// By tenant.
    heads: Arc<Vec<Vec<u8>>>,
    number: u32,
    connection: Option<Connection>,
}

impl Client {
    async fn work_off(mut self, began: Instant) -> Reads {
        let mut part = Reads::default();
        let Spec {
            connections,
            rate,
            seconds,
            ..
        } = *self.spec;
        let end = began + Duration::from_secs(seconds.into()) + PATIENCE;
        for request in (self.number..rate * seconds).step_by(connections.max(1) as usize) {
            let after = Duration::from_secs(1) * request / rate.max(1);
            let due = began + after;
            let from = if Instant::now() < due {
                sleep_until(due).await;
                Instant::now()
            } else {
                due
            };
            let limit = end.min(Instant::now() + PATIENCE);
            let failure = match timeout_at(limit, self.ask(request)).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure),
                Err(_) => Some(format!(
                    "no answer in {:.1} s",
                    from.elapsed().as_secs_f64()
                )),
            };
            part.reads.push(Read {
                due_ms: after.as_secs_f64() * 1e3,
                took_ms: from.elapsed().as_secs_f64() * 1e3,
                failed: failure.is_some(),
            });
            if let Some(failure) = failure {
                self.connection = None;
                if part.first_failure.is_empty() {
                    part.first_failure = failure;
                }
            }
        }
        part
    }

    async fn ask(&mut self, request: u32) -> Result<(), String> {
        let tenant = usize::try_from(request).unwrap_or_default() % self.heads.len().max(1);
        let head = self.heads.get(tenant).map_or(&[][..], Vec::as_slice);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let opened = self.spec.target.connect(self.number, None).await;
                none.insert(opened.map_err(|error| error.to_string())?)
            }
        };
        let reply = connection.exchange(head).await;
        let reply = reply.map_err(|error| error.to_string())?;
        if reply.status == 200 && reply.body.len() == BODY {
            return Ok(());
        }
        let body = String::from_utf8_lossy(reply.body);
        Err(format!("status {}: {body}", reply.status))
    }
}
