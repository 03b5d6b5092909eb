//! Which plots there are, and what each shows.

use super::{
    mib,
    svg::{Bar, Bars, Group, Lines, Series, Steps},
};
use crate::{
    peer::Kind,
    scenario::{
        Records,
        failover::{Failover, Outcome},
        rounds::Rounds,
        streaming::{Stream, Streaming},
        tenants::{Level, Seen},
    },
    stats::Spread,
};

/// The files, as the templates name them.
pub(super) const NAMES: [&str; 5] = [
    "cpu-per-request.svg",
    "cpu-by-tenants.svg",
    "memory-by-tenants.svg",
    "streaming.svg",
    "failover.svg",
];

/// Those of which there is something on record.
pub(super) fn all(records: &Records) -> Vec<(&'static str, String)> {
    let [cpu, cpu_by_tenants, memory_by_tenants, streams, fails] = NAMES;
    let mut plots = Vec::new();
    if let Some(record) = &records.throughput {
        let bars = bars(&record.figures, |seen| seen.cpu_us);
        let plot = Bars {
            title: "CPU time per small request, one tenant",
            axis: "µs per request (least, median and greatest of the rounds)",
            steps: Steps::Even,
            groups: vec![Group { name: "", bars }],
        };
        plots.push((cpu, plot.draw()));
    }
    if let Some(record) = &records.tenants {
        plots.push((cpu_by_tenants, by_tenants(&record.figures, CPU).draw()));
        plots.push((
            memory_by_tenants,
            by_tenants(&record.figures, MEMORY).draw(),
        ));
    }
    if let Some(record) = &records.streaming {
        plots.push((streams, streaming(&record.figures).draw()));
    }
    if let Some(record) = &records.failover {
        plots.push((fails, failover(&record.figures).draw()));
    }
    plots
}

/// What is shown by number of tenants: title, axis, and where it is found.
type Shown = (&'static str, &'static str, fn(&Seen) -> Option<f64>);

const CPU: Shown = (
    "CPU time per small request by number of tenants",
    "µs per request (least, median and greatest of the rounds)",
    |seen| seen.measured.cpu_us,
);
const MEMORY: Shown = (
    "Memory after small requests to all tenants",
    "resident MiB (least, median and greatest of the rounds)",
    |seen| seen.memory.as_ref().map(|held| mib(held.resident)),
);

fn by_tenants(levels: &[Level], (title, axis, of): Shown) -> Lines {
    let mut series: Vec<Series> = Vec::new();
    for level in levels {
        for rounds in &level.peers {
            let Some(seen) = rounds.spread(of) else {
                continue;
            };
            let point = (level.tenants, seen);
            match series.iter_mut().find(|own| own.peer == rounds.peer) {
                Some(own) => own.points.push(point),
                None => series.push(Series {
                    peer: rounds.peer,
                    points: vec![point],
                }),
            }
        }
    }
    Lines {
        title,
        across: "tenants, each with an upstream of its own",
        axis,
        series,
    }
}

fn streaming(seen: &Streaming) -> Bars {
    let group = |name, all: &[Rounds<Stream>]| Group {
        name,
        bars: bars(all, |seen| seen.cpu_s_per_gb),
    };
    Bars {
        title: "CPU time of long bodies",
        axis: "s per GB (least, median and greatest of the rounds)",
        steps: Steps::Even,
        groups: vec![
            group("down", &seen.down),
            group("down, chunked", &seen.down_chunked),
            group("up, chunked", &seen.up_chunked),
        ],
    }
}

fn failover(seen: &Failover) -> Bars {
    let group = |name, all: &[Rounds<Outcome>]| Group {
        name,
        bars: bars(all, |seen| Some(seen.worst_ms)),
    };
    Bars {
        title: "Worst answer when one of two endpoints fails",
        axis: "ms (least, median and greatest of the rounds), reads that failed left out",
        steps: Steps::Tenfold,
        groups: vec![
            group("killed", &seen.killed),
            group("hung for a while", &seen.hung),
        ],
    }
}

fn bars<T>(all: &[Rounds<T>], of: fn(&T) -> Option<f64>) -> Vec<Bar> {
    let shown = all.iter().filter(|rounds| rounds.peer != Kind::Direct);
    let bar = |rounds: &Rounds<T>| {
        let seen: Spread = rounds.spread(of)?;
        Some(Bar {
            peer: rounds.peer,
            seen,
        })
    };
    shown.filter_map(bar).collect()
}
