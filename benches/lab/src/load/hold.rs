//! Many connections on which nothing happens: idle ones between two requests, or live tails.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{
    generator::Cues,
    target::{QUERY, Target},
};
use crate::{
    error::BenchError,
    http1::{
        Connection, Framing, HttpError,
        wire::{Sessions, Tls},
    },
    upstream::{BODY, RECORD, TAIL},
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

/// Opens them all, and looks after them when told.
pub(super) async fn run(spec: &Spec, cues: &mut Cues) -> Result<(), BenchError> {
    let failed = |source| BenchError::Http {
        whom: "the target, over a connection to hold",
        source,
    };
    let opener = Arc::new(Opener::of(spec).map_err(|error| failed(error.into()))?);
    let mut held = Vec::new();
    let mut opening = JoinSet::new();
    for number in 0..spec.connections {
        if opening.len() >= spec.what.at_one_time() {
            held.extend(opened(&mut opening).await.map_err(failed)?);
        }
        let opener = opener.clone();
        opening.spawn(async move { opener.open(number).await });
    }
    while let Some(connection) = opened(&mut opening).await.map_err(failed)? {
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
        match opener.look_after(connection).await {
            Ok(()) => seen.alive += 1,
            Err(error) if seen.first_failure.is_empty() => seen.first_failure = error.to_string(),
            Err(_) => {}
        }
    }
    cues.tell(&seen).await
}

type Opened = Result<Connection, HttpError>;

async fn opened(opening: &mut JoinSet<Opened>) -> Result<Option<Connection>, HttpError> {
    let next = opening.join_next().await.transpose();
    next.map_err(std::io::Error::other)?.transpose()
}

impl What {
    /// How many are opened at one time. One by one, idle connections need one to the upstream; but
    /// some proxies keep a tail's head back for a while in case more comes.
    const fn at_one_time(self) -> usize {
        match self {
            Self::Idle => 1,
            Self::Tails => 64,
        }
    }
}

#[derive(Debug)]
struct Opener {
    target: Target,
    tls: Option<Tls>,
    what: What,
    request: Vec<u8>,
}

impl Opener {
    fn of(spec: &Spec) -> std::io::Result<Self> {
        let path = match spec.what {
            What::Idle => QUERY.into(),
            What::Tails => format!("{TAIL}?query=*"),
        };
        Ok(Self {
            target: spec.target.clone(),
            tls: spec.target.tls("http/1.1", Sessions::Fresh)?,
            what: spec.what,
            request: spec.target.head("GET", &path, ""),
        })
    }

    async fn open(&self, number: u32) -> Opened {
        let mut connection = self.target.connect(number, self.tls.as_ref()).await?;
        match self.what {
            What::Idle => ask(&mut connection, &self.request).await?,
            What::Tails => begin(&mut connection, &self.request).await?,
        }
        Ok(connection)
    }

    async fn look_after(&self, connection: &mut Connection) -> Result<(), HttpError> {
        match self.what {
            What::Idle => ask(connection, &self.request).await,
            What::Tails => connection.expect_silence(),
        }
    }
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
        return connection.first_of_body(RECORD.len() as u64).await;
    }
    Err(HttpError::Head(format!("{begun:?}")))
}
