//! Turns figures into `docs/performance.md`: the words stand in a template, the tables are made
//! here. Draws no conclusions.

mod connections;
mod failover;
mod scenarios;
mod start;
mod streams;
mod table;
mod tenants;

use crate::{
    error::BenchError,
    lab::Lab,
    machine::{self, Machine},
    peer::{Kind, Measured, mirador, program},
    scenario::{
        Figures, Size,
        change::{Change, Times},
        memory::Level,
        rounds::Rounds,
        side_by_side::Runs,
    },
    stats::Spread,
    upstream::BODY,
};

use self::table::Table;

const TEMPLATE: &str = include_str!("report/performance.md");
const NOT_MEASURED: &str = "*Not measured in this run.*\n";
/// The peer that others are compared with.
const OURS: Kind = Kind::Mirador;
const BASE: Kind = Kind::Direct;

/// The whole document.
pub(crate) fn render(
    machine: &Machine,
    lab: &Lab,
    size: &Size,
    figures: &Figures,
) -> Result<String, BenchError> {
    let or_not = |table: Option<String>| table.unwrap_or_else(|| NOT_MEASURED.into());
    let fields = [
        ("setting", setting(machine, lab)),
        (
            "throughput",
            or_not(figures.throughput.as_deref().map(throughput)),
        ),
        ("latency", or_not(figures.latency.as_deref().map(latency))),
        (
            "tenants",
            or_not(figures.tenants.as_deref().map(tenants::tenants)),
        ),
        (
            "reload",
            or_not(figures.reload.as_deref().map(tenants::reload)),
        ),
        ("tenants_requests", grouped(size.of_tenants.volume.requests)),
        ("tenants_rounds", size.of_tenants.rounds.to_string()),
        ("reload_tenants", grouped(size.reload.tenants)),
        ("reload_rounds", size.reload.rounds.to_string()),
        ("memory", or_not(figures.memory.as_deref().map(memory))),
        ("change", or_not(figures.change.as_ref().map(change))),
        ("rounds", size.rounds.to_string()),
        ("connections", size.connections.to_string()),
        ("requests", grouped(size.requests)),
        ("lone_requests", grouped(size.lone_requests)),
        ("rest", size.rest.as_secs().to_string()),
        ("bystanders", grouped(size.bystanders)),
        ("body", BODY.to_string()),
        ("scenarios", scenarios::render(size, figures)?),
    ];
    fill(TEMPLATE, &fields)
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

fn setting(machine: &Machine, lab: &Lab) -> String {
    let mut table = Table::new(["", ""]);
    let command = machine::command();
    table.row(["Date", &machine.date]);
    table.row(["Commit", &machine.commit]);
    table.row(["Command", &command]);
    let processor = format!("{} × {}", machine.processors, machine.processor);
    table.row(["Processors", &processor]);
    table.row(["Memory", &format!("{:.1} GiB", machine.memory_gib)]);
    table.row([
        "System",
        &format!("{}, Linux {}", machine.system, machine.kernel),
    ]);
    let built = if mirador::is_given() {
        "unknown: `MIRADOR_BIN` named the program".into()
    } else {
        format!("{}, release profile", machine.compiler)
    };
    table.row(["Compiler", &built]);
    for kind in [
        Kind::Mirador,
        Kind::Haproxy,
        Kind::Nginx,
        Kind::Envoy,
        Kind::Vmauth,
    ] {
        let version = program::version(lab, kind);
        table.row([kind.name(), version.as_deref().unwrap_or("unknown")]);
    }
    table.row(["Bound to", &lab.cpus.to_string()]);
    table.row(["Load average before", &machine.load]);
    table.to_string()
}

fn throughput(runs: &[Runs]) -> String {
    let mut table = Table::new([
        "",
        "requests/s",
        "CPU µs per request",
        "CPU as a multiple of ours",
    ]);
    for peer in runs {
        let per_second = spread(&peer.rounds, |one| Some(one.per_second()));
        let cpu = spread(&peer.rounds, |one| one.cpu_us);
        let multiple = find(runs, OURS).and_then(|ours| {
            Spread::of(
                peer.rounds
                    .iter()
                    .zip(&ours.rounds)
                    .filter_map(|(theirs, ours)| Some(theirs.cpu_us? / ours.cpu_us?)),
            )
        });
        table.row([
            peer.peer.name(),
            &told(per_second, 0),
            &told(cpu, 1),
            &told(multiple, 2),
        ]);
    }
    table.to_string()
}

fn latency(runs: &[Runs]) -> String {
    let mut table = Table::new(["", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs"]);
    for peer in runs {
        let p50 = spread(&peer.rounds, |one| Some(one.load.p50_us));
        let p99 = spread(&peer.rounds, |one| Some(one.load.p99_us));
        let added = |of: fn(&Measured) -> f64| {
            let base = find(runs, BASE).filter(|base| base.peer != peer.peer)?;
            let rounds = peer.rounds.iter().zip(&base.rounds);
            Spread::of(rounds.map(|(through, base)| of(through) - of(base)))
        };
        let (added_p50, added_p99) = (added(|one| one.load.p50_us), added(|one| one.load.p99_us));
        table.row([
            peer.peer.name(),
            &told(p50, 0),
            &told(p99, 0),
            &told(added_p50, 0),
            &told(added_p99, 0),
        ]);
    }
    table.to_string()
}

fn memory(levels: &[Level]) -> String {
    let mut table = Table::new([
        "tenants",
        "known, probed",
        "each asked once",
        "rested",
        "under load",
        "peak",
        "CPU ms/s at rest",
        "CPU µs per request",
        "filling the store",
    ]);
    for level in levels {
        let asked = level.asked.as_ref();
        let held = |of: fn(&crate::scenario::memory::Asked) -> u64| {
            asked.map_or_else(|| NOTHING.into(), |asked| mib(of(asked)))
        };
        let peak = asked.map_or(level.known.peak, |asked| asked.loaded.peak);
        let at_rest = asked.map(|asked| format!("{:.1}", asked.resting_cpu_ms));
        table.row([
            &grouped(level.tenants),
            &mib(level.known.resident),
            &held(|asked| asked.once.resident),
            &held(|asked| asked.rested.resident),
            &held(|asked| asked.loaded.resident),
            &mib(peak),
            at_rest.as_deref().unwrap_or(NOTHING),
            &told(asked.and_then(|asked| asked.cpu_us), 1),
            &format!("{:.1} s", level.filling.as_secs_f64()),
        ]);
    }
    table.to_string()
}

fn change(change: &Change) -> String {
    let mut table = Table::new(["", "changes", "median ms", "p99 ms", "worst ms"]);
    let mut row = |what: &str, times: &Times| {
        let Times {
            count,
            median,
            p99,
            worst,
        } = times;
        let ms = |value: &f64| format!("{value:.1}");
        table.row([what, &count.to_string(), &ms(median), &ms(p99), &ms(worst)]);
    };
    row("answered by the admin API", &change.answered);
    row("in effect on the router that made it", &change.here);
    row(
        "in effect on another router of the same store",
        &change.elsewhere,
    );
    format!(
        "{table}\nRequests that still reached the old endpoint after the admin API of their router \
         had answered: {}.",
        change.stale
    )
}

const NOTHING: &str = "–";

fn find(runs: &[Runs], peer: Kind) -> Option<&Runs> {
    runs.iter().find(|runs| runs.peer == peer)
}

/// What others are compared with.
fn ours<T>(all: &[Rounds<T>]) -> Option<&Rounds<T>> {
    all.iter().find(|rounds| rounds.peer == OURS)
}

fn spread(rounds: &[Measured], of: impl Fn(&Measured) -> Option<f64>) -> Option<Spread> {
    Spread::of(rounds.iter().filter_map(of))
}

fn told(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(|| NOTHING.into(), |spread| format!("{spread:.digits$}"))
}

/// KiB as MiB.
fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
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
    use crate::load::LoadResult;

    fn runs(peer: Kind, cpu_us: &[f64]) -> Runs {
        let one = |cpu_us: &f64| Measured {
            load: LoadResult {
                requests: 100,
                seconds: 0.5,
                p50_us: *cpu_us,
                p99_us: 2.0 * cpu_us,
                failed: 0,
                first_failure: String::new(),
            },
            cpu_us: (peer != BASE).then_some(*cpu_us),
        };
        Runs {
            peer,
            rounds: cpu_us.iter().map(one).collect(),
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let table = throughput(&[runs(OURS, &[10.0, 20.0]), runs(Kind::Vmauth, &[20.0, 80.0])]);
        let row = table
            .lines()
            .find(|line| line.starts_with("| vmauth"))
            .expect("a row");
        assert!(
            row.contains("3.00 (2.00–4.00)") && row.contains("200 (200–200)"),
            "{row}"
        );
    }

    #[test]
    fn what_was_added_is_told_of_proxies_only() {
        let table = latency(&[runs(BASE, &[60.0]), runs(OURS, &[160.0])]);
        let row = |name| {
            table
                .lines()
                .find(|line| line.starts_with(name))
                .expect("a row")
        };
        assert!(
            row("| Mirador").ends_with("| 100 (100–100) | 200 (200–200) |"),
            "{table}"
        );
        assert!(row("| direct").ends_with("| – | – |"), "{table}");
    }

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
        assert_eq!(mib(15_872), "15.5 MiB");
    }
}
