//! Turns what is on record into `docs/performance.md` and its plots: the words stand in templates,
//! tables, plots and the verdicts on the goals are made here. Draws no other conclusions.

mod connections;
mod failover;
mod goals;
mod origin;
mod plots;
mod scenarios;
mod small;
mod start;
mod streams;
mod svg;
mod table;
mod tenants;

use self::{origin::Origin, table::Table};
use crate::{
    error::BenchError,
    peer::{
        Kind,
        mirador::{DEFAULT_LIMITS, MOST_ASKED},
    },
    record::Record,
    scenario::{
        Records, beyond, bystanders, change, latency, memory, reload, rounds::Rounds, soak,
        tenants as levels, throughput,
    },
    stats::Spread,
    upstream::BODY,
};

const TEMPLATE: &str = include_str!("report/performance.md");
const NOT_MEASURED: &str = "*Not measured yet.*\n";
/// The peer that others are compared with.
const OURS: Kind = Kind::Mirador;
const BASE: Kind = Kind::Direct;

/// The whole document, and the plots by their names.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) plots: Vec<(&'static str, String)>,
}

/// Of all that is on record; `None` of nothing.
pub(crate) fn render(records: &Records) -> Result<Option<Report>, BenchError> {
    let Some(usual) = Origin::of_most(records) else {
        return Ok(None);
    };
    let plots = plots::all(records);
    let mut fields = vec![
        ("setting", usual.setting()),
        ("goals", goals::table(records)),
        ("body", BODY.to_string()),
        ("default_idle", grouped(DEFAULT_LIMITS.max_idle)),
        ("default_tenants", grouped(DEFAULT_LIMITS.max_tenants)),
        ("scenarios", scenarios::render(&usual, records)?),
    ];
    fields.extend(tables(&usual, records));
    fields.extend(numbers(records));
    let mut text = fill(TEMPLATE, &fields)?;
    for plot in plots::NAMES {
        text = with_plot(&text, plot, &plots);
    }
    Ok(Some(Report { text, plots }))
}

fn tables(usual: &Origin, records: &Records) -> Vec<(&'static str, String)> {
    let throughput = records.throughput.as_ref();
    let latency = records.latency.as_ref();
    let reload = records.reload.as_ref();
    let of_tenants = section(usual, records.tenants.as_ref(), |all| tenants::tenants(all));
    vec![
        (
            "throughput",
            section(usual, throughput, |all| small::throughput(all)),
        ),
        ("latency", section(usual, latency, small::lone)),
        ("paced", section(usual, latency, small::paced)),
        ("tenants", of_tenants),
        ("reload", section(usual, reload, tenants::reload)),
        ("others", section(usual, reload, tenants::others)),
        (
            "memory",
            section(usual, records.memory.as_ref(), |all| tenants::memory(all)),
        ),
        ("soak", section(usual, records.soak.as_ref(), tenants::soak)),
        (
            "beyond",
            section(usual, records.beyond.as_ref(), tenants::beyond),
        ),
        (
            "change",
            section(usual, records.change.as_ref(), tenants::change),
        ),
    ]
}

/// How much was asked; what is not on record yet would be asked in full.
fn numbers(records: &Records) -> Vec<(&'static str, String)> {
    let small = extent(records.throughput.as_ref(), throughput::Extent::FULL);
    let latency = extent(records.latency.as_ref(), latency::Extent::FULL);
    let tenants = extent(records.tenants.as_ref(), levels::Extent::FULL);
    let reload = extent(records.reload.as_ref(), reload::Extent::FULL);
    let memory = extent(records.memory.as_ref(), memory::Extent::FULL);
    let beyond = extent(records.beyond.as_ref(), beyond::Extent::FULL);
    let soak = extent(records.soak.as_ref(), soak::Extent::FULL);
    let change = extent(records.change.as_ref(), change::Extent::FULL);
    let others: bystanders::Extent = reload.bystanders;
    vec![
        ("small_connections", small.volume.connections.to_string()),
        ("small_requests", grouped(small.volume.requests)),
        ("small_rounds", small.rounds.to_string()),
        ("lone_requests", grouped(latency.lone.requests)),
        ("latency_rounds", latency.rounds.to_string()),
        ("paced_connections", latency.paced.connections.to_string()),
        ("paced_rate", grouped(latency.paced.rate)),
        ("paced_seconds", latency.paced.seconds.to_string()),
        (
            "tenants_connections",
            tenants.volume.connections.to_string(),
        ),
        ("tenants_requests", grouped(tenants.volume.requests)),
        ("tenants_share", levels::SHARE.to_string()),
        ("tenants_rounds", tenants.rounds.to_string()),
        ("reload_tenants", grouped(reload.tenants)),
        ("reload_rounds", reload.rounds.to_string()),
        ("others_tenants", grouped(others.tenants)),
        ("others_connections", others.connections.to_string()),
        ("others_rate", grouped(others.rate)),
        ("others_before", others.before.to_string()),
        ("others_after", others.after.to_string()),
        ("others_rounds", others.rounds.to_string()),
        ("memory_connections", memory.volume.connections.to_string()),
        ("memory_requests", grouped(memory.volume.requests)),
        ("memory_rounds", memory.rounds.to_string()),
        ("rest", memory.rest.as_secs().to_string()),
        ("soak_tenants", grouped(soak.tenants)),
        ("soak_waves", soak.waves.to_string()),
        ("soak_requests", grouped(soak.requests)),
        ("soak_short", grouped(soak.connections)),
        ("soak_mib", (soak.bytes >> 20).to_string()),
        ("soak_changes", soak.changes.to_string()),
        ("soak_rest", soak.rest.as_secs().to_string()),
        ("beyond_stored", grouped(beyond.stored)),
        ("beyond_capacity", grouped(beyond.capacity)),
        ("beyond_labels", grouped(MOST_ASKED)),
        ("change_tenants", grouped(change.tenants)),
    ]
}

