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

/// Tenants that take turns, so that many requests are the first of theirs.
const TENANTS: u32 = 5_000;
/// Small requests of a kind. As many as this, for what is rare to be seen as that.
const REQUESTS: u32 = 100_000;
/// Connections for one request each.
const CONNECTIONS: u32 = 4_000;
/// Bytes of a long body.
const LONG: u64 = 256 << 20;

/// What a generator tells in the end, where anything can fail by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Outcome {
    failed: u32,
    first_failure: String,
}

/// Requests in clear and inside TLS, over both versions of HTTP, of one tenant and of many, over
/// connections that stay and that don't, and long bodies.
pub(crate) async fn train(lab: &Lab) -> Result<(), BenchError> {
    progress("in clear");
    let setup = Setup::dedicated(lab, Kind::Mirador, TENANTS);
    let mut router = Peer::start(lab, Kind::Mirador, &setup).await?;
    for tenants in [TENANTS, 1] {
        router.measure(lab, small(tenants)).await?;
    }
    for job in [many_at_a_time(&router), short_connections(&router)] {
        work(lab, &mut router, &job).await?;
    }
    for (direction, framing) in [
        (Direction::Down, BodyFraming::Length),
        (Direction::Down, BodyFraming::Chunked),
        (Direction::Up, BodyFraming::Chunked),
    ] {
        let job = Job::Transfer(transfer::Spec {
            target: router.target(),
            direction,
            framing,
            bytes: LONG,
        });
        work(lab, &mut router, &job).await?;
    }
    router.stop().await?;

    progress("inside TLS");
    let mut setup = Setup::dedicated(lab, Kind::Mirador, 1);
    setup.tls = Some(tls::certificate(lab)?);
    let mut router = Peer::start(lab, Kind::Mirador, &setup).await?;
    router.measure(lab, small(1)).await?;
    for job in [many_at_a_time(&router), short_connections(&router)] {
        work(lab, &mut router, &job).await?;
    }
    router.stop().await
}

const fn small(tenants: u32) -> Volume {
    Volume {
        connections: 64,
        requests: REQUESTS,
        warm_up: 50,
        tenants,
    }
}

fn many_at_a_time(router: &Peer) -> Job {
    Job::Multiplex(multiplex::Spec {
        target: router.target(),
        connections: 8,
        streams: 16,
        requests: REQUESTS,
        warm_up: 50,
    })
}

fn short_connections(router: &Peer) -> Job {
    Job::Storm(storm::Spec {
        target: router.target(),
        connections: CONNECTIONS,
        warm_up: 20,
        clients: 8,
        sessions: Sessions::Resumed,
    })
}

/// Has it done without a failure.
async fn work(lab: &Lab, router: &mut Peer, job: &Job) -> Result<(), BenchError> {
    let outcome = Driven::<Outcome>::by(job, router, lab).await?.seen;
    expect_none(router, outcome.failed, REQUESTS, &outcome.first_failure)
}
