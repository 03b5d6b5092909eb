//! How long a change to a tenant takes to have effect: from sending it to the admin API until a
//! request has been answered by the new endpoint.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{driven::rest, probed::Probes};
use crate::{
    error::BenchError,
    http1::Connection,
    lab::Lab,
    load::{Identity, request},
    peer::{
        Kind, Setup,
        mirador::{self, Admin},
    },
    progress,
    stats::percentile,
    upstream::ENDPOINT,
};

/// The tenant that changes.
const TENANT: u32 = 0;
/// Between two looks through a router that does not know yet.
const PAUSE: Duration = Duration::from_millis(1);
/// A router may look for changes at such intervals, and a change that follows at once on the sight
/// of the one before would always meet the same moment of it. This part of a second more each time
/// spreads them evenly, as the golden ratio does.
const SPREAD: Duration = Duration::from_millis(618);
/// How long the router is left alone before.
const REST: Duration = Duration::from_secs(5);
/// For a change to be seen at all.
const LIMIT: Duration = Duration::from_mins(1);

/// How much.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Tenants known while one of them changes.
    pub(crate) tenants: u32,
    /// Changes seen through the router that made them.
    pub(crate) changes: u32,
    /// Changes seen through another router.
    pub(crate) remote_changes: u32,
}

impl Extent {
    pub(crate) const FULL: Self = Self {
        tenants: 10_000,
        changes: 200,
        remote_changes: 20,
    };
    pub(crate) const QUICK: Self = Self {
        tenants: 20,
        changes: 5,
        remote_changes: 2,
    };
}

/// What was seen through the router that made the changes, and through another one on the same
/// store.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Until the admin API had answered.
    pub(crate) answered: Times,
    pub(crate) here: Times,
    /// Requests that still reached the old endpoint after the admin API had answered.
    pub(crate) stale: u32,
    /// CPU time per change of the router that made it, in milliseconds: with the requests that
    /// look for its effect, and above what it uses in such a time when it is left alone.
    pub(crate) cpu_ms: Option<f64>,
    pub(crate) elsewhere: Times,
}

/// How long something took, in milliseconds, many times.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) count: usize,
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) worst: f64,
}

/// Moves a tenant to and fro.
pub(crate) async fn measure(lab: &Lab, extent: Extent) -> Result<Change, BenchError> {
    progress("changes: through the router that makes them");
    let setup = Setup::dedicated(lab, Kind::Mirador, extent.tenants.max(1));
    let store = mirador::fill(lab, &setup).await?;
    let probes = Probes::expect(lab, 2 * setup.count()).await?;
    let here = mirador::start_on(lab, &store, &setup).await?;
    let elsewhere = mirador::start_on(lab, &store, &setup).await?;
    probes.wait(lab).await?;
    let idle_ms_per_s = rest(&here, REST).await?;
    let mut admin = here.admin().await?;
    let mut client = Client::connect(here.address).await?;
    let mut remote = Client::connect(elsewhere.address).await?;
    let mut moves = Moves { lab, home: true };
    // Known to both, as tenants in use are.
    client.endpoint().await?;
    remote.endpoint().await?;

    let (mut answered, mut seen, mut stale) = (Vec::new(), Vec::new(), 0);
    let (began, before) = (Instant::now(), here.cpu_time()?);
    for _ in 0..extent.changes {
        let change = moves.next(&mut admin).await?;
        answered.push(change.began.elapsed());
        stale += change.wait_for(&mut client, Duration::ZERO).await?;
        seen.push(change.began.elapsed());
    }
    let idle_ms = idle_ms_per_s.unwrap_or_default() * began.elapsed().as_secs_f64();
    let cpu_ms = before.zip(here.cpu_time()?).map(|(before, after)| {
        let used_ms = after.since(&before).as_secs_f64() * 1e3;
        (used_ms - idle_ms) / f64::from(extent.changes.max(1))
    });
    progress("changes: through another router on the same store");
    let mut seen_elsewhere = Vec::new();
    for number in 0..extent.remote_changes {
        let moment = (SPREAD * number).subsec_nanos();
        sleep(Duration::from_nanos(moment.into())).await;
        let change = moves.next(&mut admin).await?;
        change.wait_for(&mut remote, PAUSE).await?;
        seen_elsewhere.push(change.began.elapsed());
    }
    here.stop().await?;
    elsewhere.stop().await?;
    Ok(Change {
        answered: Times::of(answered),
        here: Times::of(seen),
        stale,
        cpu_ms,
        elsewhere: Times::of(seen_elsewhere),
    })
}

/// The tenant's moves between two endpoints.
#[derive(Debug)]
struct Moves<'a> {
    lab: &'a Lab,
    home: bool,
}

/// A change that the admin API has taken.
#[derive(Debug)]
struct Changed {
    began: Instant,
    to: SocketAddr,
}

/// A client of the tenant on one keep-alive connection.
#[derive(Debug)]
struct Client {
    connection: Connection,
    request: String,
}

impl Moves<'_> {
    async fn next(&mut self, admin: &mut Admin<'_>) -> Result<Changed, BenchError> {
        self.home = !self.home;
        let to = if self.home {
            self.lab.home(Kind::Mirador, TENANT)
        } else {
            self.lab.moved(Kind::Mirador, TENANT)
        };
        let began = Instant::now();
        admin.put(TENANT, &[to]).await?;
        Ok(Changed { began, to })
    }
}

impl Changed {
    /// Asks until the new endpoint answers, and tells how often the old one did.
    async fn wait_for(&self, client: &mut Client, pause: Duration) -> Result<u32, BenchError> {
        let expected = self.to.ip().to_string();
        let mut stale = 0;
        while client.endpoint().await? != expected {
            stale += 1;
            if self.began.elapsed() > LIMIT {
                let what = "a change to have effect".into();
                return Err(BenchError::TooLate { what, limit: LIMIT });
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        Ok(stale)
    }
}

impl Client {
    async fn connect(router: SocketAddr) -> Result<Self, BenchError> {
        let opened = Connection::open(router).await;
        let connection = opened.map_err(|error| asking(error.into()))?;
        Ok(Self {
            connection,
            request: request(router, Identity::Header, TENANT),
        })
    }

    /// The address of the endpoint that answers now.
    async fn endpoint(&mut self) -> Result<String, BenchError> {
        let reply = self
            .connection
            .ask(self.request.as_bytes())
            .await
            .map_err(asking)?;
        match reply.header(ENDPOINT) {
            Some(endpoint) if reply.status == 200 => Ok(endpoint.to_owned()),
            _ => Err(BenchError::Refused {
                whom: WHOM,
                status: reply.status,
                body: String::from_utf8_lossy(reply.body).into_owned(),
            }),
        }
    }
}

const WHOM: &str = "a tenant's request through Mirador";

fn asking(source: crate::http1::HttpError) -> BenchError {
    BenchError::Http { whom: WHOM, source }
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let ms = |percent| {
            percentile(&times, percent)
                .unwrap_or_default()
                .as_secs_f64()
                * 1e3
        };
        Self {
            count: times.len(),
            median: ms(50),
            p99: ms(99),
            worst: ms(100),
        }
    }
}