/// A record's table, with a note if it was not measured when and where most others were.
fn section<Extent, Figures>(
    usual: &Origin,
    record: Option<&Record<Extent, Figures>>,
    table: impl Fn(&Figures) -> String,
) -> String {
    let Some(record) = record else {
        return NOT_MEASURED.into();
    };
    let table = table(&record.figures);
    match usual.note(record) {
        Some(note) => format!("{note}\n{table}"),
        None => table,
    }
}

fn extent<Extent: Copy, Figures>(record: Option<&Record<Extent, Figures>>, full: Extent) -> Extent {
    record.map_or(full, |record| record.extent)
}

/// Puts each field where `{{name}}` stands. A name without a field is a fault of the template.
fn fill(template: &str, fields: &[(&str, String)]) -> Result<String, BenchError> {
    let mut text = template.to_owned();
    for (name, value) in fields {
        text = text.replace(&format!("{{{{{name}}}}}"), value.trim_end());
    }
    match text.find("{{") {
        None => Ok(text),
        Some(at) => Err(BenchError::Unexpected {
            what: "a field of the report's template",
            text: text[at..].chars().take(20).collect(),
        }),
    }
}

/// Takes out the line that shows a plot if there is none.
fn with_plot(text: &str, name: &str, plots: &[(&'static str, String)]) -> String {
    if plots.iter().any(|(of, _)| *of == name) {
        return text.into();
    }
    let shown = format!("(performance/{name})\n\n");
    let without = text.find(&shown).and_then(|at| {
        let from = text[..at].rfind("![")?;
        Some(format!("{}{}", &text[..from], &text[at + shown.len()..]))
    });
    without.unwrap_or_else(|| text.into())
}

const NOTHING: &str = "–";

fn find<T>(all: &[Rounds<T>], peer: Kind) -> Option<&Rounds<T>> {
    all.iter().find(|rounds| rounds.peer == peer)
}

/// What others are compared with.
fn ours<T>(all: &[Rounds<T>]) -> Option<&Rounds<T>> {
    find(all, OURS)
}

fn told(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(|| NOTHING.into(), |spread| format!("{spread:.digits$}"))
}

/// A count that is the same in all rounds needs no range.
fn whole(counts: Option<Spread>) -> String {
    match counts {
        Some(counts) if counts.min.total_cmp(&counts.max).is_eq() => {
            format!("{:.0}", counts.median)
        }
        counts => told(counts, 0),
    }
}

/// KiB as MiB.
fn mib(kib: u64) -> f64 {
    // What a process holds here has fewer KiB than a `u32`.
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

/// A count of something that there are not billions of.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Digits in groups of three.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::tests::record, scenario::tails};

    #[test]
    fn a_name_without_a_field_is_refused() {
        let fields = [("known", "x\n".to_owned())];
        assert_eq!(fill("a {{known}}.", &fields).expect("filled"), "a x.");
        fill("a {{unknown}}.", &fields).expect_err("left over");
    }

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn nothing_on_record_makes_no_report() {
        assert!(render(&Records::default()).expect("no fault").is_none());
    }

    #[test]
    fn a_single_scenario_on_record_makes_a_report() {
        let silent = |peer, bytes| Rounds {
            peer,
            rounds: vec![tails::Silent {
                bytes: Some(bytes),
                cpu_ms_per_s: Some(0.0),
                idle_ms_per_s: Some(0.0),
            }],
        };
        let tails = tails::Tails {
            count: 1_000,
            silence: std::time::Duration::from_secs(5),
            seen: vec![silent(OURS, 41_000.0), silent(Kind::Nginx, 9_000.0)],
        };
        let records = Records {
            tails: Some(record(0, tails::Extent::FULL, tails)),
            ..Records::default()
        };
        let Report { text, plots } = render(&records).expect("no fault").expect("a report");
        assert!(text.contains("| Mirador | 41.0 (41.0–41.0) |"), "{text}");
        assert!(text.contains("| 41.0 kB | missed |"), "{text}");
        assert!(text.contains("*Not measured yet.*"), "{text}");
        assert!(plots.is_empty() && !text.contains(".svg"), "{text}");
    }
}
