//! One long body, down or up, whose length and end are checked.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{generator::Cues, target::Target};
use crate::{
    error::BenchError,
    http1::{Connection, Framing, HttpError, wire::Sessions},
    upstream::{
        EXPORT, IMPORT,
        bulk::{BodyFraming, Bulk},
    },
};

/// What to move.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    pub(crate) direction: Direction,
    pub(crate) framing: BodyFraming,
    pub(crate) bytes: u64,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Down,
    Up,
}

/// How it went: all of it, or not at all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) seconds: f64,
}

/// Connects, moves the body when told, and tells how long it took.
pub(super) async fn run(spec: &Spec, cues: &mut Cues) -> Result<(), BenchError> {
    let failed = |source| BenchError::Http {
        whom: "the target, for a long body",
        source,
    };
    let tls = spec.target.tls("http/1.1", Sessions::Fresh);
    let tls = tls.map_err(|error| failed(error.into()))?;
    let opened = spec.target.connect(0, tls.as_ref()).await;
    let mut connection = opened.map_err(|error| failed(error.into()))?;
    if !cues.go().await? {
        return Ok(());
    }
    let began = Instant::now();
    let moved = match spec.direction {
        Direction::Down => down(spec, &mut connection).await,
        Direction::Up => up(spec, &mut connection).await,
    };
    let took = began.elapsed();
    moved.map_err(failed)?;
    cues.tell(&Moved {
        seconds: took.as_secs_f64(),
    })
    .await
}

async fn down(spec: &Spec, connection: &mut Connection) -> Result<(), HttpError> {
    let framing = match spec.framing {
        BodyFraming::Length => "length",
        BodyFraming::Chunked => "chunked",
    };
    let path = format!("{EXPORT}?bytes={}&framing={framing}", spec.bytes);
    let begun = connection
        .begin(&spec.target.head("GET", &path, ""))
        .await?;
    let expected = match spec.framing {
        BodyFraming::Length => Framing::Length(spec.bytes),
        BodyFraming::Chunked => Framing::Chunked,
    };
    if begun.status != 200 || begun.framing != expected {
        return Err(HttpError::Head(format!("{begun:?}")));
    }
    let counted = connection.drain(begun).await?;
    same(spec.bytes, counted)
}

async fn up(spec: &Spec, connection: &mut Connection) -> Result<(), HttpError> {
    let announced = spec.framing.header(spec.bytes);
    let more = format!("{announced}\r\nContent-Type: application/stream+json\r\n");
    let head = spec.target.head("POST", IMPORT, &more);
    let bulk = Bulk::of(spec.bytes, spec.framing)?;
    let wire = connection.wire_mut();
    wire.send(&head).await?;
    for piece in bulk.pieces() {
        wire.send(piece).await?;
    }
    let reply = connection.reply().await?;
    let text = String::from_utf8_lossy(reply.body).into_owned();
    let received = serde_json::from_slice::<Received>(reply.body);
    match received {
        Ok(Received { received }) if reply.status == 200 => same(spec.bytes, received),
        _ => Err(HttpError::Head(format!("status {}: {text}", reply.status))),
    }
}

/// What the upstream says of a body it took in.
#[derive(Debug, Deserialize)]
struct Received {
    received: u64,
}

fn same(sent: u64, arrived: u64) -> Result<(), HttpError> {
    if sent == arrived {
        return Ok(());
    }
    let what = format!("{arrived} of {sent} bytes arrived");
    Err(HttpError::Head(what))
}
