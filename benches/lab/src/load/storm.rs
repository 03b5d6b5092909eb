//! Connections that come for one request each and go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{
    generator::Cues,
    target::{QUERY, Target},
};
use crate::{
    error::BenchError,
    http1::{
        HttpError,
        wire::{Sessions, Tls},
    },
    upstream::BODY,
};

/// How many connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    /// Connections that are measured, all clients together.
    pub(crate) connections: u32,
    /// Connections of each client before those.
    pub(crate) warm_up: u32,
    /// Clients, each with one connection at a time, and sessions of its own.
    pub(crate) clients: u32,
    /// Whether sessions are taken up again, where TLS is spoken.
    pub(crate) sessions: Sessions,
}

/// How it went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stormed {
    pub(crate) seconds: f64,
    /// Connections that took up an earlier TLS session.
    pub(crate) resumed: u32,
    pub(crate) failed: u32,
    /// How the first one failed, if any did.
    pub(crate) first_failure: String,
}

/// Warms up, and storms when told.
pub(super) async fn run(spec: &Spec, cues: &mut Cues) -> Result<(), BenchError> {
    let failed = |source| BenchError::Http {
        whom: "the target, over connections of one request each",
        source,
    };
    let head = spec.target.head("GET", QUERY, "Connection: close\r\n");
    let mut clients = Vec::new();
    for number in 0..spec.clients {
        let tls = spec.target.tls("http/1.1", spec.sessions);
        let client = Client {
            target: spec.target.clone(),
            tls: tls.map_err(|error| failed(error.into()))?,
            head: head.clone(),
        };
        for turn in 0..spec.warm_up {
            client.come_and_go(number + turn).await.map_err(failed)?;
        }
        clients.push(client);
    }
    if !cues.go().await? {
        return Ok(());
    }
    let began = Instant::now();
    let (next, total) = (Arc::new(AtomicU32::new(0)), spec.connections);
    let mut working = JoinSet::new();
    for client in clients {
        let next = next.clone();
        working.spawn(async move { client.work_off(&next, total).await });
    }
    let mut all = Stormed::default();
    while let Some(Ok(part)) = working.join_next().await {
        all.resumed += part.resumed;
        if all.failed == 0 {
            all.first_failure = part.first_failure;
        }
        all.failed += part.failed;
    }
    all.seconds = began.elapsed().as_secs_f64();
    cues.tell(&all).await
}

#[derive(Debug)]
struct Client {
    target: Target,
    tls: Option<Tls>,
    head: Vec<u8>,
}

impl Client {
    async fn work_off(&self, next: &AtomicU32, total: u32) -> Stormed {
        let mut part = Stormed::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return part;
            }
            match self.come_and_go(number).await {
                Ok(resumed) => part.resumed += u32::from(resumed),
                Err(error) => {
                    if part.failed == 0 {
                        part.first_failure = error.to_string();
                    }
                    part.failed += 1;
                }
            }
        }
    }

    /// Tells whether an earlier session was taken up again.
    async fn come_and_go(&self, number: u32) -> Result<bool, HttpError> {
        let mut connection = self.target.connect(number, self.tls.as_ref()).await?;
        let reply = connection.exchange(&self.head).await?;
        if reply.status != 200 || reply.body.len() != BODY {
            let body = String::from_utf8_lossy(reply.body);
            return Err(HttpError::Head(format!("status {}: {body}", reply.status)));
        }
        let resumed = connection.wire_mut().is_resumed();
        connection.expect_end().await?;
        Ok(resumed)
    }
}
