//! Runs scenarios and makes figures of what was counted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    baseline::Baseline,
    client::Client,
    compiler,
    dump::Dump,
    error::CountError,
    pace::Pace,
    progress,
    router::{Router, Stage},
    scenario::{Scenario, Tenants},
    upstream::Upstream,
};

/// After an answer, until the router has done with the request.
const SETTLE: Duration = Duration::from_millis(50);

/// What one request costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    /// Instructions executed in user mode.
    pub(crate) instructions: f64,
    /// Calls that ask the allocator for memory.
    pub(crate) allocations: f64,
    /// System calls.
    pub(crate) system_calls: f64,
    /// Readings of the clock, which take some 25 ns each but neither system calls nor, here,
    /// instructions.
    pub(crate) clock_readings: f64,
}

/// What was counted.
#[derive(Debug)]
pub(crate) struct Counts {
    compiler: String,
    dumps: BTreeMap<Scenario, Dump>,
}

impl Counts {
    /// Runs each of the scenarios. Callgrind's files are left in `keep`.
    pub(crate) async fn take(
        scenarios: &[Scenario],
        keep: Option<&Path>,
    ) -> Result<Self, CountError> {
        let upstream = Upstream::start().await?;
        let stage = Stage::set(upstream.address()).await?;
        let mut dumps = BTreeMap::new();
        for group in of_one_router(scenarios) {
            progress("starting the router under callgrind");
            let mut router = stage.start(group[0]).await?;
            find_worker(&mut router, upstream.pace()).await?;
            for scenario in group {
                progress(&format!("counting {scenario}"));
                dumps.insert(
                    scenario,
                    count(&mut router, scenario, upstream.pace(), keep).await?,
                );
            }
            router.stop().await?;
        }
        let compiler = compiler::of(stage.program())?;
        Ok(Self { compiler, dumps })
    }

    /// All that was counted in a scenario, if it was run.
    pub(crate) fn dump(&self, scenario: Scenario) -> Option<&Dump> {
        self.dumps.get(&scenario)
    }

    /// What may be put on record.
    pub(crate) fn baseline(&self) -> Baseline {
        let figures = self.dumps.iter().map(|(scenario, dump)| {
            let figures = Figures::of(dump, scenario.requests());
            (scenario.to_string(), figures)
        });
        Baseline {
            compiler: self.compiler.clone(),
            scenarios: figures.collect(),
        }
    }
}

/// In groups that one router can be asked, one after the other. None is empty.
fn of_one_router(scenarios: &[Scenario]) -> Vec<Vec<Scenario>> {
    let all = scenarios.iter().copied();
    let (together, alone): (Vec<_>, Vec<_>) =
        all.partition(|scenario| scenario.tenants == Tenants::Hit);
    let mut groups = vec![together];
    groups.extend(alone.into_iter().map(|scenario| vec![scenario]));
    groups.retain(|group| !group.is_empty());
    groups
}

/// Has the worker known from the other threads by what it does when nobody else has much to do.
async fn find_worker(router: &mut Router, pace: &Pace) -> Result<(), CountError> {
    router.callgrind().begin().await?;
    let dump = count(router, Scenario::PLAINEST, pace, None).await?;
    // Nothing of what is below is ever zero, unless the names it is known by have changed.
    let figures = Figures::of(&dump, Scenario::PLAINEST.requests());
    let seen = [
        figures.instructions,
        figures.allocations,
        figures.system_calls,
        figures.clock_readings,
    ];
    if seen.contains(&0.0) {
        return Err(CountError::Unexpected {
            what: "what callgrind counted",
            text: format!("{figures:?}"),
        });
    }
    Ok(())
}

async fn count(
    router: &mut Router,
    scenario: Scenario,
    pace: &Pace,
    keep: Option<&Path>,
) -> Result<Dump, CountError> {
    let mut client = Client::connect(router.address(), scenario, pace.clone()).await?;
    client
        .ask(router.tenants(scenario.tenants, scenario.warm_up()))
        .await?;
    sleep(SETTLE).await;
    router.callgrind().zero().await?;
    client
        .ask(router.tenants(scenario.tenants, scenario.requests()))
        .await?;
    sleep(SETTLE).await;
    router
        .callgrind()
        .dump(keep.map(|folder| folder.join(format!("{scenario}.callgrind"))))
        .await
}

impl Figures {
    pub(crate) fn of(dump: &Dump, requests: u32) -> Self {
        // Far below what a float holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let each = |count: u64| (count as f64 / f64::from(requests) * 100.0).round() / 100.0;
        Self {
            instructions: each(dump.instructions()).round(),
            allocations: each(dump.allocations()),
            system_calls: each(dump.system_calls()),
            clock_readings: each(dump.clock_readings()),
        }
    }
}
