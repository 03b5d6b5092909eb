//! HTTP/2: several requests at a time on each of a few connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use h2::client::SendRequest;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};

use super::{generator::Cues, target::Target};
use crate::{
    error::BenchError,
    http1::wire::{Sessions, Wire, connect_from},
    upstream::BODY,
};

/// How many of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    pub(crate) connections: u32,
    /// Requests at a time on each connection.
    pub(crate) streams: u32,
    /// Requests that are measured, all together.
    pub(crate) requests: u32,
    /// Requests of each stream's place before those.
    pub(crate) warm_up: u32,
}

/// How it went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Multiplexed {
    pub(crate) seconds: f64,
    pub(crate) failed: u32,
    /// How the first one failed, if any did.
    pub(crate) first_failure: String,
}

/// Why a request got no usable answer.
#[derive(Debug, Error)]
enum StreamError {
    #[error(transparent)]
    H2(#[from] h2::Error),
    #[error("can't make the request: {0}")]
    Request(#[from] http::Error),
    #[error("status {status} with {length} bytes")]
    Answer { status: u16, length: usize },
}

/// Connects, warms up, and goes when told.
pub(super) async fn run(spec: &Spec, cues: &mut Cues) -> Result<(), BenchError> {
    let mut clients = Vec::new();
    for number in 0..spec.connections {
        let sender = connect(&spec.target, number).await?;
        for _ in 0..spec.streams {
            clients.push(Client {
                target: spec.target.clone(),
                sender: sender.clone(),
            });
        }
    }
    let warm_up = spec.warm_up.saturating_mul(spec.connections * spec.streams);
    let (warm, clients) = work_off(clients, warm_up).await;
    if warm.failed > 0 {
        return Err(BenchError::LoadFailed {
            whom: "the target, to warm up over HTTP/2".into(),
            failed: warm.failed,
            asked: warm_up,
            first: warm.first_failure,
        });
    }
    if !cues.go().await? {
        return Ok(());
    }
    let began = Instant::now();
    let (mut all, _open) = work_off(clients, spec.requests).await;
    all.seconds = began.elapsed().as_secs_f64();
    cues.tell(&all).await
}

/// A place for one request at a time.
#[derive(Debug)]
struct Client {
    target: Target,
    sender: SendRequest<Bytes>,
}

async fn connect(target: &Target, number: u32) -> Result<SendRequest<Bytes>, BenchError> {
    let connecting = |error| BenchError::io("connect for HTTP/2", error);
    let tls = target.tls("h2", Sessions::Fresh).map_err(connecting)?;
    let stream = connect_from(number, target.address).await;
    let wire = Wire::open(stream.map_err(connecting)?, tls.as_ref()).await;
    let shaking = |error: h2::Error| BenchError::io("begin HTTP/2", std::io::Error::other(error));
    match wire.map_err(connecting)? {
        Wire::Clear(stream) => begin(stream).await.map_err(shaking),
        Wire::Tls(stream) => {
            // Negotiated, as a peer that knows only HTTP/1.1 would otherwise be blamed for more.
            let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            if protocol.as_deref() != Some(b"h2") {
                return Err(BenchError::Unexpected {
                    what: "the protocol agreed on in TLS",
                    text: format!("{protocol:?}"),
                });
            }
            begin(*stream).await.map_err(shaking)
        }
    }
}

/// The connection is driven by a task that ends with it; requests tell how.
async fn begin(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Bytes>, h2::Error> {
    let (sender, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// Sends that many requests from all places, and gives the places back.
async fn work_off(clients: Vec<Client>, total: u32) -> (Multiplexed, Vec<Client>) {
    let next = Arc::new(AtomicU32::new(0));
    let mut working = JoinSet::new();
    for mut client in clients {
        let next = next.clone();
        working.spawn(async move {
            while next.fetch_add(1, Ordering::Relaxed) < total {
                if let Err(error) = client.ask().await {
                    return (Some(error.to_string()), client);
                }
            }
            (None, client)
        });
    }
    let (mut all, mut clients) = (Multiplexed::default(), Vec::new());
    while let Some(Ok((failure, client))) = working.join_next().await {
        if let Some(failure) = failure {
            if all.failed == 0 {
                all.first_failure = failure;
            }
            all.failed += 1;
        }
        clients.push(client);
    }
    (all, clients)
}

impl Client {
    async fn ask(&mut self) -> Result<(), StreamError> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, _) = sender.send_request(self.target.query()?, true)?;
        let (head, mut body) = response.await?.into_parts();
        let (status, mut length) = (head.status.as_u16(), 0);
        while let Some(data) = body.data().await {
            let data = data?;
            length += data.len();
            body.flow_control().release_capacity(data.len())?;
        }
        if status == 200 && length == BODY {
            return Ok(());
        }
        Err(StreamError::Answer { status, length })
    }
}
