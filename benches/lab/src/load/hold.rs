//! Many connections on which nothing happens: idle ones between two requests, or live tails.

use serde::{Deserialize, Serialize};

use super::{
    generator::Cues,
    target::{QUERY, Target},
};
use crate::{
    error::BenchError,
    http1::{Connection, Framing, HttpError, wire::Sessions},
    upstream::{BODY, TAIL},
};

/// What to hold, and how much of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    pub(crate) what: What,
    pub(crate) connections: u32,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    /// Keep-alive connections with one request behind them.
    Idle,
    /// Answers that have begun and say nothing more.
    Tails,
}

/// What was still there at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Idle connections on which another request was answered, or tails that had not ended.
    pub(crate) alive: u32,
    /// How the first other one was lost.
    pub(crate) first_failure: String,
}

/// Opens them all, one after the other, and looks after them when told.
pub(super) async fn run(spec: &Spec, cues: &mut Cues) -> Result<(), BenchError> {
    let failed = |source| BenchError::Http {
        whom: "the target, over a connection to hold",
        source,
    };
    let tls = spec.target.tls("http/1.1", Sessions::Fresh);
    let tls = tls.map_err(|error| failed(error.into()))?;
    let query = spec.target.head("GET", QUERY, "");
    let tail = spec.target.head("GET", &format!("{TAIL}?query=*"), "");
    let mut held = Vec::new();
    for number in 0..spec.connections {
        let opened = spec.target.connect(number, tls.as_ref()).await;
        let mut connection = opened.map_err(|error| failed(error.into()))?;
        let begun = match spec.what {
            What::Idle => ask(&mut connection, &query).await,
            What::Tails => begin(&mut connection, &tail).await,
        };
        begun.map_err(failed)?;
        held.push(connection);
    }
    if !cues.go().await? {
        return Ok(());
    }
    let mut seen = Held {
        alive: 0,
        first_failure: String::new(),
    };
    for connection in &mut held {
        let alive = match spec.what {
            What::Idle => ask(connection, &query).await,
            What::Tails => connection.expect_silence(),
        };
        match alive {
            Ok(()) => seen.alive += 1,
            Err(error) if seen.first_failure.is_empty() => seen.first_failure = error.to_string(),
            Err(_) => {}
        }
    }
    cues.tell(&seen).await
}

async fn ask(connection: &mut Connection, request: &[u8]) -> Result<(), HttpError> {
    let reply = connection.exchange(request).await?;
    if reply.status == 200 && reply.body.len() == BODY {
        return Ok(());
    }
    let body = String::from_utf8_lossy(reply.body);
    Err(HttpError::Head(format!("status {}: {body}", reply.status)))
}

async fn begin(connection: &mut Connection, request: &[u8]) -> Result<(), HttpError> {
    let begun = connection.begin(request).await?;
    if begun.status == 200 && begun.framing == Framing::Chunked {
        return Ok(());
    }
    Err(HttpError::Head(format!("{begun:?}")))
}
