//! How long a router takes from its start to its first answer, and what it holds, by the number of
//! tenants in its store.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    error::BenchError,
    http1::Connection,
    lab::{Lab, START_LIMIT},
    load::request,
    peer::{
        Kind, Peer, Setup, Volume,
        mirador::{self, MOST_ASKED, Store},
    },
    procfs::Memory,
    progress,
};

/// Between two attempts to be answered.
const PAUSE: Duration = Duration::from_millis(1);
/// This share of the tenants further each time, as the golden ratio spreads evenly.
const SPREAD: u64 = 618;
/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Numbers of tenants in the store; the figures tell them.
    #[serde(skip)]
    pub(crate) tenants: &'static [u32],
    /// Starts with each of them.
    pub(crate) starts: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        tenants: &[1_000, 10_000, 100_000],
        starts: 7,
    };
    pub(crate) const QUICK: Self = Self {
        tenants: &[10, 100],
        starts: 2,
    };
}

/// What was seen with one number of tenants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Beginning {
    pub(crate) tenants: u32,
    /// How long a new router took to write them all into a new store and be ready.
    pub(crate) filling: Duration,
    /// From the start until some tenant's first request was answered, in milliseconds.
    pub(crate) first_answer_ms: Vec<f64>,
    /// At that moment, by start.
    pub(crate) at_first: Vec<Memory>,
    /// Tenants that were asked once each after the last start.
    pub(crate) active: u32,
    /// When they had been.
    pub(crate) once_active: Memory,
}

pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Vec<Beginning>, BenchError> {
    let mut all = Vec::new();
    for &tenants in extent.tenants {
        progress(&format!("start: {tenants} tenants"));
        all.push(begin(lab, extent, tenants).await?);
    }
    Ok(all)
}

async fn begin(lab: &Lab, extent: Extent, tenants: u32) -> Result<Beginning, BenchError> {
    let setup = Setup::dedicated(lab, Kind::Mirador, tenants);
    let store = mirador::fill(lab, &setup).await?;
    let (mut first_answer_ms, mut at_first) = (Vec::new(), Vec::new());
    let mut last = None;
    for start in 0..extent.starts {
        if let Some(earlier) = last.take() {
            Peer::stop(earlier).await?;
        }
        // A share of the tenants, so within their number.
        let any = u64::from(tenants) * (SPREAD * u64::from(start) % 1_000) / 1_000;
        let any = u32::try_from(any).unwrap_or_default();
        let (router, took) = first_answer(lab, &store, &setup, any).await?;
        first_answer_ms.push(took.as_secs_f64() * 1e3);
        at_first.extend(router.memory()?);
        last = Some(router);
    }
    let mut router = last.ok_or(BenchError::Unexpected {
        what: "the number of starts",
        text: extent.starts.to_string(),
    })?;
    let active = tenants.min(MOST_ASKED);
    let each_once = Volume {
        connections: active.min(64),
        requests: active,
        warm_up: 0,
        tenants: active,
    };
    router.measure(lab, each_once).await?;
    let once_active = router.memory()?.ok_or_else(|| BenchError::Unexpected {
        what: "whose memory to look at",
        text: router.kind.name().into(),
    })?;
    router.stop().await?;
    Ok(Beginning {
        tenants,
        filling: store.filling,
        first_answer_ms,
        at_first,
        active,
        once_active,
    })
}

/// Starts a router and asks it for a tenant until that is answered.
async fn first_answer(
    lab: &Lab,
    store: &Store,
    setup: &Setup,
    tenant: u32,
) -> Result<(Peer, Duration), BenchError> {
    let began = Instant::now();
    let mut router = mirador::launch_on(lab, store, setup)?;
    let request = request(router.address, router.kind.identity(), tenant);
    loop {
        let took = began.elapsed();
        if took > START_LIMIT {
            let what = "a router's first answer".into();
            let limit = START_LIMIT;
            return Err(BenchError::TooLate { what, limit });
        }
        router.expect_running()?;
        if is_answered(&router, request.as_bytes()).await {
            return Ok((router, began.elapsed()));
        }
        sleep(PAUSE).await;
    }
}

/// Not being listened to yet and being told to wait are the same here.
async fn is_answered(router: &Peer, request: &[u8]) -> bool {
    let Ok(mut connection) = Connection::open(router.address).await else {
        return false;
    };
    let reply = connection.ask(request).await;
    reply.is_ok_and(|reply| reply.status == 200)
}
