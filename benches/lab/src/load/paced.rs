//! Requests that come at their times whatever becomes of those before: what a failing endpoint
//! does to users who do not know of each other.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    generator::Cues,
    target::{QUERY, Target},
};
use crate::{error::BenchError, http1::Connection, upstream::BODY};

/// Longest that one answer is waited for.
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
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Read {
    /// When it was due, since the beginning.
    pub(crate) due_ms: f64,
    /// From then until its answer was whole, or it had failed.
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
    let (spec, began) = (Arc::new(spec), Instant::now());
    let mut working = JoinSet::new();
    for (number, connection) in (0..).zip(open) {
        let client = Client {
            spec: spec.clone(),
            number,
            connection: Some(connection),
        };
        working.spawn(client.work_off(began));
    }
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
    number: u32,
    connection: Option<Connection>,
}

impl Client {
    async fn work_off(mut self, began: Instant) -> Reads {
        let mut part = Reads::default();
        let head = self.spec.target.head("GET", QUERY, "");
        let Spec {
            connections,
            rate,
            seconds,
            ..
        } = *self.spec;
        for request in (self.number..rate * seconds).step_by(connections.max(1) as usize) {
            let after = Duration::from_secs(1) * request / rate.max(1);
            let due = began + after;
            sleep_until(due).await;
            let failure = match timeout(PATIENCE, self.ask(&head)).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure),
                Err(_) => Some(format!("no answer in {} s", PATIENCE.as_secs())),
            };
            part.reads.push(Read {
                due_ms: after.as_secs_f64() * 1e3,
                took_ms: due.elapsed().as_secs_f64() * 1e3,
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

    async fn ask(&mut self, head: &[u8]) -> Result<(), String> {
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
