//! The generator's process as it is played for a small load: a closed loop, in which each connection
//! has one request at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::Barrier,
    task::JoinSet,
    time::sleep,
};

use super::{LoadResult, LoadSpec, READY, target::Target};
use crate::{
    error::BenchError,
    http1::{Connection, HttpError, wire::Sessions},
    process::end_with_parent,
    say,
    stats::percentile,
    upstream::BODY,
};

/// Longest that a load may go without beginning a request or ending. However many requests there are,
/// none takes so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Plays the generator: connects, warms up, says that it is ready, and goes when told.
pub(crate) async fn run(spec: &LoadSpec) -> Result<(), BenchError> {
    end_with_parent()?;
    let plan = Arc::new(Plan {
        requests: spec.requests(),
        total: spec.requests,
        next: AtomicU32::new(0),
    });
    let connections = usize::try_from(spec.connections).unwrap_or(usize::MAX);
    let start = Arc::new(Barrier::new(connections + 1));
    let mut clients = JoinSet::new();
    for number in 0..spec.connections {
        let connecting = connect(spec, &plan, number).await;
        let mut connection = connecting.map_err(|source| BenchError::Http {
            whom: "the target, to warm up",
            source,
        })?;
        let (plan, start) = (plan.clone(), start.clone());
        clients.spawn(async move {
            start.wait().await;
            // Kept open until all are done: closing is not measured.
            (plan.work_off(&mut connection).await, connection)
        });
    }
    say(&format!("{READY}\n"))?;
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    let doing = |error| BenchError::io("listen to the director", error);
    if told.next_line().await.map_err(doing)?.is_none() {
        return Ok(());
    }
    let began = Instant::now();
    start.wait().await;
    let mut tally = Tally::default();
    let mut open = Vec::new();
    let all_done = async {
        while let Some(Ok((part, connection))) = clients.join_next().await {
            tally.add(part);
            open.push(connection);
        }
    };
    tokio::select! {
        () = all_done => {}
        stuck = plan.watch() => return Err(stuck),
    }
    let result = tally.result(spec.requests, began.elapsed());
    let line = serde_json::to_string(&result)
        .map_err(|error| BenchError::io("tell the result", error.into()))?;
    say(&format!("{line}\n"))?;
    // The director measures the proxy before it lets go of us.
    told.next_line().await.map_err(doing)?;
    Ok(())
}

/// What the connections share.
#[derive(Debug)]
struct Plan {
    /// By tenant.
    requests: Vec<Vec<u8>>,
    total: u32,
    next: AtomicU32,
}

/// What was measured on some connections.
#[derive(Debug, Default)]
struct Tally {
    nanoseconds: Vec<u64>,
    failed: u32,
    first_failure: Option<String>,
}

async fn connect(spec: &LoadSpec, plan: &Plan, number: u32) -> Result<Connection, HttpError> {
    let target = Target {
        address: spec.target,
        identity: spec.identity,
        certificate: spec.certificate.clone(),
    };
    let tls = target.tls("http/1.1", Sessions::Fresh)?;
    let mut connection = target.connect(number, tls.as_ref()).await?;
    for round in 0..spec.warm_up {
        if let Some(failure) = ask(&mut connection, plan.request(number + round)).await {
            return Err(HttpError::Head(failure));
        }
    }
    Ok(connection)
}

impl Plan {
    fn request(&self, number: u32) -> &[u8] {
        let tenants = self.requests.len().max(1);
        let tenant = usize::try_from(number).unwrap_or_default() % tenants;
        self.requests.get(tenant).map_or(&[], Vec::as_slice)
    }

    /// Ends when for [`PATIENCE`] no request was begun: those under way get no answer.
    async fn watch(&self) -> BenchError {
        let mut seen = 0;
        loop {
            sleep(PATIENCE).await;
            let begun = self.next.load(Ordering::Relaxed);
            if begun == seen {
                let (begun, total) = (begun.min(self.total), self.total);
                let what = format!("an answer, with {begun} of {total} requests begun");
                return BenchError::TooLate {
                    what,
                    limit: PATIENCE,
                };
            }
            seen = begun;
        }
    }

    /// Sends what is still to be sent. A connection that failed sends no more.
    async fn work_off(&self, connection: &mut Connection) -> Tally {
        let mut tally = Tally::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.total {
                return tally;
            }
            let began = Instant::now();
            let failure = ask(connection, self.request(number)).await;
            tally
                .nanoseconds
                .push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
            if failure.is_some() {
                tally.failed += 1;
                tally.first_failure = failure;
                return tally;
            }
        }
    }
}

/// Sends one request, and tells how it failed if it did.
async fn ask(connection: &mut Connection, request: &[u8]) -> Option<String> {
    match connection.exchange(request).await {
        Ok(reply) if reply.status == 200 && reply.body.len() == BODY => None,
        Ok(reply) => {
            let body = String::from_utf8_lossy(reply.body);
            Some(format!(
                "status {}, {} bytes: {body}",
                reply.status,
                reply.body.len()
            ))
        }
        Err(error) => Some(error.to_string()),
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.nanoseconds.extend(other.nanoseconds);
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    fn result(mut self, asked: u32, took: Duration) -> LoadResult {
        self.nanoseconds.sort_unstable();
        let us = |percent| {
            let value = percentile(&self.nanoseconds, percent).unwrap_or_default();
            Duration::from_nanos(value).as_secs_f64() * 1e6
        };
        LoadResult {
            requests: asked,
            seconds: took.as_secs_f64(),
            p50_us: us(50),
            p99_us: us(99),
            failed: self.failed,
            first_failure: self.first_failure.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_load_may_last_but_not_stand_still() {
        let plan = Plan {
            requests: Vec::new(),
            total: 5,
            next: AtomicU32::new(0),
        };
        let progress = async {
            for _ in 0..4 {
                sleep(PATIENCE * 9 / 10).await;
                plan.next.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending::<()>().await;
        };
        let began = tokio::time::Instant::now();
        let stuck = tokio::select! {
            stuck = plan.watch() => stuck,
            () = progress => unreachable!("it never ends"),
        };
        assert!(began.elapsed() > PATIENCE * 4);
        assert_eq!(
            stuck.to_string(),
            "waited 60 s in vain for an answer, with 4 of 5 requests begun"
        );
    }
}
