//! The clients that people have, through the router: each of them works as it does without one, and
//! reaches its own tenant only.

mod promtool;
mod python;
mod vmagent;
mod vmalert;

use std::process::{Command, Output};

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{mirador::Mirador, tenant::Tenant, victoria::Victoria, within};

/// A router with two tenants that have a `VictoriaMetrics` each.
struct Metrics {
    mirador: Mirador,
    acme: Victoria,
    globex: Victoria,
}

impl Metrics {
    async fn start() -> Self {
        let (mirador, acme, globex) =
            tokio::join!(Mirador::start(), Victoria::metrics(), Victoria::metrics());
        for (id, backend) in [("acme", &acme), ("globex", &globex)] {
            mirador
                .apply(&Tenant::new(id).metrics(&[backend.url()]))
                .await;
        }
        Self {
            mirador,
            acme,
            globex,
        }
    }

    /// The same with one sample of `deals` in each: 3 of acme's, and 7 of globex'.
    async fn with_deals() -> Self {
        let world = Self::start().await;
        // Queries don't look at the latest half minute.
        let then = Timestamp::now().as_millisecond() - 60_000;
        let deals = |owner: &str, value: u8| format!("deals{{owner=\"{owner}\"}} {value} {then}\n");
        world.acme.import_metrics(&deals("acmemark", 3)).await;
        world.globex.import_metrics(&deals("globexmark", 7)).await;
        world
    }
}

/// Runs a client to its end.
async fn run(mut command: Command) -> Output {
    let running = tokio::task::spawn_blocking(move || command.output());
    within("a client to end", running)
        .await
        .expect("it ran")
        .expect("its output")
}

/// Timestamps and values of all series of a name, as the backend itself exports them.
async fn export(backend: &Victoria, name: &str) -> Vec<(i64, f64)> {
    backend.flush().await;
    let page = backend
        .fetch(&format!("/api/v1/export?match[]={name}"))
        .await;
    samples(&page)
}

/// Timestamps and values on a page of exported series.
fn samples(page: &str) -> Vec<(i64, f64)> {
    let lines = page.lines().map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    });
    lines
        .flat_map(|series| {
            let times = series["timestamps"].as_array().expect("times").clone();
            let values = series["values"].as_array().expect("values").clone();
            times.into_iter().zip(values)
        })
        .map(|(time, value)| {
            let time = time.as_i64().expect("a time in ms");
            (time, value.as_f64().expect("a number"))
        })
        .collect()
}
