//! Has a router do what it does most of the time, alone, and measures nothing: for one that records
//! what it does, so that it can be built by that (`scripts/release`).

use serde::Deserialize;

use crate::{
    error::BenchError,
    http1::wire::Sessions,
    lab::Lab,
    load::{
        generator::Job,
        multiplex, storm,
        transfer::{self, Direction},
    },
    peer::{Kind, Peer, Setup, Volume},
    progress,
    scenario::{
        driven::{Driven, expect_none},
        tls,
    },
    upstream::bulk::BodyFraming,
};

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// Tenants that take turns, so that many requests are the first of theirs.
    pub(crate) tenants: u32,
    /// Small requests of a kind.
    pub(crate) requests: u32,
    /// Connections for one request each.
    pub(crate) connections: u32,
    /// Bytes of a long body.
    pub(crate) bytes: u64,
}

/// How many times more is asked over HTTP/1.1 in clear than by any other way: it is how Grafana asks
/// within a cluster, and what is done for it is to be seen as what is done most.
const PLAIN: u32 = 5;

/// So many that what is rare is seen as that.
const AMOUNT: Amount = Amount {
    tenants: 5_000,
    requests: 100_000,
    connections: 4_000,
    bytes: 256 << 20,
};

/// What a generator tells in the end, where anything can fail by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Outcome {
    failed: u32,
    first_failure: String,
}

/// Everything in clear, and all but long bodies inside TLS.
pub(crate) async fn train(lab: &Lab) -> Result<(), BenchError> {
    progress("in clear");
    let setup = Setup::dedicated(lab, Kind::Mirador, AMOUNT.tenants);
    let mut router = Peer::start(lab, Kind::Mirador, &setup).await?;
    for _ in 1..PLAIN {
        plain_requests(lab, &mut router, AMOUNT).await?;
    }
    small_requests(lab, &mut router, AMOUNT).await?;
    long_bodies(lab, &mut router, AMOUNT).await?;
    // What it records it writes when it ends.
    router.end().await?;

    progress("inside TLS");
    let mut setup = Setup::dedicated(lab, Kind::Mirador, 1);
    setup.tls = Some(tls::certificate(lab)?);
    let one = Amount {
        tenants: 1,
        ..AMOUNT
    };
    let mut router = Peer::start(lab, Kind::Mirador, &setup).await?;
    small_requests(lab, &mut router, one).await?;
    router.end().await
}

/// Of many tenants and of one, over HTTP/1.1.
async fn plain_requests(lab: &Lab, router: &mut Peer, amount: Amount) -> Result<(), BenchError> {
    for tenants in [amount.tenants, 1] {
        let volume = Volume {
            connections: 64.min(amount.requests),
            requests: amount.requests,
            warm_up: 0,
            tenants,
        };
        router.measure(lab, volume).await?;
    }
    Ok(())
}

/// Of many tenants and of one, over both versions of HTTP, and over connections that stay and that
/// don't.
pub(crate) async fn small_requests(
    lab: &Lab,
    router: &mut Peer,
    amount: Amount,
) -> Result<(), BenchError> {
    let requests = amount.requests;
    plain_requests(lab, router, amount).await?;
    let many_at_a_time = Job::Multiplex(multiplex::Spec {
        target: router.target(),
        connections: 8,
        streams: 16,
        requests,
        warm_up: 0,
    });
    let short_connections = Job::Storm(storm::Spec {
        target: router.target(),
        connections: amount.connections,
        warm_up: 0,
        clients: 8,
        sessions: Sessions::Resumed,
    });
    work(lab, router, &many_at_a_time, requests).await?;
    work(lab, router, &short_connections, amount.connections).await
}

/// In both directions, with a length and in chunks.
pub(crate) async fn long_bodies(
    lab: &Lab,
    router: &mut Peer,
    amount: Amount,
) -> Result<(), BenchError> {
    for (direction, framing) in [
        (Direction::Down, BodyFraming::Length),
        (Direction::Down, BodyFraming::Chunked),
        (Direction::Up, BodyFraming::Chunked),
    ] {
        let job = Job::Transfer(transfer::Spec {
            target: router.target(),
            direction,
            framing,
            bytes: amount.bytes,
        });
        work(lab, router, &job, 1).await?;
    }
    Ok(())
}

/// Has it done, without a failure among so many.
async fn work(lab: &Lab, router: &mut Peer, job: &Job, number: u32) -> Result<(), BenchError> {
    let outcome = Driven::<Outcome>::by(job, router, lab).await?.seen;
    expect_none(router, outcome.failed, number, &outcome.first_failure)
}
